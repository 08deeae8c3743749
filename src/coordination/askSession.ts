import { Cause, Effect, Fiber } from "effect"
import { timeoutAwake } from "../domain/timeoutAwake.ts"

/**
 * Asks on a pinned session and waits for the answer for so many milliseconds in which this process ran. The question itself is
 * never interrupted: a cancel request could hit a later one of the session.
 */
export const askSession = <A, E, R>(
  question: Effect.Effect<A, E, R>,
  patience: number
): Effect.Effect<A, E | Cause.TimeoutError, R> =>
  Effect.flatMap(Effect.forkDetach(question), (asked) =>
    timeoutAwake(Fiber.join(asked), {
      patience,
      orElse: () => Effect.fail(new Cause.TimeoutError(`no answer in ${patience} ms`))
    }))
