import { PgClient } from "@effect/sql-pg"
import { assert, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { migrate, migrations } from "../../../src/store/migrations.ts"
import { temporaryDatabase } from "../../support/database.ts"
import { applied, Fleet, post } from "../../support/fleet.ts"
import { expectStatus } from "../main-job/expectations.ts"
import { breaks, migrateTo, shape } from "./schema.ts"

const emptyDatabase = Layer.unwrap(
  Effect.map(temporaryDatabase, (url) => PgClient.layer({ url, maxConnections: 2 }))
)

/** The schema of the first release. From here on versions run side by side. */
const firstRelease = "0010_renderings_anew"

const names = Object.keys(migrations).sort()
const upTo = (last: string) =>
  Object.fromEntries(names.filter((name) => name <= last).map((name) => [name, migrations[name]!]))

it.live("every migration since the first release leaves what older versions read and write as it was", () =>
  Effect.gen(function*() {
    assert.include(names, firstRelease)
    yield* migrateTo(upTo(firstRelease))
    let before = yield* shape
    for (const name of names.filter((each) => each > firstRelease)) {
      yield* migrateTo(upTo(name))
      const after = yield* shape
      if (!name.includes("_contract_")) assert.deepStrictEqual(breaks(before, after), [], name)
      before = after
    }
  }).pipe(Effect.provide(emptyDatabase)))

it.live("a migration that an older version would stumble over is found", () =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* migrateTo(migrations)
    const before = yield* shape
    for (
      const [change, found] of [
        ["ALTER TABLE jobs DROP COLUMN worker", "jobs.worker is gone"],
        ["ALTER TABLE jobs RENAME COLUMN worker TO taken_by", "jobs.worker is gone"],
        ["ALTER TABLE encodings RENAME TO encoded", "encodings.etag is gone"],
        ["ALTER TABLE replicas ALTER COLUMN lease_ms TYPE bigint", "replicas.lease_ms was integer and is bigint"],
        ["ALTER TABLE jobs ALTER COLUMN error SET NOT NULL", "jobs.error must not be null any more"],
        ["ALTER TABLE jobs ALTER COLUMN attempts DROP DEFAULT", "jobs.attempts has no default any more"],
        ["ALTER TABLE jobs ADD COLUMN owner text NOT NULL", "jobs.owner is new, not null and has no default"],
        ["ALTER TABLE jobs ADD CONSTRAINT few CHECK (attempts < 3)", "jobs.few is new"],
        ["DROP INDEX jobs_one_waiting", "jobs.jobs_one_waiting is not"],
        ["CREATE UNIQUE INDEX one_error ON jobs (error)", "jobs.one_error is new"]
      ] as const
    ) {
      // Undone each time: what is found is the failure.
      const undone = Effect.andThen(
        sql.unsafe(change),
        Effect.flatMap(shape, (after) => Effect.fail(breaks(before, after)))
      )
      const breakage = yield* Effect.flip(sql.withTransaction(undone))
      assert.include(String(breakage), found, change)
    }
    assert.deepStrictEqual(breaks(before, yield* shape), [])
  }).pipe(Effect.provide(emptyDatabase)))

it.live("an older version starts on what a newer one has added to, and not on what it has taken away", () =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* migrate
    yield* sql`INSERT INTO lockstep_migrations (migration_id, name) VALUES (9000, 'something_more')`
    yield* migrate
    yield* sql`INSERT INTO lockstep_migrations (migration_id, name) VALUES (9001, 'contract_something')`
    const refused = yield* Effect.flip(migrate)
    assert.include(refused.message, "9001_contract_something")
    assert.include(refused.message, "start that version instead")
  }).pipe(Effect.provide(emptyDatabase)))

it.live("generations of a database from before its tables were named are not raised by the upgrade", () =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* migrateTo(upTo(firstRelease))
    yield* sql`INSERT INTO database_identity (system_identifier, timeline)
      SELECT system_identifier::text, left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_system()`
    yield* migrate
    const [row] = yield* sql`SELECT epoch, tables IS NOT NULL AS named FROM database_identity`
    assert.deepStrictEqual(row, { epoch: 0, named: true })
  }).pipe(Effect.provide(emptyDatabase)))

/** Whose JSX this is, by the import that the pipeline adds. */
const runtimeOf = (javascript: string) => /from "(\w+)\/jsx-runtime"/.exec(javascript)?.[1]

layer(Fleet.layer({ replicas: 1, args: ["--workers", "1", "--jsx-import-source", "react"] }), {
  excludeTestServices: true
})("replicas of two pipelines on one database", (it) => {
  it.effect("serve each its own bytes, and neither makes them again because the other was there", () =>
    Effect.gen(function*() {
      const { first: older, publish, realm, start, unused } = yield* Fleet
      const newer = yield* start({ args: ["--workers", "1", "--jsx-import-source", "preact"] })
      const files = Array.from({ length: 5 }, (_, n) => `page${n}.tsx`)
      const source = yield* realm(
        Object.fromEntries(files.map((file, n) => [file, `export const Page${n} = () => <p>{${n}}</p>\n`]))
      )
      const target = unused()
      expectStatus(yield* publish(source, target, older), 202)
      const servedBy = Effect.fnUntraced(function*(replica: typeof older, runtime: string) {
        for (const file of files) {
          const answer = expectStatus(yield* replica.ask(target.path(file)), 200)
          assert.strictEqual(runtimeOf(answer.text), runtime, answer.shown)
        }
      })
      const transpiles = (replica: typeof older) => Effect.map(replica.status, (status) => status["transpiles"])
      for (let round = 0; round < 3; round++) {
        yield* servedBy(older, "react")
        yield* servedBy(newer, "preact")
      }
      assert.strictEqual(yield* transpiles(older), files.length)
      assert.strictEqual(yield* transpiles(newer), files.length)

      // Replicas that start in the middle of the roll-out, of either, find what theirs have made: the row of a path is the
      // other's by now, and what was made from the same bytes is kept beside it.
      const again = yield* start({ args: ["--workers", "1", "--jsx-import-source", "react"] })
      yield* servedBy(again, "react")
      const another = yield* start({ args: ["--workers", "1", "--jsx-import-source", "preact"] })
      yield* servedBy(another, "preact")
      yield* servedBy(again, "react")
      assert.strictEqual(yield* transpiles(again), 0)
      assert.strictEqual(yield* transpiles(another), 0)

      // A publish of unchanged files is nobody's work either, whoever publishes.
      expectStatus(yield* publish(source, target, newer), 202)
      for (const replica of [older, again]) yield* servedBy(replica, "react")
      for (const replica of [newer, another]) yield* servedBy(replica, "preact")
      for (const replica of [again, another]) assert.strictEqual(yield* transpiles(replica), 0)
      assert.strictEqual(yield* transpiles(older), files.length)
      assert.strictEqual(yield* transpiles(newer), files.length)

      // An invalidation by either reaches both: each makes its own anew, once.
      const { generation } = expectStatus(yield* post(newer, "/_invalidate", { realmURL: target.url }), 200).json
      for (const replica of [older, newer, again, another]) yield* applied(replica, target, Number(generation))
      yield* servedBy(older, "react")
      yield* servedBy(newer, "preact")
      yield* servedBy(older, "react")
      yield* servedBy(again, "react")
      yield* servedBy(another, "preact")
      assert.strictEqual(yield* transpiles(older), 2 * files.length)
      assert.strictEqual(yield* transpiles(newer), 2 * files.length)
      for (const replica of [again, another]) assert.strictEqual(yield* transpiles(replica), 0)
    }))
})
