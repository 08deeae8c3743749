import { Context, Effect, Layer } from "effect"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { JobTable } from "../store/JobTable.ts"

/** Work for the reindex worker, durable in PostgreSQL. What is offered inside a transaction is committed with it. */
export class ReindexQueue extends Context.Service<ReindexQueue, {
  /** Asks for a reindex of this generation. It supersedes an older one of the same realm that still waits. */
  readonly enqueue: (realmUrl: RealmUrl, generation: number) => Effect.Effect<void, DatabaseError>
  /** Withdraws what waits for a realm that is gone. */
  readonly withdraw: (realmUrl: RealmUrl) => Effect.Effect<void, DatabaseError>
}>()("lockstep/coordination/ReindexQueue") {
  static readonly layer = Layer.effect(
    ReindexQueue,
    Effect.map(JobTable, (jobs) =>
      ReindexQueue.of({
        enqueue: (realmUrl, generation) => jobs.enqueue("reindex", realmUrl, generation),
        withdraw: jobs.cancel
      }))
  )
}
