import { Clock, Duration, Effect, Option } from "effect"
import { monotonicMillis } from "./monotonicMillis.ts"

/** Time that may pass until something is given up, less the time in which this process stood still. */
export interface Patience {
  /** Waits until nothing is left. What is interrupted has spent what has passed. */
  readonly spend: Effect.Effect<void>
}

/**
 * After a process stood still (its host was busy, or its event loop), its timers come before the answers that arrived
 * meanwhile. A patience is spent in so many parts; a part in which the process stood still does not count, nor as many of these:
 * it takes twice its time at most. Stops that are too short to be told from a busy machine count.
 */
const parts = 4

/** A timer that is later than this, in milliseconds, tells of a stop. */
const tolerance = 50

export const makePatience = (duration: Duration.Input): Effect.Effect<Patience> =>
  Clock.clockWith((clock) =>
    Effect.sync(() => {
      const now = () => monotonicMillis(clock)
      const whole = Duration.toMillis(duration)
      let left = whole
      let stops = 0
      const spendPart = Effect.suspend(() => {
        const from = now()
        const part = Math.min(whole / parts, left)
        const account = () => {
          const took = now() - from
          if (took <= part + tolerance || ++stops > parts) left -= took
        }
        return Effect.ensuring(Effect.sleep(part), Effect.sync(account))
      })
      // A timer may fire early, by less than a millisecond; floating point leaves less than a microsecond.
      const spendAll = Effect.whileLoop({ while: () => left > 0.001, body: () => spendPart, step: () => {} })
      // What came while the last part was late is read before it is too late.
      return { spend: Effect.andThen(spendAll, Effect.yieldNow) }
    })
  )

/**
 * As Effect's `timeoutOrElse`, and time counts in which this process ran: what was answered in time is taken, however long the
 * process stood still before it could look. For deadlines that judge somebody else's work.
 */
export const timeoutAwake = <A, E, R, A2, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  options: { readonly patience: Duration.Input | Patience; readonly orElse: () => Effect.Effect<A2, E2, R2> }
): Effect.Effect<A | A2, E | E2, R | R2> => {
  const { orElse, patience } = options
  const spent = isPatience(patience) ? patience.spend : Effect.flatMap(makePatience(patience), ({ spend }) => spend)
  return Effect.flatMap(
    Effect.raceFirst(Effect.asSome(effect), Effect.as(spent, Option.none<A>())),
    (inTime): Effect.Effect<A | A2, E2, R2> => Option.isSome(inTime) ? Effect.succeed(inTime.value) : orElse()
  )
}

const isPatience = (patience: Duration.Input | Patience): patience is Patience =>
  typeof patience === "object" && "spend" in patience
