import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { DatabaseError } from "../domain/errors.ts"
import { statement } from "./statement.ts"

/** Well below the time that collecting tombstones waits for statements to end. */
const longest = 10_000

/**
 * Behind a pooler in transaction mode a client cannot say how long its statements and idle transactions may last: the
 * server's sessions are the pooler's. The role or the pooler has to, and this looks whether it did: a write that lived on
 * past a collection of tombstones could bring back what was voided (S12), and a frozen replica would hold its rows.
 */
export const checkPooled = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const [found] = yield* statement(
    "read the limits of pooled sessions",
    sql<{ role: string; statement: number; transaction: number }>`SELECT current_user::text AS role,
      (SELECT setting::float8 FROM pg_settings WHERE name = 'statement_timeout') AS statement,
      (SELECT setting::float8 FROM pg_settings WHERE name = 'idle_in_transaction_session_timeout') AS transaction`
  )
  if (found === undefined || [found.statement, found.transaction].every((limit) => limit > 0 && limit <= longest)) {
    return
  }
  const role = `"${found.role.replaceAll("\"", "\"\"")}"`
  return yield* new DatabaseError({
    operation: "be used through a pooler",
    cause: "sessions behind the pooler may run statements, or idle in transactions, for more than " +
      `${longest / 1000} s: ALTER ROLE ${role} SET statement_timeout = '5s'; ` +
      `ALTER ROLE ${role} SET idle_in_transaction_session_timeout = '5s'; then restart the pooler's connections`
  })
})
