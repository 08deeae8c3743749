import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import { beginEpoch } from "./sessionStatements.ts"
import { statement } from "./statement.ts"

/** Begins a new epoch because somebody says that this database went back (I3). Answers how many realms were raised. */
export const raiseEpoch: Effect.Effect<number, DatabaseError, SqlClient.SqlClient> = Effect.flatMap(
  SqlClient.SqlClient,
  (sql) =>
    Effect.map(
      statement("begin an epoch", sql.unsafe<{ realms: number }>(beginEpoch, ["true"])),
      (rows) => rows[0]?.realms ?? 0
    )
)
