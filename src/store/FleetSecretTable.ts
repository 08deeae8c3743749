import { Context, Effect, Layer, Redacted, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { DatabaseError } from "../domain/errors.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

const decode = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({ secret: Schema.String })))

/**
 * Table `fleet_secret`: what everybody on this database has, and nobody else. Who deletes the row makes a new one come
 * about; passes of the old one are refused as soon as a replica has looked again.
 */
export class FleetSecretTable extends Context.Service<FleetSecretTable, {
  /** The secret; a new one where there is none yet. */
  readonly read: Effect.Effect<Redacted.Redacted, DatabaseError>
}>()("lockstep/store/FleetSecretTable") {
  static readonly layer = Layer.effect(
    FleetSecretTable,
    Effect.map(SqlClient.SqlClient, (sql) => {
      const select = statement("read the fleet's secret", sql`SELECT secret FROM fleet_secret`)
      const make = statement(
        "make the fleet's secret",
        sql`INSERT INTO fleet_secret DEFAULT VALUES ON CONFLICT DO NOTHING`
      )
      return FleetSecretTable.of({
        read: Effect.gen(function*() {
          let [row] = decode(yield* select)
          if (row === undefined) {
            yield* make
            row = decode(yield* select)[0]
          }
          if (row === undefined) {
            return yield* new DatabaseError({
              operation: "keep the fleet's secret",
              cause: "the row is deleted at once"
            })
          }
          return Redacted.make(row.secret)
        })
      })
    })
  )

  static readonly layerMemory = Layer.effect(
    FleetSecretTable,
    Effect.map(
      MemoryDatabase,
      (database) => FleetSecretTable.of({ read: database.read(({ fleetSecret }) => Redacted.make(fleetSecret)) })
    )
  )
}
