import * as fs from "node:fs/promises"
import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { migrate } from "../../../src/store/migrations.ts"
import { runCommand } from "../../cli/runCommand.ts"
import { temporaryDatabase } from "../../support/database.ts"
import { temporaryDirectory } from "../../support/fleet.ts"
import { lenientPooler } from "./lenientPooler.ts"

interface Finding {
  readonly check: string
  readonly status: "ok" | "warn" | "fail"
  readonly detail: string
  readonly advice?: string
}

/** What the doctor says, by check, with the exit code. */
const examine = Effect.fnUntraced(function*(url: string, ...args: ReadonlyArray<string>) {
  const dataDir = yield* temporaryDirectory("lockstep-doctor-")
  const run = yield* runCommand(["doctor", "--json", "--data-dir", dataDir, ...args], { DATABASE_URL: url })
  const { findings, ok } = JSON.parse(run.stdout) as { readonly ok: boolean; readonly findings: ReadonlyArray<Finding> }
  assert.strictEqual(run.exitCode, ok ? 0 : 1, run.stderr)
  for (const { advice, status } of findings) assert.strictEqual(advice === undefined, status === "ok")
  assert.deepStrictEqual(yield* Effect.promise(() => fs.readdir(dataDir)), [])
  const of = (status: Finding["status"]) => findings.filter((each) => each.status === status).map(({ check }) => check)
  return {
    failed: of("fail"),
    warned: of("warn"),
    ok: of("ok"),
    find: (check: string) => findings.find((each) => each.check === check)
  }
})

const onDatabase = <A, E>(url: string, work: Effect.Effect<A, E, SqlClient.SqlClient>) =>
  Effect.provide(work, PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))

const run = (statement: string) => Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(statement))

// The run's own server is tuned for tests, which is just what must be found.
const careless = ["postgres.fsync", "postgres.full_page_writes"]

describe("lockstep doctor", () => {
  it.live(
    "names the settings that break the promise, a schema that is behind, and members whose lease has ended",
    () =>
      Effect.gen(function*() {
        const url = Redacted.value(yield* temporaryDatabase)
        const fresh = yield* examine(url)
        assert.deepStrictEqual(fresh.failed, careless)
        assert.deepStrictEqual(fresh.warned, ["postgres.schema"])
        for (
          const check of [
            "node",
            "directory.data",
            "directory.data.space",
            "postgres.version",
            "clock",
            "postgres.session",
            "postgres.notify"
          ]
        ) {
          assert.include(fresh.ok, check)
        }

        const name = new URL(url).pathname.slice(1)
        yield* onDatabase(
          url,
          Effect.gen(function*() {
            yield* migrate
            yield* run(`ALTER DATABASE ${name} SET synchronous_commit = off`)
            yield* run(`ALTER DATABASE ${name} SET idle_session_timeout = '2s'`)
            yield* run(`ALTER DATABASE ${name} CONNECTION LIMIT 20`)
            yield* run(`INSERT INTO replicas (replica_id, boot_id, advertise_url, lease_ms, renewed_at) VALUES
          ('gone', gen_random_uuid(), 'http://127.0.0.1:1', 3000, now() - interval '10 seconds'),
          ('unreachable', gen_random_uuid(), 'http://127.0.0.1:1', 3600000, now())`)
            yield* run(
              `INSERT INTO jobs (kind, realm_url, generation, state) VALUES ('reindex', 'http://a/b/', 1, 'dead')`
            )
          })
        )
        // Of another database on that server: they take nothing from what this one's limit leaves.
        const elsewhere = yield* Layer.build(PgClient.layer({
          url: yield* temporaryDatabase,
          maxConnections: 3,
          applicationName: "lockstep elsewhere"
        }))
        for (let n = 0; n < 3; n++) yield* Context.get(elsewhere, SqlClient.SqlClient).reserve
        const ill = yield* examine(url)
        assert.deepStrictEqual(ill.failed, ["postgres.synchronous_commit", ...careless])
        assert.deepStrictEqual(ill.warned, [
          "postgres.idle_session_timeout",
          "postgres.connections",
          "jobs.dead",
          "fleet.lease.gone",
          "fleet.reach.unreachable"
        ])
        assert.include(ill.ok, "postgres.schema")
        assert.match(
          ill.find("postgres.connections")?.detail ?? "",
          /^2 replicas may open 56 connections, of (19|20) that others leave \(20 in all\)$/
        )
        assert.match(ill.find("postgres.connections")?.advice ?? "", /^raise the database's CONNECTION LIMIT to 5[67] /)

        yield* onDatabase(url, run("INSERT INTO lockstep_migrations (migration_id, name) VALUES (9999, 'later')"))
        assert.match((yield* examine(url)).find("postgres.schema")?.detail ?? "", /9999/)
      }).pipe(Effect.scoped)
  )

  it.live(
    "a pooler in transaction mode is found by what it does to a session, and to a listener",
    () =>
      Effect.gen(function*() {
        const url = Redacted.value(yield* temporaryDatabase)
        const { failed, find } = yield* examine(yield* lenientPooler(new URL(url)))
        assert.deepStrictEqual(failed, [...careless, "postgres.session", "postgres.notify"])
        assert.match(
          find("postgres.session")?.detail ?? "",
          /loses its server process \(\d+, then \d+\), its settings, its advisory lock/
        )
        assert.match(find("postgres.session")?.advice ?? "", /direct connection/)
      }).pipe(Effect.scoped)
  )

  it.live(
    "a database that does not answer is a failure, and what does not run yet is none",
    () =>
      Effect.gen(function*() {
        const away = yield* examine("postgres://nobody:secret@127.0.0.1:1/none")
        assert.deepStrictEqual(away.failed, ["postgres"])
        assert.notInclude(away.find("postgres")?.detail, "secret")
        const dataDir = yield* temporaryDirectory("lockstep-doctor-")
        const told = yield* runCommand(["doctor", `${dataDir}/nothing`, "--data-dir", dataDir])
        assert.strictEqual(told.exitCode, 0, told.stderr)
        assert.match(told.stdout, /^warn {2}the realms directory \S+nothing is not there yet$/m)
        assert.match(told.stdout, /^warn {2}there is no embedded database in /m)
        assert.match(told.stdout, /^\d+ ok, 2 to look at, 0 failed$/m)
        assert.notInclude(told.stdout, "\u001b")
      }).pipe(Effect.scoped)
  )
})
