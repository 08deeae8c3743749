import { Context, Effect, Layer, Schema } from "effect"
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

/** A member as a publisher finds it. `renewals` tells whether it has renewed since. */
export interface Member extends ReplicaRow {
  readonly renewals: number
}

const MemberRow = Schema.Struct({ ...ReplicaRow.fields, renewals: Schema.Finite })
const decode = Schema.decodeUnknownSync(Schema.Array(MemberRow))

/** Table `replicas`: the members of the fleet. Members register and renew on their own session (`Sessions`). */
export class ReplicaTable extends Context.Service<ReplicaTable, {
  /** Every member, also silent ones: until it is forgotten, its lease must be waited for. */
  readonly members: Effect.Effect<ReadonlyArray<Member>, DatabaseError>
  /** Takes out those of these members that have not renewed since they were read. */
  readonly forget: (members: ReadonlyArray<Member>) => Effect.Effect<void, DatabaseError>
  /** Takes this member out, at a clean stop. */
  readonly leave: (replica: ReplicaRow) => Effect.Effect<void, DatabaseError>
}>()("lockstep/store/ReplicaTable") {
  static readonly layer = Layer.effect(
    ReplicaTable,
    Effect.map(SqlClient.SqlClient, (sql) =>
      ReplicaTable.of({
        members: statement(
          "list members",
          sql`SELECT replica_id AS "replicaId", boot_id::text AS "bootId", advertise_url AS "advertiseUrl",
            lease_ms AS "leaseMillis", renewals::float8 AS renewals FROM replicas ORDER BY replica_id, boot_id`
        ).pipe(Effect.map((rows) => decode(rows))),
        forget: (members) =>
          Effect.asVoid(statement(
            "forget silent members",
            sql`DELETE FROM replicas r USING unnest(
              ${members.map((member) => member.bootId)}::text[],
              ${members.map((member) => String(member.renewals))}::text[]
            ) AS silent (boot_id, renewals)
            WHERE r.boot_id = silent.boot_id::uuid AND r.renewals = silent.renewals::bigint`
          )),
        leave: (replica) =>
          Effect.asVoid(statement(
            "end a membership",
            sql`DELETE FROM replicas WHERE replica_id = ${replica.replicaId} AND boot_id = ${replica.bootId}::text::uuid`
          ))
      }))
  )

  static readonly layerMemory = Layer.effect(
    ReplicaTable,
    Effect.map(MemoryDatabase, (database) =>
      ReplicaTable.of({
        members: database.read((tables) => Array.from(tables.replicas.values())),
        forget: (members) =>
          database.write((tables) => {
            for (const { bootId, renewals } of members) {
              if (tables.replicas.get(bootId)?.renewals === renewals) tables.replicas.delete(bootId)
            }
          }),
        leave: ({ bootId }) =>
          database.write((tables) => {
            tables.replicas.delete(bootId)
          })
      }))
  )
}
