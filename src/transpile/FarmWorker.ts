import { Data, Deferred, Duration, Effect, Exit, type Scope } from "effect"
import { Worker } from "node:worker_threads"

/** Why the farm has no result for a job. `memory`, `died`, `timeout`: its worker is gone. */
export class FarmFailure extends Data.TaggedError("FarmFailure")<{
  readonly reason: "timeout" | "memory" | "died" | "start" | "full" | "closed"
  readonly detail: string
}> {}

export interface FarmWorkerOptions {
  /**
   * Module that the thread runs. It posts one message when it is warm, then answers each message it gets with one
   * message, in order.
   */
  readonly entry: URL
  readonly workerData?: unknown
  readonly heapMb: number
}

/** A warm thread. It takes one job at a time. */
export interface FarmWorker<Job, Result> {
  /** Fails with `memory` or `died` if the thread ends first. Interrupting it leaves the thread at work. */
  readonly ask: (job: Job) => Effect.Effect<Result, FarmFailure>
  /** Fails when the thread ends. */
  readonly died: Effect.Effect<never, FarmFailure>
}

const startLimit = Duration.seconds(30)

/**
 * Starts a thread and waits until it is warm; closing the scope terminates it at once, whatever it is doing.
 *
 * `node:worker_threads` directly, not `effect/workers`: its platform asks a worker to close and waits up to 5 s for the
 * answer, which a worker that loops never gives, and it starts without a deadline.
 */
export const startWorker = Effect.fnUntraced(function*<Job, Result>(
  options: FarmWorkerOptions
): Effect.fn.Return<FarmWorker<Job, Result>, FarmFailure, Scope.Scope> {
  const end = Deferred.makeUnsafe<never, FarmFailure>()
  // the answer to the one message in flight, the first being the report that the thread is warm
  let answer = Deferred.makeUnsafe<Result, FarmFailure>()

  const thread = yield* Effect.acquireRelease(
    Effect.try({
      try: () => openThread(options),
      catch: (cause) => new FarmFailure({ reason: "start", detail: String(cause) })
    }),
    (thread) => Effect.promise(() => thread.terminate())
  )
  const fail = (failure: FarmFailure) => {
    Deferred.doneUnsafe(end, Exit.fail(failure))
    Deferred.doneUnsafe(answer, Exit.fail(failure))
  }
  thread.on("message", (result: Result) => Deferred.doneUnsafe(answer, Exit.succeed(result)))
  thread.on(
    "messageerror",
    (error) => fail(new FarmFailure({ reason: "died", detail: `unreadable answer: ${error.message}` }))
  )
  thread.on("error", (error: NodeJS.ErrnoException) =>
    fail(
      error.code === "ERR_WORKER_OUT_OF_MEMORY"
        ? new FarmFailure({ reason: "memory", detail: `a worker needed more than ${options.heapMb} MB` })
        : new FarmFailure({ reason: "died", detail: `a worker crashed: ${error.message}` })
    ))
  thread.on("exit", (code) => fail(new FarmFailure({ reason: "died", detail: `a worker exited with code ${code}` })))

  yield* Deferred.await(answer).pipe(
    Effect.timeoutOrElse({
      duration: startLimit,
      orElse: () => Effect.fail(new FarmFailure({ reason: "start", detail: "a worker did not become ready in time" }))
    }),
    Effect.mapError((failure) => new FarmFailure({ reason: "start", detail: failure.detail }))
  )
  // an idle thread does not keep the process alive; while a job runs, the timer of its deadline does
  thread.unref()

  return {
    died: Deferred.await(end),
    ask: (job) =>
      Effect.suspend(() => {
        if (Deferred.isDoneUnsafe(end)) return Deferred.await(end)
        answer = Deferred.makeUnsafe()
        // copied, not transferred: what a job holds stays its caller's, in whose cache it may be
        thread.postMessage(job)
        return Deferred.await(answer)
      })
  }
})

const openThread = ({ entry, heapMb, workerData }: FarmWorkerOptions): Worker =>
  new Worker(entry, {
    workerData,
    // the host's environment and flags must not reach the output (NODE_ENV, BABEL_ENV) or the thread (--inspect-brk)
    env: {},
    argv: [],
    execArgv: [],
    // kept from the host's streams, and never read, as that would keep the process alive: the entry is to be quiet
    stdin: false,
    stdout: true,
    stderr: true,
    // deep but legal code, such as a sum of 10,000 terms, overflows the default stack of 4 MB
    resourceLimits: { maxOldGenerationSizeMb: heapMb, stackSizeMb: 32 }
  })
