import { Deferred, Duration, Effect, Exit, type Scope } from "effect"
import { timeoutAwake } from "../domain/timeoutAwake.ts"
import { openProcess } from "./FarmProcess.ts"
import { FarmFailure, type FarmWorkerOptions, type Place, type PlaceEvents } from "./FarmPlace.ts"
import { openThread } from "./FarmThread.ts"

/** A warm thread. It takes one job at a time. */
export interface FarmWorker<Job, Result> {
  /** Fails with `memory` or `died` if the thread ends first. Interrupting it leaves the thread at work. */
  readonly ask: (job: Job) => Effect.Effect<Result, FarmFailure>
  /** Fails when the thread ends. */
  readonly died: Effect.Effect<never, FarmFailure>
}

const startLimit = Duration.seconds(30)

/** Starts a thread and waits until it is warm; closing the scope ends it at once, whatever it is doing. */
export const startWorker = Effect.fnUntraced(function*<Job, Result>(
  options: FarmWorkerOptions
): Effect.fn.Return<FarmWorker<Job, Result>, FarmFailure, Scope.Scope> {
  const end = Deferred.makeUnsafe<never, FarmFailure>()
  // the answer to the one message in flight, the first being the report that the thread is warm
  let answer = Deferred.makeUnsafe<Result, FarmFailure>()
  const events: PlaceEvents<Result> = {
    answered: (result) => Deferred.doneUnsafe(answer, Exit.succeed(result)),
    ended: (failure) => {
      Deferred.doneUnsafe(end, Exit.fail(failure))
      Deferred.doneUnsafe(answer, Exit.fail(failure))
    }
  }

  const place = yield* Effect.acquireRelease(
    Effect.try({
      try: (): Place<Job> => (options.place === "process" ? openProcess : openThread)(options, events),
      catch: (cause) => new FarmFailure({ reason: "start", detail: String(cause) })
    }),
    (place) => place.close
  )

  yield* timeoutAwake(Deferred.await(answer), {
    patience: startLimit,
    orElse: () => Effect.fail(new FarmFailure({ reason: "start", detail: "a worker did not become ready in time" }))
  }).pipe(
    Effect.mapError((failure) => new FarmFailure({ reason: "start", detail: failure.detail }))
  )
  // an idle thread does not keep the process alive; while a job runs, the timer of its deadline does
  place.unref()

  return {
    died: Deferred.await(end),
    ask: (job) =>
      Effect.suspend(() => {
        if (Deferred.isDoneUnsafe(end)) return Deferred.await(end)
        answer = Deferred.makeUnsafe()
        // copied, not transferred: what a job holds stays its caller's, in whose cache it may be
        place.post(job)
        return Deferred.await(answer)
      })
  }
})
