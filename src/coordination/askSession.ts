import { Cause, Effect, Fiber } from "effect"

/**
 * After a process stood still (its host was busy, or its event loop), its timers come before the answers that arrived
 * meanwhile. The wait is in parts, one more than the patience has: such a stop costs one of them.
 */
const parts = 4

/**
 * Asks on a pinned session and waits for the answer for so many milliseconds in which this process ran, and a quarter more. The
 * question itself is never interrupted: a cancel request could hit a later one of the session.
 */
export const askSession = <A, E, R>(
  question: Effect.Effect<A, E, R>,
  patience: number
): Effect.Effect<A, E | Cause.TimeoutError, R> =>
  Effect.flatMap(Effect.forkDetach(question), (asked) =>
    Effect.raceFirst(
      Fiber.join(asked),
      Effect.andThen(
        Effect.repeat(Effect.sleep(patience / parts), { times: parts }),
        Effect.fail(new Cause.TimeoutError(`no answer in ${patience} ms`))
      )
    ))
