import { Clock, Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/** One server process of the fleet, known by its id and the uuid of this boot: twins with one id are two members. */
export const ReplicaRow = Schema.Struct({
  replicaId: Schema.String,
  bootId: Schema.String,
  advertiseUrl: Schema.String,
  leaseMillis: Schema.Finite
})
export type ReplicaRow = typeof ReplicaRow.Type

const decode = Schema.decodeUnknownSync(Schema.Array(ReplicaRow))

/** Table `replicas`: the members of the fleet. */
export class ReplicaTable extends Context.Service<ReplicaTable, {
  /** Registers this member, or says that it still lives. */
  readonly renew: (replica: ReplicaRow) => Effect.Effect<void, DatabaseError>
  /** Takes this member out, at a clean stop. */
  readonly leave: (replica: ReplicaRow) => Effect.Effect<void, DatabaseError>
  /** Members that renewed within three of their leases. Older ones are removed. */
  readonly live: Effect.Effect<ReadonlyArray<ReplicaRow>, DatabaseError>
}>()("lockstep/store/ReplicaTable") {
  static readonly layer = Layer.effect(
    ReplicaTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      return ReplicaTable.of({
        renew: (replica) =>
          Effect.asVoid(statement(
            "renew a membership",
            sql`INSERT INTO replicas (replica_id, boot_id, advertise_url, lease_ms)
              VALUES (${replica.replicaId}, ${replica.bootId}, ${replica.advertiseUrl}, ${replica.leaseMillis})
              ON CONFLICT (replica_id, boot_id) DO UPDATE SET renewed_at = now()`
          )),
        leave: (replica) =>
          Effect.asVoid(statement(
            "end a membership",
            sql`DELETE FROM replicas WHERE replica_id = ${replica.replicaId} AND boot_id = ${replica.bootId}`
          )),
        live: statement(
          "forget silent members",
          sql`DELETE FROM replicas WHERE renewed_at < now() - 3 * lease_ms * interval '1 millisecond'`
        ).pipe(
          Effect.andThen(statement(
            "list members",
            sql`SELECT replica_id AS "replicaId", boot_id::text AS "bootId", advertise_url AS "advertiseUrl",
              lease_ms AS "leaseMillis" FROM replicas ORDER BY replica_id, boot_id`
          )),
          Effect.map((rows) => decode(rows))
        )
      })
    })
  )

  static readonly layerMemory = Layer.effect(
    ReplicaTable,
    Effect.map(MemoryDatabase, (database) => {
      const renewedAt = new Map<string, number>()
      return ReplicaTable.of({
        renew: (replica) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            database.write((tables) => {
              renewedAt.set(replica.bootId, now)
              tables.replicas.set(replica.bootId, replica)
            })),
        leave: (replica) =>
          database.write((tables) => {
            tables.replicas.delete(replica.bootId)
          }),
        live: Effect.flatMap(
          Clock.currentTimeMillis,
          (now) =>
            database.read((tables) =>
              Array.from(tables.replicas.values())
                .filter((row) => now - (renewedAt.get(row.bootId) ?? 0) <= 3 * row.leaseMillis)
            )
        )
      })
    })
  )
}
