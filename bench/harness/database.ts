import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { BenchFailed } from "./BenchFailed.ts"

/** A pool on this database until the scope closes; a statement that fails voids the bench. */
export const onDatabase = Effect.fnUntraced(function*(url: string, maxConnections = 1) {
  const attempt = <A, E, R>(what: string, work: Effect.Effect<A, E, R>) =>
    Effect.mapError(work, (error) => new BenchFailed({ detail: `cannot ${what}: ${String(error)}` }))
  const context = yield* attempt(
    "connect",
    Layer.build(PgClient.layer({ url: Redacted.make(url), maxConnections }))
  )
  return { client: Context.get(context, SqlClient.SqlClient), attempt }
})
