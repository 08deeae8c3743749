import { Effect } from "effect"

/**
 * Measures every subject once a round, in turn and back (A B, B A, A B), so that a machine that warms up, or a
 * neighbour that comes and goes, favours none. Answers each subject's measurements, by round.
 */
export const alternate = Effect.fnUntraced(function*<Name extends string, A, E, R>(
  rounds: number,
  subjects: Readonly<Record<Name, Effect.Effect<A, E, R>>>
) {
  const names = Object.keys(subjects) as Array<Name>
  const measured = Object.fromEntries(names.map((name) => [name, new Array<A>()])) as Record<Name, Array<A>>
  for (let round = 0; round < rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      measured[name].push(yield* subjects[name])
    }
  }
  return measured
})
