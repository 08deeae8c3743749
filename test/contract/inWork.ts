import { Cause, Deferred, Effect, Exit } from "effect"
import type { PopulateCoordinator } from "../../src/coordination/PopulateCoordinator.ts"
import type { DatabaseError } from "../../src/domain/errors.ts"

/**
 * Starts work under the key, and returns its fiber when it has begun. A session to lock on may be asked for in vain, as on a
 * machine that stands still: it is asked for once more.
 */
export const inWork = <A, E, R>(
  coordinator: PopulateCoordinator["Service"],
  key: string,
  work: Effect.Effect<A, E, R>
) => Effect.retry(begin(coordinator, key, work), { times: 1 })

const begin = Effect.fnUntraced(function*<A, E, R>(
  coordinator: PopulateCoordinator["Service"],
  key: string,
  work: Effect.Effect<A, E, R>
) {
  const begun = yield* Deferred.make<void, E | DatabaseError>()
  const holder = yield* Effect.forkChild(
    coordinator.tryAcquireAndRun(key, Effect.andThen(Deferred.succeed(begun, undefined), work)).pipe(
      // Says why it did not begin; it is too late to say anything of one that has.
      Effect.onExit((exit) =>
        Deferred.failCause(begun, Exit.isFailure(exit) ? exit.cause : Cause.die(new Error(`another works on ${key}`)))
      )
    )
  )
  yield* Deferred.await(begun)
  return holder
})
