import { Context, Effect, Layer, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import { notify } from "../store/notify.ts"
import { type Event, Lease } from "./Lease.ts"
import { MemoryBus } from "./MemoryBus.ts"
import type { Message } from "./Sessions.ts"

export type { Event } from "./Lease.ts"
export type { Channel, Message } from "./Sessions.ts"

/** Notifications between replicas: heard on the lease's session, sent over the pool. A listener never broadcasts. */
export class Notifications extends Context.Service<Notifications, {
  /** Calls `handler` for each event until the scope closes. Handlers run in turn and must not wait. */
  readonly subscribe: (handler: (event: Event) => void) => Effect.Effect<void, never, Scope.Scope>
  /** Sends messages in order, from one sender. A latency hint: what must not be lost belongs in a row. */
  readonly notify: (
    messages: ReadonlyArray<Pick<Message, "channel" | "payload">>
  ) => Effect.Effect<void, DatabaseError>
}>()("lockstep/coordination/Notifications") {
  static readonly layer = Layer.effect(
    Notifications,
    Effect.gen(function*() {
      const lease = yield* Lease
      const sql = yield* SqlClient.SqlClient
      return Notifications.of({
        subscribe: lease.subscribe,
        notify: (messages) => notify(sql, messages)
      })
    })
  )

  /** Without a database: what one replica sends, all on the same bus hear. */
  static readonly layerMemory = Layer.effect(
    Notifications,
    Effect.gen(function*() {
      const bus = yield* MemoryBus
      const lease = yield* Lease
      return Notifications.of({
        subscribe: lease.subscribe,
        notify: (messages) =>
          Effect.sync(() => {
            for (const message of messages) bus.publish({ ...message, sender: 0 })
          })
      })
    })
  )
}
