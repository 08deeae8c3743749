import { Effect } from "effect"

const tick = 10

/** Shorter ones end no deadline of a replica's. */
const shortest = 1_000

/** What a standstill made late comes to its end soon after it, and takes along whoever has joined it meanwhile. */
const aftermath = 1_000

/**
 * Watches, until the scope closes, when the machine gave this process nothing, and so the replicas beside it neither. Says of
 * two times of `performance.now()` whether that was between them, or just before.
 */
export const watchStandstills = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => {
      const seen: Array<{ readonly began: number; readonly ended: number }> = []
      let last = performance.now()
      const look = () => {
        const now = performance.now()
        if (now - last > shortest) seen.push({ began: last, ended: now })
        last = now
      }
      return { seen, look, timer: setInterval(look, tick) }
    }),
    ({ timer }) => Effect.sync(() => clearInterval(timer))
  ),
  ({ look, seen }) => (began: number, ended: number) => {
    look()
    return seen.some((each) => began < each.ended + aftermath && each.began < ended)
  }
)
