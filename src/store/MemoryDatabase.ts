import * as crypto from "node:crypto"
import { Context, Effect, Layer, Semaphore } from "effect"
import type { DatabaseError } from "../domain/errors.ts"
import type { Member } from "./ReplicaTable.ts"
import type { RealmRow } from "./RealmTable.ts"
import type { CopyRow, VersionRow } from "./RealmVersionTable.ts"
import type { CacheRow } from "./CacheTable.ts"
import type { Permission } from "./PermissionTable.ts"
import type { RecordedFile } from "./RealmFileTable.ts"
import type { WriteIntent } from "./WriteIntentTable.ts"
import type { MemoryJob } from "./JobTable.ts"
import type { IndexRow } from "./RealmIndexTable.ts"

/** Keys are the primary keys, joined by NUL where there are several columns. Rows are never changed in place. */
export interface MemoryTables {
  readonly realms: Map<string, RealmRow>
  readonly insertFloors: Map<string, number>
  /** None for a realm that shares its contents with all others. */
  readonly salts: Map<string, string>
  /** When each realm last moved, counted in moves of any realm. */
  readonly moves: Map<string, number>
  readonly versions: Map<string, VersionRow>
  readonly copies: Map<string, CopyRow>
  readonly intents: Map<string, WriteIntent>
  readonly files: Map<string, RecordedFile>
  readonly caches: Map<string, Map<string, CacheRow>>
  readonly jobs: Map<number, MemoryJob>
  readonly index: Map<string, IndexRow>
  readonly replicas: Map<string, Member>
  /** How often each boot has registered or renewed, forgotten ones included. */
  readonly renewals: Map<string, number>
  /** By realm and user. */
  readonly permissions: Map<string, Permission>
  readonly fleetSecret: string
  readonly incarnation: string
}

const empty = (): MemoryTables => ({
  realms: new Map(),
  insertFloors: new Map(),
  salts: new Map(),
  moves: new Map(),
  versions: new Map(),
  copies: new Map(),
  intents: new Map(),
  files: new Map(),
  caches: new Map(),
  jobs: new Map(),
  index: new Map(),
  replicas: new Map(),
  renewals: new Map(),
  permissions: new Map(),
  fleetSecret: crypto.randomUUID() + crypto.randomUUID(),
  incarnation: "memory"
})

const copy = (tables: MemoryTables): MemoryTables => ({
  realms: new Map(tables.realms),
  insertFloors: new Map(tables.insertFloors),
  salts: new Map(tables.salts),
  moves: new Map(tables.moves),
  versions: new Map(tables.versions),
  copies: new Map(tables.copies),
  intents: new Map(tables.intents),
  files: new Map(tables.files),
  caches: new Map(Array.from(tables.caches, ([name, rows]) => [name, new Map(rows)])),
  jobs: new Map(tables.jobs),
  index: new Map(tables.index),
  replicas: new Map(tables.replicas),
  renewals: new Map(tables.renewals),
  permissions: new Map(tables.permissions),
  fleetSecret: tables.fleetSecret,
  incarnation: tables.incarnation
})

// The open transaction of the running fiber, if any: its statements work on a copy that nobody else sees.
const CurrentTransaction = Context.Reference<MemoryTables | undefined>("lockstep/store/MemoryDatabase/Current", {
  defaultValue: () => undefined
})

/**
 * The tables of one process without PostgreSQL: for tests and for embedding without a server. Writers take turns, and
 * readers see what is committed, as under READ COMMITTED.
 */
export class MemoryDatabase extends Context.Service<MemoryDatabase, {
  readonly read: <A>(f: (tables: MemoryTables) => A) => Effect.Effect<A, DatabaseError>
  readonly write: <A>(f: (tables: MemoryTables) => A) => Effect.Effect<A, DatabaseError>
  readonly transaction: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DatabaseError, R>
}>()("lockstep/store/MemoryDatabase") {
  static readonly layer = Layer.sync(MemoryDatabase, () => {
    let committed = empty()
    const writer = Semaphore.makeUnsafe(1)
    return MemoryDatabase.of({
      read: (f) => Effect.map(CurrentTransaction, (open) => f(open ?? committed)),
      write: (f) =>
        Effect.flatMap(
          CurrentTransaction,
          (open) => open === undefined ? writer.withPermit(Effect.sync(() => f(committed))) : Effect.sync(() => f(open))
        ),
      transaction: (work) =>
        writer.withPermit(Effect.suspend(() => {
          const open = copy(committed)
          return Effect.tap(Effect.provideService(work, CurrentTransaction, open), () =>
            Effect.sync(() => {
              committed = open
            }))
        }))
    })
  })
}
