import { Cause, Context, Effect, Layer } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import { DatabaseError } from "../domain/errors.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"

/**
 * All or none: what the tables do inside `run` is committed together when it succeeds, and undone when it fails or is
 * interrupted. Statements inside see READ COMMITTED data.
 */
export class Transaction extends Context.Service<Transaction, {
  readonly run: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DatabaseError, R>
}>()("lockstep/store/Transaction") {
  static readonly layer = Layer.effect(
    Transaction,
    Effect.map(SqlClient.SqlClient, (sql) =>
      Transaction.of({
        run: (work) =>
          sql.withTransaction(work).pipe(
            // A connection that was lost cannot ROLLBACK either, which makes a defect of whatever `work` failed with. The
            // server has undone the transaction all the same.
            Effect.catchCauseIf(
              (cause) =>
                cause.reasons.some((reason) => Cause.isDieReason(reason) && SqlError.isSqlError(reason.defect)),
              (cause) =>
                Effect.fail(new DatabaseError({ operation: "roll back a transaction", cause: Cause.squash(cause) }))
            ),
            // The tables turn their own failures into DatabaseError: a SqlError here comes from BEGIN or COMMIT.
            Effect.mapError((error) =>
              SqlError.isSqlError(error)
                ? new DatabaseError({ operation: "commit a transaction", cause: error })
                : error
            )
          )
      }))
  )

  static readonly layerMemory = Layer.effect(
    Transaction,
    Effect.map(MemoryDatabase, (database) => Transaction.of({ run: database.transaction }))
  )
}
