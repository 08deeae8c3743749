import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Queue, Schedule, type Scope } from "effect"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import * as TraceContext from "../domain/TraceContext.ts"
import { JobTable } from "../store/JobTable.ts"
import { Notifications } from "./Notifications.ts"

/** Work for the reindex worker, durable in PostgreSQL. What is offered inside a transaction is committed with it. */
export class ReindexQueue extends Context.Service<ReindexQueue, {
  /**
   * Asks for a reindex of this generation. It supersedes an older one of the same realm that still waits, and belongs to
   * the caller's trace, whichever worker takes it.
   */
  readonly enqueue: (realmUrl: RealmUrl, generation: number) => Effect.Effect<void, DatabaseError>
  /** The same and wakes a worker, unless such a job waits, runs or is dead: for whoever finds a rendering missing. */
  readonly ensure: (realmUrl: RealmUrl, generation: number) => Effect.Effect<void, DatabaseError>
  /** Withdraws what waits for a realm that is gone. */
  readonly withdraw: (realmUrl: RealmUrl) => Effect.Effect<void, DatabaseError>
  /** Tells the workers that something waits, after the commit. Losing it costs a poll's time. */
  readonly wake: (realmUrl: RealmUrl) => Effect.Effect<void>
}>()("lockstep/coordination/ReindexQueue") {
  static readonly layer = Layer.effect(
    ReindexQueue,
    Effect.gen(function*() {
      const jobs = yield* JobTable
      const notifications = yield* Notifications
      const wake = (realmUrl: RealmUrl) =>
        Effect.ignore(notifications.notify([{ channel: "lockstep_jobs", payload: realmUrl }]))
      return ReindexQueue.of({
        enqueue: (realmUrl, generation) =>
          Effect.flatMap(TraceContext.current, (trace) => jobs.enqueue("reindex", realmUrl, generation, trace)),
        ensure: (realmUrl, generation) =>
          Effect.flatMap(
            jobs.ensure("reindex", realmUrl, generation),
            (offered) => offered ? wake(realmUrl) : Effect.void
          ),
        withdraw: jobs.cancel,
        wake
      })
    })
  )
}

/** What wakes a worker that waits for jobs. A hint: the worker also looks by itself. */
export class JobBell extends Context.Service<JobBell, {
  /** Calls `handler` for each sign of a job until the scope closes. It must not wait. */
  readonly subscribe: (handler: () => void) => Effect.Effect<void, never, Scope.Scope>
}>()("lockstep/coordination/JobBell") {
  /** In a replica: what its listening session hears. */
  static readonly layer = Layer.effect(
    JobBell,
    Effect.map(Notifications, (notifications) =>
      JobBell.of({
        subscribe: (handler) =>
          notifications.subscribe((event) => {
            if (event._tag === "Gap" || (event._tag === "Message" && event.message.channel === "lockstep_jobs")) {
              handler()
            }
          })
      }))
  )

  /** In a worker that is no replica, and so no member of the fleet: a connection of the pool listens. */
  static readonly layerListener = Layer.effect(
    JobBell,
    Effect.gen(function*() {
      const client = yield* PgClient.PgClient
      const handlers = new Set<() => void>()
      const listen = Effect.scoped(Effect.flatMap(
        client.listen("lockstep_jobs"),
        (heard) =>
          Effect.forever(Effect.map(Queue.takeAll(heard), () => {
            for (const handler of handlers) handler()
          }))
      ))
      yield* Effect.forkScoped(Effect.retry(
        listen,
        Schedule.jittered(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]))
      ))
      return JobBell.of({
        subscribe: (handler) =>
          Effect.asVoid(Effect.acquireRelease(
            Effect.sync(() => handlers.add(handler)),
            () => Effect.sync(() => handlers.delete(handler))
          ))
      })
    })
  )
}
