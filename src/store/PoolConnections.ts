import { Context, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import { statement } from "./statement.ts"

/** How many connections this replica's pool holds, as the server counts them: the pool has a name of its own. */
export class PoolConnections extends Context.Service<PoolConnections, {
  readonly count: Effect.Effect<number, DatabaseError>
}>()("lockstep/store/PoolConnections") {
  static readonly layer = Layer.effect(
    PoolConnections,
    Effect.map(SqlClient.SqlClient, (sql) =>
      PoolConnections.of({
        count: statement(
          "count connections",
          sql<{ count: number }>`SELECT count(*)::float8 AS count FROM pg_stat_activity
            WHERE application_name = current_setting('application_name') AND datname = current_database()`
        ).pipe(Effect.map((rows) => rows[0]?.count ?? 0))
      }))
  )

  static readonly layerMemory = Layer.succeed(PoolConnections, { count: Effect.succeed(0) })
}
