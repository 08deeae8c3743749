import { Clock, Context, Effect, Exit, Layer } from "effect"
import { DatabaseError } from "../../src/domain/errors.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import type { MemoryTables } from "../../src/store/MemoryDatabase.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { ReplicaTable } from "../../src/store/ReplicaTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { statementDeadline } from "../../src/store/statement.ts"
import { type Connection, type Link, poolPurpose } from "./Link.ts"
import type { Postgres, Transaction } from "./Postgres.ts"

interface Open {
  readonly connection: Connection
  transaction: Transaction | undefined
}

const CurrentTransaction = Context.Reference<Open | undefined>("lockstep/simulation/CurrentTransaction", {
  defaultValue: () => undefined
})

// The realms whose rows a statement reads for a replica's memory.
const CurrentReading = Context.Reference<ReadonlyArray<string>>("lockstep/simulation/CurrentReading", {
  defaultValue: () => []
})

// The members that a statement forgets.
const CurrentForgetting = Context.Reference<ReadonlyArray<string>>("lockstep/simulation/CurrentForgetting", {
  defaultValue: () => []
})

/**
 * The memory tables' database, at the other end of a network. `slowWrites` is how long a statement may take, at most,
 * between its snapshot and its write, outside of transactions.
 */
export const layerDatabase = (link: Link, postgres: Postgres, slowWrites: number) =>
  Layer.sync(MemoryDatabase, () => {
    const { simulation } = link
    let pooled: Connection | undefined
    const pool = () => pooled = pooled?.alive === true ? pooled : link.open(poolPurpose)

    const statement = <A>(operation: string, sent: Effect.Effect<A, DatabaseError>) =>
      Effect.timeoutOrElse(sent, {
        duration: statementDeadline,
        orElse: () => Effect.fail(new DatabaseError({ operation, cause: new Error("no answer in time") }))
      })

    const run = <A>(
      operation: string,
      execute: (transaction: Transaction | undefined, answer: (value: A) => void) => void
    ) =>
      Effect.flatMap(CurrentTransaction, (open) =>
        statement(
          operation,
          (open?.connection ?? pool()).call<A>(operation, (answer) => {
            if (open !== undefined && open.transaction === undefined) open.transaction = postgres.begin(link.process)
            if (open?.transaction?.ended === true) return
            execute(open?.transaction, answer)
          })
        ))

    const transaction = <A, E, R>(work: Effect.Effect<A, E, R>) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          const open: Open = { connection: link.open("use a transaction"), transaction: undefined }
          const rollBack = () => {
            if (open.transaction !== undefined) postgres.rollBack(open.transaction)
          }
          open.connection.onServer(rollBack)
          const exit = yield* Effect.exit(restore(Effect.provideService(work, CurrentTransaction, open)))
          if (Exit.isSuccess(exit)) {
            // A commit that failed, or whose fate is not known, ends its connection: nothing may stay open.
            yield* open.connection.call<void>("commit a transaction", (answer) => {
              postgres.holdCommit(link.process, () => {
                if (open.transaction === undefined || postgres.commit(open.transaction)) answer(undefined)
              })
            }).pipe(
              Effect.onError(() => Effect.sync(() => open.connection.end())),
              Effect.ensuring(Effect.sync(() => link.connections.delete(open.connection)))
            )
          } else open.connection.end()
          return yield* exit
        })
      )

    return MemoryDatabase.of({
      read: <A>(f: (tables: MemoryTables) => A) =>
        Effect.flatMap(CurrentReading, (urls) =>
          run<A>("read", (own, answer) => {
            const value = postgres.read(own, f)
            if (urls.length === 0) answer(value)
            else postgres.holdReading(link.process, urls, () => answer(value))
          })),
      write: <A>(f: (tables: MemoryTables) => A) =>
        Effect.flatMap(CurrentForgetting, (bootIds) =>
          run<A>("write", (own, answer) => {
            const pause = own === undefined && simulation.chance(0.5) ? simulation.random() * slowWrites : 0
            const write = () => postgres.write(link.process, own, f, answer, pause)
            if (bootIds.length === 0) write()
            else postgres.holdForgetting(bootIds, write)
          })),
      transaction
    })
  })

/** Members that a publisher takes for dead may renew while the statement that forgets them is on its way. */
export const layerForgetting = Layer.effect(
  ReplicaTable,
  Effect.map(ReplicaTable, (table) =>
    ReplicaTable.of({
      ...table,
      forget: (members) =>
        Effect.provideService(table.forget(members), CurrentForgetting, members.map(({ bootId }) => bootId))
    }))
)

/** Realms as a replica's memory reads them: such a reply may be overtaken by what it does not know of. */
export const layerRealmReadings = Layer.effect(
  RealmTable,
  Effect.map(
    RealmTable,
    (table) =>
      RealmTable.of({ ...table, read: (urls) => Effect.provideService(table.read(urls), CurrentReading, urls) })
  )
)

/** Versions and copies are dated by the server's clock, not by that of the replica which makes the statement. */
export const withServerClock = (clock: Clock.Clock) =>
  Layer.effect(
    RealmVersionTable,
    Effect.map(RealmVersionTable, (table) =>
      RealmVersionTable.of({
        ...table,
        begin: (...args) => Effect.provideService(table.begin(...args), Clock.Clock, clock),
        commit: (...args) => Effect.provideService(table.commit(...args), Clock.Clock, clock),
        sweep: (...args) => Effect.provideService(table.sweep(...args), Clock.Clock, clock),
        expire: (...args) => Effect.provideService(table.expire(...args), Clock.Clock, clock)
      }))
  )
