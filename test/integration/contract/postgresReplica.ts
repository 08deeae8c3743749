import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { Counters } from "../../../src/coordination/Counters.ts"
import { Lease } from "../../../src/coordination/Lease.ts"
import { LockSession } from "../../../src/coordination/LockSession.ts"
import { Membership } from "../../../src/coordination/Membership.ts"
import { Notifications } from "../../../src/coordination/Notifications.ts"
import { PopulateCoordinator } from "../../../src/coordination/PopulateCoordinator.ts"
import { RealmWriteLock } from "../../../src/coordination/RealmWriteLock.ts"
import { Sessions } from "../../../src/coordination/Sessions.ts"
import { ReplicaTable } from "../../../src/store/ReplicaTable.ts"
import { identity } from "../../coordination/leases.ts"

/** Of a session that a standstill of the machine does not end. */
const leaseMillis = 30_000

export const listening = Notifications.layer.pipe(
  Layer.provideMerge(Lease.layer),
  Layer.provide(Layer.mergeAll(Membership.layer(identity("one", leaseMillis)), ReplicaTable.layer, Sessions.layer)),
  Layer.provideMerge(Counters.layer)
)

/** Everything of one replica, on sessions of its own. */
export const replica = Layer.fresh(
  Layer.mergeAll(PopulateCoordinator.layer, RealmWriteLock.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(LockSession.layer, listening))
  )
)

export const terminate = (purpose: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = ${`lockstep ${purpose}`}`)

/** Those of this database, and who holds them. */
export const advisoryLocks = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    sql<{ pid: number; key: string }>`SELECT pid, ((classid::bigint << 32) | objid::bigint)::text AS key
    FROM pg_locks WHERE locktype = 'advisory' AND granted
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
)
