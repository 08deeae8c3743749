import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { randomUUID } from "node:crypto"
import { inject } from "vitest"

/** An empty database of one's own on the run's server, until the scope closes; yields its URL. */
export const temporaryDatabase = Effect.gen(function*() {
  const server = inject("databaseUrl")
  // From the system, not from Random: a seeded test must not meet another's database.
  const name = `test_${randomUUID().replaceAll("-", "")}`
  yield* Effect.acquireRelease(
    onServer(server, (sql) => sql`CREATE DATABASE ${sql(name)}`),
    () => Effect.ignore(onServer(server, (sql) => sql`DROP DATABASE ${sql(name)} WITH (FORCE)`), { log: "Warn" })
  )
  const url = new URL(server)
  url.pathname = name
  return Redacted.make(url.href)
})

const onServer = <A, E>(url: string, work: (sql: SqlClient.SqlClient) => Effect.Effect<A, E>) =>
  Effect.flatMap(SqlClient.SqlClient, work).pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))
  )
