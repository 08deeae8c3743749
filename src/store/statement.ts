import { Cause, Effect, Exit, Fiber } from "effect"
import type { SqlClient, SqlError } from "effect/sql"
import { DatabaseError } from "../domain/errors.ts"
import { timeoutAwake } from "../domain/timeoutAwake.ts"

/** How long a statement may take before its caller is told that PostgreSQL cannot be asked. */
export const statementDeadline = "5 seconds"

/** Names a statement in its errors and gives it a deadline, so that no caller waits for a silent server. */
export const statement = <A, R>(
  operation: string,
  effect: Effect.Effect<A, SqlError.SqlError, R>
): Effect.Effect<A, DatabaseError, R> =>
  Effect.acquireUseRelease(
    Effect.forkDetach(effect, { startImmediately: true }),
    (sent) =>
      timeoutAwake(Fiber.join(sent), {
        patience: statementDeadline,
        orElse: () => Effect.fail(new Cause.TimeoutError(`no answer in ${statementDeadline}`))
      }),
    // The end of a statement that was given up is not waited for: over a dead connection it takes as long again.
    (sent, exit) => Exit.isSuccess(exit) ? Effect.void : Effect.forkDetach(Fiber.interrupt(sent))
  ).pipe(Effect.mapError((cause) => new DatabaseError({ operation, cause })))

/** Runs a `DELETE` and answers how many rows it took. Its parameters are numbered. */
export const countDeleted = (
  sql: SqlClient.SqlClient,
  operation: string,
  deletion: string,
  values: ReadonlyArray<unknown> = []
): Effect.Effect<number, DatabaseError> =>
  Effect.map(
    statement(
      operation,
      sql.unsafe<{ count: number }>(
        `WITH gone AS (${deletion} RETURNING 1) SELECT count(*)::float8 AS count FROM gone`,
        values
      )
    ),
    (rows) => rows[0]?.count ?? 0
  )
