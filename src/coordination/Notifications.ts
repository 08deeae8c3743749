import { PgConnection } from "@effect/sql-pg"
import { Context, Deferred, Effect, Fiber, Layer, Queue, Schedule, Scope } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import { heartbeat } from "../store/sessionStatements.ts"
import { statement } from "../store/statement.ts"
import { Counters } from "./Counters.ts"
import { SessionConfig, sessionConfig } from "./SessionConfig.ts"

/** Every channel of Lockstep. `lockstep_generations` is its own, the others are part of the contract. */
export type Channel =
  | "realm_file_changes"
  | "module_cache_invalidated"
  | "module_cache_populated"
  | "realm_registry"
  | "lockstep_generations"

const channels: ReadonlyArray<Channel> = [
  "realm_file_changes",
  "module_cache_invalidated",
  "module_cache_populated",
  "realm_registry",
  "lockstep_generations"
]

export interface Message {
  readonly channel: Channel
  readonly payload: string
  /** The backend that sent it. Its messages on one channel arrive in the order in which they were sent. */
  readonly sender: number
}

/** What subscribers hear. A gap means that any number of messages may have been missed: trust rows, not silence. */
export type Event = { readonly _tag: "Message"; readonly message: Message } | { readonly _tag: "Gap" }

/**
 * The replica's one listening session. It survives the loss of its connection, and a loss is never silent: it asks the
 * server for a sign of life every second, and every new connection is announced as a gap.
 * A listener never broadcasts.
 */
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
      const config = yield* SessionConfig
      const sql = yield* SqlClient.SqlClient
      const counters = yield* Counters
      const { dispatch, subscribe } = subscribers()
      const listening = yield* Deferred.make<void>()

      const session = Effect.gen(function*() {
        const connection = yield* PgConnection.make(sessionConfig(config, "listener"))
        // Closed first, and by hand: closing a scope with an open listener on a dead connection would wait for it.
        const pinned = yield* Scope.make()
        const pin = yield* Scope.provide(connection.pin, pinned)
        yield* Effect.addFinalizer((exit) => Scope.close(pinned, exit))
        const inboxes = yield* Effect.forEach(channels, (channel) => Scope.provide(pin.listen(channel), pinned))
        // LISTEN is confirmed: whatever is missed from here on is missed by a break of this session.
        yield* dispatch({ _tag: "Gap" })
        yield* Deferred.succeed(listening, undefined)
        const receive = (inbox: Queue.Dequeue<PgConnection.Notification, unknown>) =>
          Effect.forever(Effect.flatMap(Queue.takeAll(inbox), (notifications) =>
            Effect.forEach(
              notifications,
              ({ channel, payload, processId }) =>
                dispatch({ _tag: "Message", message: { channel: channel as Channel, payload, sender: processId } }),
              { discard: true }
            )))
        const beat = Effect.gen(function*() {
          yield* Effect.sleep("1 second")
          // Never interrupted: a cancel request could hit a later statement of this session.
          const sent = yield* Effect.forkDetach(pin.query(heartbeat))
          yield* Effect.timeout(Fiber.join(sent), "2 seconds")
        })
        return yield* Effect.raceAllFirst([...inboxes.map(receive), Effect.forever(beat)])
      }).pipe(
        Effect.scoped,
        // A defect is a loss like any other: the listener must not die silently (S22).
        Effect.catchCause((cause) =>
          Effect.sync(() => counters.listenerReconnects++).pipe(
            Effect.andThen(Effect.logWarning("The listening session was lost and is being opened again", cause)),
            Effect.andThen(Effect.fail("lost" as const))
          )
        )
      )

      yield* Effect.forkScoped(Effect.retry(
        session,
        Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")]))
      ))
      // A replica that cannot listen yet may serve all the same: reads ask PostgreSQL.
      yield* Effect.timeoutOption(Deferred.await(listening), "5 seconds")

      return Notifications.of({
        subscribe,
        notify: (messages) =>
          messages.length === 0 ? Effect.void : Effect.asVoid(statement(
            "notify",
            sql`SELECT pg_notify(channel, payload) FROM unnest(
              ${messages.map((message) => message.channel)}::text[],
              ${messages.map((message) => message.payload)}::text[]
            ) AS message (channel, payload)`
          ))
      })
    })
  )

  /** All services built on one instance of this layer hear each other: a fleet in one process. */
  static readonly layerMemory = Layer.sync(Notifications, () => {
    const { dispatch, subscribe } = subscribers()
    return Notifications.of({
      subscribe,
      notify: (messages) =>
        Effect.forEach(
          messages,
          (message) => dispatch({ _tag: "Message", message: { ...message, sender: 0 } }),
          { discard: true }
        )
    })
  })
}

const subscribers = () => {
  const handlers = new Set<(event: Event) => void>()
  return {
    // What is wrong with one subscriber is neither the others' concern nor the session's.
    dispatch: (event: Event) =>
      Effect.suspend(() =>
        Effect.forEach(
          Array.from(handlers),
          (handler) =>
            Effect.catchCause(Effect.sync(() => handler(event)), (cause) =>
              Effect.logError("A subscriber of notifications failed", cause)),
          { discard: true }
        )
      ),
    subscribe: (handler: (event: Event) => void) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => handlers.add(handler)),
        () => Effect.sync(() => handlers.delete(handler))
      ))
  }
}
