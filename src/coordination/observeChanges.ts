import { Clock, Context, Effect, Exit, Option, Tracer } from "effect"
import { staleness } from "../domain/Metrics.ts"
import { parse } from "../domain/TraceContext.ts"
import type { Origin } from "./changeMessages.ts"
import type { Change } from "./RealmMemory.ts"

/**
 * Measures the changes of other replicas once they are obeyed here: how late they were, and a span in the trace of whoever
 * made them, if that is recorded. It runs within the listening session's turn, so it does nothing that waits.
 */
export const makeObserver = Effect.gen(function*() {
  const context = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  const tracer = yield* Effect.tracer
  return (change: Change, { at, trace }: Origin): void => {
    // Two clocks: what seems to have been heard before it was sent was heard at once.
    const now = clock.currentTimeMillisUnsafe()
    if (at !== undefined) staleness.updateUnsafe(Math.max(0, now - at) / 1000, context)
    const parent = parse(trace)
    if (parent === undefined || !parent.sampled || tracer === Tracer.nativeTracer) return
    const time = clock.currentTimeNanosUnsafe()
    const span = tracer.span({
      name: "Generations.apply",
      parent: Option.some(parent),
      annotations: Context.empty(),
      links: [],
      startTime: time,
      kind: "consumer",
      root: false,
      sampled: true
    })
    span.attribute("realm.url", change.realmUrl)
    span.attribute("realm.generation", change.generation)
    span.end(clock.currentTimeNanosUnsafe(), Exit.void)
  }
})
