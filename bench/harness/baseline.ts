import { Schema } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import type { Line } from "../Row.ts"
import type { Measured } from "./report.ts"

/** What one line showed: the median of a ratio that is steady, and what was counted. */
const Kept = Schema.Struct({
  ratio: Schema.optionalKey(Schema.Finite),
  counts: Schema.optionalKey(Schema.Record(Schema.String, Schema.Finite))
})
type Kept = typeof Kept.Type

/** By scale, since a quick run has other lines; then by row, then by line. */
const Baseline = Schema.Record(
  Schema.Literals(["full", "quick"]),
  Schema.Record(Schema.String, Schema.Record(Schema.String, Kept))
)
type Baseline = typeof Baseline.Type
export type ScaleName = keyof Baseline

const file = new URL("../baseline.json", import.meta.url)

const read = (): Baseline => Schema.decodeSync(Schema.fromJsonString(Baseline))(readFileSync(file, "utf8"))

/** Nothing where nothing of the line is compared. */
const kept = ({ counts, ratio, steady = false }: Line): Kept => ({
  ...steady && ratio !== undefined && { ratio: Math.round(ratio.median * 1000) / 1000 },
  ...counts !== undefined && { counts }
})

/** Replaces what the baseline has of these rows; others stay. */
export const save = (scale: ScaleName, measured: ReadonlyArray<Measured>): void => {
  const baseline = read()
  const rows = measured.map(({ lines, row }) => {
    const compared = lines.map((line) => [line.name, kept(line)] as const)
    return [row.name, Object.fromEntries(compared.filter(([, each]) => Object.keys(each).length > 0))] as const
  })
  const all = { ...baseline[scale], ...Object.fromEntries(rows.filter(([, lines]) => Object.keys(lines).length > 0)) }
  const sorted = Object.fromEntries(Object.entries(all).toSorted(([a], [b]) => a < b ? -1 : 1))
  writeFileSync(file, `${JSON.stringify({ ...baseline, [scale]: sorted }, undefined, 2)}\n`)
}

/** One figure beside the baseline's. */
export interface Comparison {
  readonly row: string
  readonly line: string
  readonly what: string
  readonly before: number
  /** None: it is not measured any more. */
  readonly now: number | undefined
  readonly lost: boolean
}

/**
 * These rows beside the baseline's. Lost is a ratio that fell by more than `margin`, a count that is another, and what is
 * in the baseline and was not measured. What the baseline has not yet is passed over.
 */
export const compare = (
  scale: ScaleName,
  measured: ReadonlyArray<Measured>,
  margin: number,
  baseline = read()
): ReadonlyArray<Comparison> =>
  measured.flatMap(({ lines, row }) =>
    Object.entries(baseline[scale][row.name] ?? {}).flatMap(([name, before]) => {
      const line = lines.find((each) => each.name === name)
      const now = line === undefined ? {} : kept(line)
      const of = { row: row.name, line: name }
      const ratio = before.ratio === undefined ? [] : [{
        ...of,
        what: "ratio",
        before: before.ratio,
        now: now.ratio,
        // NaN is no gain.
        lost: !((now.ratio ?? NaN) >= before.ratio * (1 - margin))
      }]
      const counts = Object.entries(before.counts ?? {}).map(([what, count]) => ({
        ...of,
        what,
        before: count,
        now: now.counts?.[what],
        lost: now.counts?.[what] !== count
      }))
      return [...ratio, ...counts]
    })
  )

/** A table: a line a figure, the lost ones marked. */
export const asTable = (comparisons: ReadonlyArray<Comparison>): string => {
  const cells = comparisons.map(({ before, line, lost, now, row, what }) => [
    lost ? "LOST" : "ok",
    row,
    line,
    what,
    String(before),
    now === undefined ? "not measured" : String(now)
  ])
  const table = [["", "row", "line", "figure", "baseline", "now"], ...cells]
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...table.map((row) => row[column]?.length ?? 0)))
  return table.map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd()).join("\n")
}
