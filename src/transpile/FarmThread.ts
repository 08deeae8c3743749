import { Effect } from "effect"
import { FarmFailure, type FarmWorkerOptions, type Place, type PlaceEvents } from "./FarmPlace.ts"
import { startThread } from "./startThread.ts"

/**
 * A thread of this process.
 *
 * `node:worker_threads` directly, not `effect/workers`: its platform asks a worker to close and waits up to 5 s for the
 * answer, which a worker that loops never gives, and it starts without a deadline.
 */
export const openThread = <Job, Result>(
  options: FarmWorkerOptions,
  { answered, ended }: PlaceEvents<Result>
): Place<Job> => {
  const thread = startThread(options, answered, (reason, detail) => ended(new FarmFailure({ reason, detail })))
  return {
    post: (job) => thread.postMessage(job),
    close: Effect.promise(() => thread.terminate()),
    unref: () => thread.unref()
  }
}
