import { Clock, Effect } from "effect"
import { monotonicMillis } from "./monotonicMillis.ts"

const intervalMillis = 1_000

/**
 * A warning of what fails for thousands at once when it fails: written once a second at most. The next one says how many like it
 * were left out, and since when.
 */
export const makeSparingWarning = (what: string) => {
  let silentUntil = -Infinity
  let leftOut = 0
  let since = 0
  return (whom: string, cause: unknown): Effect.Effect<void> =>
    Clock.clockWith((clock) => {
      const now = monotonicMillis(clock)
      if (now < silentUntil) {
        leftOut++
        return Effect.void
      }
      const before = leftOut === 0 ? "" : ` (and ${leftOut} more times since ${new Date(since).toISOString()})`
      silentUntil = now + intervalMillis
      leftOut = 0
      since = clock.currentTimeMillisUnsafe()
      return Effect.logWarning(`${what} for ${whom}${before}`, cause)
    })
}
