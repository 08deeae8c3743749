import { Context, Effect, Layer } from "effect"
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
          // The tables turn their own failures into DatabaseError: a SqlError here comes from BEGIN or COMMIT, or as a
          // defect from a ROLLBACK over a connection that was lost, with which the transaction is undone all the same.
          sql.withTransaction(work).pipe(
            Effect.catchDefect((defect) => SqlError.isSqlError(defect) ? Effect.fail(defect) : Effect.die(defect)),
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
