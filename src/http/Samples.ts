import { Clock, Context, Effect, Layer, Schedule } from "effect"
import type { Sample } from "../api/Fleet.ts"
import { Counters } from "../coordination/Counters.ts"

const interval = "5 seconds"

/** A quarter of an hour. */
const capacity = 180

/** Where modules came from lately, for a curve: the counters of hits and transpiles, looked at every five seconds. */
export class Samples extends Context.Service<Samples, {
  /** Oldest first, and the present moment last. */
  readonly all: Effect.Effect<ReadonlyArray<typeof Sample.Type>>
}>()("lockstep/http/Samples") {
  static readonly layer = Layer.effect(
    Samples,
    Effect.gen(function*() {
      const counters = yield* Counters
      const samples: Array<typeof Sample.Type> = []
      const now = Effect.map(Clock.currentTimeMillis, (at): typeof Sample.Type => {
        const { joined, l1Hits, l2Hits, transpiles } = counters
        return { at, l1Hits, l2Hits, joined, transpiles }
      })
      const take = Effect.map(now, (sample) => {
        samples.push(sample)
        if (samples.length > capacity) samples.shift()
      })
      yield* Effect.forkScoped(Effect.repeat(take, Schedule.spaced(interval)))
      return Samples.of({ all: Effect.map(now, (last) => [...samples, last]) })
    })
  )
}
