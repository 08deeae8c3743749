import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { appendFile } from "node:fs/promises"
import type { FaultName } from "./catalogue.ts"
import { repetitions } from "./effort.ts"
import { type Figures, lineOf } from "./figures.ts"
import { type Lost, startLoad } from "./Load.ts"
import { watchStandstills } from "./standstills.ts"

/**
 * Puts the stage under load, lets the fault happen, as often as asked, and waits each time until the fleet is well
 * again; then checks every answer against what had been promised when it was asked. The fault ends when its effect
 * does; `mend` is what an operator does then. Answers the figures, and the lost reads that no standstill of the machine
 * excuses.
 */
export const trial = Effect.fnUntraced(function*<E, R, E2 = never, R2 = never>(
  name: FaultName,
  fault: Effect.Effect<void, E, R>,
  mend?: Effect.Effect<void, E2, R2>
) {
  const stoodStill = yield* watchStandstills
  const load = yield* startLoad()
  yield* load.settled
  let unavailableAfter = Infinity
  let recoveredAfter = 0
  for (let time = 0; time < repetitions; time++) {
    const began = performance.now()
    yield* fault
    const ended = performance.now()
    if (mend !== undefined) yield* mend
    yield* load.settled
    const lost = [...load.lostReads, ...load.lostWrites].filter((each) => each.ended > began)
    unavailableAfter = Math.min(unavailableAfter, ...lost.map((each) => Math.max(0, each.began - began)))
    recoveredAfter = Math.max(recoveredAfter, ...lost.map((each) => each.ended - ended))
  }
  const violations = yield* load.verdict
  const figures: Figures = {
    fault: name,
    times: repetitions,
    reads: load.reads(),
    writes: load.written.length,
    violations: violations.length,
    warned: load.warned(),
    unavailableAfter: Number.isFinite(unavailableAfter) ? unavailableAfter : -1,
    recoveredAfter,
    lostReads: byOutcome(load.lostReads),
    lostWrites: byOutcome(load.lostWrites)
  }
  yield* report(figures)
  assert.deepStrictEqual(violations.slice(0, 10), [], `${name}: ${violations.length} violations`)
  const lostAwake = byOutcome(load.lostReads.filter(({ began, ended }) => !stoodStill(began, ended)))
  return { ...figures, lostAwake }
}, Effect.scoped)

const byOutcome = (lost: ReadonlyArray<Lost>) => {
  const counts: Record<string, number> = {}
  for (const { outcome } of lost) counts[outcome] = (counts[outcome] ?? 0) + 1
  return counts
}

/** Prints one line, and adds the figures to the file that `npm run chaos` makes its table of. */
const report = Effect.fnUntraced(function*(figures: Figures) {
  console.log(lineOf(figures))
  const file = process.env["LOCKSTEP_CHAOS_FIGURES"]
  if (file !== undefined) yield* Effect.promise(() => appendFile(file, `${JSON.stringify(figures)}\n`))
})
