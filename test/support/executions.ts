import { assert } from "@effect/vitest"
import { Effect } from "effect"

/** A process that may do work for the others. */
export interface Worker<E = never, R = never> {
  /** What it has written so far. */
  readonly log: () => string
  /** The counters of its `/_status`. */
  readonly status: Effect.Effect<Readonly<Record<string, unknown>>, E, R>
}

/**
 * Fails unless the workers together have begun `expected` runs (I5). A process that stands still for seconds loses its
 * locks, as a frozen one must, or is late for the shared cache: then, and only then, others may have done the same beside it,
 * each of them once.
 */
export const expectExecutions = Effect.fnUntraced(function*<E, R>(
  workers: ReadonlyArray<Worker<E, R>>,
  begun: number,
  expected: number,
  what: string
) {
  if (begun === expected) return
  // What a process wrote before it answered may be read after the answer.
  yield* Effect.sleep("500 millis")
  const excuses = yield* Effect.forEach(
    workers,
    ({ log, status }, index) =>
      Effect.map(status, ({ l2Errors }) => [
        ...log().includes("lock session was lost") ? [`worker ${index + 1} lost its lock session`] : [],
        ...Number(l2Errors ?? 0) > 0 ? [`worker ${index + 1} had ${Number(l2Errors)} errors of L2`] : []
      ])
  )
  const found = excuses.flat()
  const shown = workers.map(({ log }) => log().slice(-4000)).join("\n")
  if (found.length === 0) {
    assert.strictEqual(begun, expected, `${what}; nobody lost a lock session or L2, so it must be exact:\n${shown}`)
  }
  const most = expected * workers.length
  assert.isAtLeast(begun, expected, `${what}; less than once each, although at most more is excused:\n${shown}`)
  assert.isAtMost(begun, most, `${what}; more than once a worker, although ${found.join(", ")}:\n${shown}`)
})
