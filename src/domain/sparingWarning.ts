import { Clock, Effect } from "effect"

const intervalMillis = 1_000

/**
 * A warning of what fails for thousands at once when it fails: written once a second at most, and the next one says how many
 * were left out.
 */
export const makeSparingWarning = () => {
  let silentUntil = -Infinity
  let leftOut = 0
  return (message: string, cause: unknown): Effect.Effect<void> =>
    Clock.clockWith((clock) => {
      const now = Number(clock.monotonicTimeNanosUnsafe()) / 1e6
      if (now < silentUntil) {
        leftOut++
        return Effect.void
      }
      silentUntil = now + intervalMillis
      const before = leftOut === 0 ? "" : ` (and ${leftOut} more like it before)`
      leftOut = 0
      return Effect.logWarning(message + before, cause)
    })
}
