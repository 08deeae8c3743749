import { Effect } from "effect"
import type { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import { statement } from "./statement.ts"

/** Sends notifications in order, from one backend. In a transaction they are sent with its commit. */
export const notify = (
  sql: SqlClient.SqlClient,
  messages: ReadonlyArray<{ readonly channel: string; readonly payload: string }>
): Effect.Effect<void, DatabaseError> =>
  messages.length === 0 ? Effect.void : Effect.asVoid(statement(
    "notify",
    sql`SELECT pg_notify(channel, payload) FROM unnest(
      ${messages.map((message) => message.channel)}::text[],
      ${messages.map((message) => message.payload)}::text[]
    ) AS message (channel, payload)`
  ))
