import { Deferred, Effect, Fiber } from "effect"
import { Transaction } from "../../src/store/Transaction.ts"

/** Runs `work` in a transaction that stays open until the returned effect commits it. */
export const openTransaction = Effect.fnUntraced(function*<A, E, R>(work: Effect.Effect<A, E, R>) {
  const { run } = yield* Transaction
  const worked = yield* Deferred.make<A, E>()
  const end = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkChild(
    run(Effect.andThen(Deferred.complete(worked, work), Deferred.await(end)))
  )
  const result = yield* Deferred.await(worked)
  return { result, commit: Effect.andThen(Deferred.succeed(end, undefined), Fiber.join(fiber)) }
})
