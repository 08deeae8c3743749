export interface Range {
  readonly median: number
  readonly min: number
  readonly max: number
}

export const rangeOf = (values: ReadonlyArray<number>): Range => {
  const sorted = values.toSorted((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? NaN
  const middle = (sorted.length - 1) / 2
  return { median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, min: at(0), max: at(sorted.length - 1) }
}

export const median = (values: ReadonlyArray<number>): number => rangeOf(values).median

/** The value that 99 of 100 are not above. */
export const p99 = (values: ReadonlyArray<number>): number =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1] ?? NaN

/** Noise that hits a round hits both sides of its ratio: compare within rounds, then take the median. */
export const ratios = (over: ReadonlyArray<number>, under: ReadonlyArray<number>): Range =>
  rangeOf(over.map((value, round) => value / (under[round] ?? NaN)))
