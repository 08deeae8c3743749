import { Effect } from "effect"

const tick = 10

/**
 * How long an effect took, in milliseconds, less the time in which the machine gave this process nothing: its host runs others,
 * and what is measured here is ours.
 */
export const timedAwake = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [number, A], E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const began = performance.now()
      let last = began
      let lost = 0
      const look = () => {
        const now = performance.now()
        lost += Math.max(0, now - last - 10 * tick)
        last = now
      }
      const timer = setInterval(look, tick)
      return {
        took: () => {
          look()
          return performance.now() - began - lost
        },
        stop: () => clearInterval(timer)
      }
    }),
    ({ took }) => Effect.map(effect, (value) => [took(), value] as const),
    ({ stop }) => Effect.sync(stop)
  )
