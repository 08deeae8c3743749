import { PgConnection } from "@effect/sql-pg"
import { Context, Effect, Layer, Queue, Schema, Scope } from "effect"
import { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { MemoryDatabase, type MemoryTables } from "../store/MemoryDatabase.ts"
import type { ReplicaRow } from "../store/ReplicaTable.ts"
import {
  acknowledge,
  beginEpoch,
  beginIncarnation,
  catchUp,
  registerMembership,
  renewMembership
} from "../store/sessionStatements.ts"
import { askSession } from "./askSession.ts"
import { MemoryBus } from "./MemoryBus.ts"
import { SessionConfig, sessionConfig } from "./SessionConfig.ts"

/** Every channel of Lockstep. Those that begin with `lockstep_` are its own, the others are part of the contract. */
export const channels = [
  "realm_file_changes",
  "module_cache_invalidated",
  "module_cache_populated",
  "realm_registry",
  "lockstep_generations",
  "lockstep_acks",
  "lockstep_jobs"
] as const
export type Channel = typeof channels[number]

/** Where one member alone hears what is acknowledged to it: the others need not wake up. */
const acknowledgements = (bootId: string) => `lockstep_acks_${bootId}`

export interface Message {
  readonly channel: Channel
  readonly payload: string
  /** The backend that sent it: messages of one sender arrive in the order in which they were sent. */
  readonly sender: number
}

/** What a catch-up found: where the next one may start, and the realms that moved since the last. */
export interface CatchUp {
  /** The database, its timeline, and the incarnation of its caches. A cursor means nothing in another. */
  readonly identity: string
  readonly cursor: string
  readonly realms: ReadonlyArray<{ readonly realmUrl: RealmUrl; readonly generation: number }>
}

/** One pinned connection that listens and speaks. Every method ends, with an error, when the connection does not answer. */
export interface Session {
  /** Everything heard on any channel, in order. It fails when the session is lost. */
  readonly inbox: Queue.Dequeue<Message, DatabaseError>
  /** Renews the membership; false if there is none any more. */
  readonly renew: Effect.Effect<boolean, DatabaseError>
  /** Makes the membership, committed when this returns. */
  readonly register: Effect.Effect<void, DatabaseError>
  /** Reads what changed since `cursor`; from nothing when there is none. */
  readonly catchUp: (cursor: string | undefined) => Effect.Effect<CatchUp, DatabaseError>
  /**
   * Raises all generations past any that were issued, where another timeline or database answers than before, or when
   * this one `wentBack`. Says whether they were raised.
   */
  readonly beginEpoch: (wentBack: boolean) => Effect.Effect<boolean, DatabaseError>
  /** Sends a payload on `lockstep_acks`: to this boot alone, or to every member. */
  readonly acknowledge: (payload: string, to?: string) => Effect.Effect<void, DatabaseError>
}

const CatchUpRows = Schema.NonEmptyArray(Schema.Struct({
  identity: Schema.String,
  cursor: Schema.String,
  realm_url: Schema.NullOr(Schema.String),
  generation: Schema.NullOr(Schema.Finite)
}))
const decodeCatchUp = Schema.decodeUnknownSync(CatchUpRows)

/** Opens the pinned sessions that a replica's lease lives on. */
export class Sessions extends Context.Service<Sessions, {
  readonly open: (member: ReplicaRow) => Effect.Effect<Session, DatabaseError, Scope.Scope>
}>()("lockstep/coordination/Sessions") {
  static readonly layer = Layer.effect(
    Sessions,
    Effect.map(SessionConfig, (config) => Sessions.of({ open: (member) => open(config, member) }))
  )

  /** Sessions on the memory tables; those of one instance hear what is sent on its bus. */
  static readonly layerMemory = Layer.effect(
    Sessions,
    Effect.gen(function*() {
      const bus = yield* MemoryBus
      const database = yield* MemoryDatabase
      return Sessions.of({ open: (member) => openMemory(bus, database, member) })
    })
  )
}

const lost = (cause: unknown) => new DatabaseError({ operation: "keep the listening session", cause })

const open = Effect.fnUntraced(function*(config: PgConnection.Config, member: ReplicaRow) {
  const connection = yield* Effect.mapError(PgConnection.make(sessionConfig(config, "listener")), lost)
  // Closed first, and by hand: closing a scope with an open listener on a dead connection would wait for it.
  const pinned = yield* Scope.make()
  const pin = yield* Scope.provide(connection.pin, pinned)
  yield* Effect.addFinalizer((exit) => Scope.close(pinned, exit))

  const inbox = yield* Queue.unbounded<Message, DatabaseError>()
  const own = [acknowledgements(member.bootId), "lockstep_acks"] as const
  for (const [listened, channel] of [...channels.map((channel) => [channel, channel] as const), own]) {
    const heard = yield* Effect.mapError(Scope.provide(pin.listen(listened), pinned), lost)
    yield* Effect.forkScoped(
      Effect.forever(
        Effect.flatMap(Queue.takeAll(heard), (notifications) =>
          Queue.offerAll(
            inbox,
            notifications.map(({ payload, processId }) => ({ channel, payload, sender: processId }))
          ))
      ).pipe(Effect.catchCause(() => Queue.fail(inbox, lost(new Error("the connection ended")))))
    )
  }

  // A black hole is noticed long before a usual lease ends; and PostgreSQL may be slow for a moment.
  const patience = Math.max(600, member.leaseMillis * 0.4)
  const query = (statement: string, parameters: ReadonlyArray<unknown> = []) =>
    Effect.mapError(askSession(pin.query(statement, parameters), patience), lost)

  return {
    inbox,
    renew: Effect.map(query(renewMembership, [member.replicaId, member.bootId]), ({ rows }) => rows.length > 0),
    register: Effect.asVoid(
      query(registerMembership, [member.replicaId, member.bootId, member.advertiseUrl, String(member.leaseMillis)])
    ),
    catchUp: Effect.fnUntraced(function*(cursor: string | undefined) {
      let { rows } = yield* query(catchUp, [cursor ?? null])
      if (rows.length === 0) {
        yield* query(beginIncarnation)
        rows = (yield* query(catchUp, [cursor ?? null])).rows
      }
      const decoded = decodeCatchUp(rows)
      return {
        identity: decoded[0].identity,
        cursor: decoded[0].cursor,
        realms: decoded.flatMap(({ generation, realm_url }) =>
          realm_url === null || generation === null ? [] : [{ realmUrl: realm_url as RealmUrl, generation }]
        )
      }
    }),
    beginEpoch: (wentBack) => Effect.map(query(beginEpoch, [String(wentBack)]), ({ rows }) => rows.length > 0),
    acknowledge: (payload, to) =>
      Effect.asVoid(query(acknowledge, [to === undefined ? "lockstep_acks" : acknowledgements(to), payload]))
  } satisfies Session
})

const openMemory = Effect.fnUntraced(function*(
  bus: MemoryBus["Service"],
  database: MemoryDatabase["Service"],
  member: ReplicaRow
) {
  const inbox = yield* Queue.unbounded<Message, DatabaseError>()
  yield* bus.subscribe(({ to, ...message }) => {
    if (to === undefined || to === member.bootId) Queue.offerUnsafe(inbox, message)
  })
  // Counted on over memberships of this boot: one that was forgotten is not taken for the next.
  const renewed = (tables: MemoryTables) => {
    const renewals = (tables.renewals.get(member.bootId) ?? 0) + 1
    tables.renewals.set(member.bootId, renewals)
    tables.replicas.set(member.bootId, { ...member, renewals })
  }
  return {
    inbox,
    renew: database.write((tables) => {
      const known = tables.replicas.has(member.bootId)
      if (known) renewed(tables)
      return known
    }),
    register: database.write((tables) => {
      if (!tables.replicas.has(member.bootId)) renewed(tables)
    }),
    catchUp: (cursor) =>
      database.read((tables) => ({
        identity: tables.incarnation,
        cursor: String(Math.max(0, ...tables.moves.values()) + 1),
        realms: cursor === undefined ? [] : Array.from(tables.moves).flatMap(([url, move]) => {
          const row = tables.realms.get(url)
          return row === undefined || move < Number(cursor)
            ? []
            : [{ realmUrl: row.realmUrl, generation: row.generation }]
        })
      })),
    beginEpoch: () => Effect.succeed(false),
    acknowledge: (payload, to) => Effect.sync(() => bus.publish({ channel: "lockstep_acks", payload, sender: 0, to }))
  } satisfies Session
})
