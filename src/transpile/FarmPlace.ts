import { Data, type Effect } from "effect"

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
  /**
   * Where the thread runs. `process`: in a process of its own, for an entry with native code, which takes its process
   * along when it overflows its stack, and cannot be stopped in any other way. Default `thread`.
   */
  readonly place?: "thread" | "process" | undefined
}

/** A thread that was opened, before it is known to be warm. */
export interface Place<Job> {
  readonly post: (job: Job) => void
  /** Ends it, whatever it is doing. */
  readonly close: Effect.Effect<unknown>
  /** From now on it does not keep this process alive. */
  readonly unref: () => void
}

/** What a place says. `ended` may be said more than once. */
export interface PlaceEvents<Result> {
  readonly answered: (result: Result) => void
  readonly ended: (failure: FarmFailure) => void
}
