import { Effect } from "effect"
import { catchUp as catchUpStatement } from "../../src/store/sessionStatements.ts"
import { alternate } from "../harness/alternate.ts"
import { onDatabase } from "../harness/database.ts"
import { smallFleet, startEmbedded } from "../harness/embedded.ts"
import { millis } from "../harness/format.ts"
import { median, p99, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Row } from "../Row.ts"

const times = 100

const withRealms = Effect.fnUntraced(function*(realms: number) {
  const { scale } = yield* Workbench
  const fleet = yield* smallFleet
  // It migrates the database, and goes.
  yield* Effect.scoped(startEmbedded(fleet, "host"))
  const { attempt, client: sql } = yield* onDatabase(fleet.databaseUrl)
  yield* attempt(
    "make realms",
    sql`INSERT INTO realm_generations
      (realm_url, generation, state, directory, wipe_floor, definition_floor, changed_xid)
      SELECT 'http://localhost:4201/many-' || number || '/', 1, 'live', 'small', 1, 1, pg_current_xact_id()
      FROM generate_series(1, ${realms}::int) AS number`
  )
  yield* attempt("analyze", sql.unsafe("VACUUM ANALYZE realm_generations"))

  // Of each round: how long every statement took.
  const measure = <E>(once: (index: number) => Effect.Effect<number, E>) =>
    attempt("measure", Effect.forEach(Array.from({ length: times }, (_, index) => index), once))
  const timed = <A, E>(statement: Effect.Effect<A, E>) =>
    Effect.suspend(() => {
      const from = performance.now()
      return Effect.map(statement, (answer) => ({ answer, millis: performance.now() - from }))
    })
  const ask = (cursor: string | null) =>
    Effect.map(sql.unsafe<{ cursor: string }>(catchUpStatement, [cursor]), ([row]) => row?.cursor ?? "")

  // One realm moves between two catch-ups: what a replica meets three times a lease.
  let cursor = yield* attempt("read the cursor", ask(null))
  const catchUp = measure(Effect.fnUntraced(function*(index) {
    yield* sql`UPDATE realm_generations SET generation = generation + 1, changed_xid = pg_current_xact_id()
      WHERE realm_url = ${`http://localhost:4201/many-${1 + index % realms}/`}`
    const { answer, millis } = yield* timed(ask(cursor))
    cursor = answer
    return millis
  }))
  const select = measure(() => Effect.map(timed(sql.unsafe("SELECT 1")), ({ millis }) => millis))
  yield* catchUp
  const measured = yield* alternate(scale.rounds, { catchUp, select })
  return {
    name: `${realms.toLocaleString("en-US")} realms, one of which moved`,
    lockstep: `p50 ${millis(median(measured.catchUp.flat()))}, p99 ${millis(p99(measured.catchUp.flat()))}`,
    peer: { name: "SELECT 1", figure: `p50 ${millis(median(measured.select.flat()))}` },
    ratio: ratios(measured.select.map(median), measured.catchUp.map(median)),
    also: { statements: `${measured.catchUp.flat().length}` }
  }
}, Effect.scoped)

export const catchUp: Row = {
  name: "catch-up",
  title: "The lease's catch-up, on one session: its cost follows the realms that moved, not those that there are",
  run: Effect.forEach([10, 1000, 100_000], withRealms)
}
