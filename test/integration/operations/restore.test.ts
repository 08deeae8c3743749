import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { execFile } from "node:child_process"
import * as Path from "node:path"
import { migrate } from "../../../src/store/migrations.ts"
import { eventually } from "../../support/eventually.ts"
import { type Place, placeOf, post, temporaryDirectory, writeFiles } from "../../support/fleet.ts"
import type { Answer } from "../../support/httpClient.ts"
import { makeOwnPostgres } from "../../support/ownPostgres.ts"
import { childEnvironment, lockstep, type Replica, startReplica } from "../../support/replica.ts"
import { expectProblem, expectStatus, generationOf } from "../main-job/expectations.ts"
import { versioned, versionOf } from "../main-job/sources.ts"

const publicUrl = "http://realms.test/"
const leaseMillis = 1000
const epoch = 2 ** 36

/** Two replicas on a server that can go back in time; published versions and realms stay as they are. */
const fleet = Effect.gen(function*() {
  const home = yield* temporaryDirectory("lockstep-restore-")
  const directory = (name: string) => Path.join(home, name)
  for (const name of ["realms", "data"]) yield* writeFiles(directory(name), {})
  yield* writeFiles(directory("realms/notes"), { "person.ts": versioned(1) })
  const postgres = yield* makeOwnPostgres(directory("server"))
  const start = (replicaId: string) =>
    startReplica({
      replicaId,
      publicUrl,
      databaseUrl: postgres.url,
      dataDir: directory("data"),
      realmsDir: directory("realms"),
      args: ["--workers", "1", "--lease", `${leaseMillis}ms`, "--no-worker"]
    })
  const [first, second] = yield* Effect.all([start("first"), start("second")], { concurrency: 2 })
  const source = placeOf(publicUrl, "notes")
  const target = placeOf(publicUrl, "live")
  /** Edits, publishes, and gives the publication's generation once both replicas serve it. */
  const publish = Effect.fnUntraced(function*(version: number, via: Replica = first) {
    yield* writeFiles(directory("realms/notes"), { "person.ts": versioned(version) })
    // After the server has ended its sessions the first question on each says 503, and to come again.
    const published = yield* eventually(
      "it is published",
      post(via, "/_publish-realm", { sourceRealmURL: source.url, publishedRealmURL: target.url }),
      ({ status }) => status !== 503
    )
    expectStatus(published, 202)
    return Number(published.json["generation"])
  })
  return { home, postgres, start, first, second, target, publish, dataDir: directory("data") }
})

interface Seen {
  readonly began: number
  readonly version: number | undefined
  readonly generation: number
}

/** Asks a replica again and again, and keeps every answer that is one. */
const watch = Effect.fnUntraced(function*(replica: Replica, target: Place) {
  const seen: Array<Seen> = []
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(
    Effect.ignore(Effect.map(replica.ask(target.path("person.ts")), (answer) => {
      if (answer.status !== 200) return
      seen.push({ began: answer.began, version: versionOf(answer.text), generation: generationOf(answer) })
    })),
    Effect.sleep("10 millis")
  )))
  return seen
})

const versionFrom = (answer: Answer) => answer.status === 200 ? versionOf(answer.text) : answer.status

/** After a lease nobody sees what was lost, and no replica ever shows a lower generation than before. */
const holds = (all: ReadonlyArray<ReadonlyArray<Seen>>, restored: number, kept: ReadonlyArray<number>) => {
  for (const seen of all) {
    assert.isAbove(seen.length, 10)
    let highest = 0
    for (const { began, generation, version } of seen) {
      assert.isAtLeast(generation, highest, "a generation went back")
      highest = generation
      if (began > restored + leaseMillis * 1.1) assert.include(kept, version)
    }
    assert.isAtLeast(highest, epoch)
  }
}

it.live(
  "a copy of the server's files, put back under replicas that live: they go on from it, in a new epoch",
  () =>
    Effect.gen(function*() {
      const { first, home, postgres, publish, second, start, target } = yield* fleet
      const backup = Path.join(home, "backup")
      const kept = yield* publish(1)
      yield* postgres.stop
      yield* postgres.copyFiles(backup)
      yield* postgres.start
      for (const replica of [first, second]) {
        yield* eventually("it is well again", replica.ask("/_ready"), ({ status }) => status === 200)
      }
      yield* publish(2)
      const lost = yield* publish(3)
      for (const replica of [first, second]) {
        assert.strictEqual(versionOf(expectStatus(yield* replica.ask(target.path("person.ts")), 200).text), 3)
        assert.strictEqual(
          versionOf(expectStatus(yield* replica.ask(`/live/@${lost}/person.ts`), 200).text),
          3
        )
      }
      const seen = [yield* watch(first, target), yield* watch(second, target)]
      yield* eventually("answers came", Effect.succeed(seen), (all) => all.every(({ length }) => length > 5))

      yield* postgres.stop
      yield* postgres.restoreFiles(backup)
      yield* postgres.start
      const restored = performance.now()
      for (const replica of [first, second]) {
        yield* eventually(
          "the earlier publication is served",
          Effect.map(replica.ask(target.path("person.ts")), versionFrom),
          (version) => version === 1
        )
        const answer = expectStatus(yield* replica.ask(target.path("person.ts")), 200)
        assert.isAtLeast(generationOf(answer), epoch)
        // What was lost has no other bytes now; what was kept has its own.
        expectProblem(yield* replica.ask(`/live/@${lost}/person.ts`), 404)
        assert.strictEqual(versionOf(expectStatus(yield* replica.ask(`/live/@${kept}/person.ts`), 200).text), 1)
      }
      const next = yield* publish(4, second)
      assert.isAbove(next, epoch)
      for (const replica of [first, second, yield* start("third")]) {
        assert.strictEqual(versionOf(expectStatus(yield* replica.ask(target.path("person.ts")), 200).text), 4)
      }
      yield* Effect.sleep("100 millis")
      holds(seen, restored, [1, 4])
    }).pipe(Effect.scoped)
)

it.live(
  "a dump, restored over the tables of the same server while replicas live: they drop what they hold",
  () =>
    Effect.gen(function*() {
      const { first, postgres, publish, second, target } = yield* fleet
      const kept = yield* publish(1)
      const onServer = Effect.provide(PgClient.layer({ url: Redacted.make(postgres.url), maxConnections: 1 }))
      yield* onServer(dump)
      yield* publish(2)
      const lost = yield* publish(3)
      const seen = [yield* watch(first, target), yield* watch(second, target)]
      yield* eventually("answers came", Effect.succeed(seen), (all) => all.every(({ length }) => length > 5))

      // The replicas, which are at work on the tables, may be what PostgreSQL spares.
      yield* onServer(Effect.retry(restore, {
        times: 20,
        while: (error) => error._tag === "SqlError" && error.reason._tag === "DeadlockError"
      }))
      const restored = performance.now()
      for (const replica of [first, second]) {
        yield* eventually(
          "the earlier publication is served",
          Effect.map(replica.ask(target.path("person.ts")), versionFrom),
          (version) => version === 1
        )
        expectProblem(yield* replica.ask(`/live/@${lost}/person.ts`), 404)
        assert.strictEqual(versionOf(expectStatus(yield* replica.ask(`/live/@${kept}/person.ts`), 200).text), 1)
      }
      assert.isAbove(yield* publish(4, second), epoch)
      yield* eventually(
        "both serve it",
        Effect.map(first.ask(target.path("person.ts")), versionFrom),
        (version) => version === 4
      )
      holds(seen, restored, [1, 4])
    }).pipe(Effect.scoped)
)

it.live(
  "files put back while no replica runs: `lockstep restored` raises what nobody else could know of",
  () =>
    Effect.gen(function*() {
      const { dataDir, first, home, postgres, publish, second, start, target } = yield* fleet
      const backup = Path.join(home, "backup")
      yield* publish(1)
      yield* postgres.stop
      yield* postgres.copyFiles(backup)
      yield* postgres.start
      yield* eventually("it is well again", first.ask("/_ready"), ({ status }) => status === 200)
      const lost = yield* publish(2)
      for (const replica of [first, second]) yield* replica.kill("SIGTERM")
      for (const replica of [first, second]) yield* replica.ended()
      yield* postgres.stop
      yield* postgres.restoreFiles(backup)
      yield* postgres.start

      const said = yield* Effect.promise(() =>
        new Promise<string>((resolve, reject) => {
          execFile(
            process.execPath,
            [lockstep, "restored"],
            { cwd: dataDir, timeout: 120_000, env: { ...childEnvironment(), DATABASE_URL: postgres.url } },
            (error, stdout, stderr) => error === null ? resolve(stdout) : reject(new Error(stderr, { cause: error }))
          )
        })
      )
      assert.match(said, /^the generations of 2 realms were raised/)
      const third = yield* start("third")
      const answer = expectStatus(yield* third.ask(target.path("person.ts")), 200)
      assert.strictEqual(versionOf(answer.text), 1)
      assert.isAbove(generationOf(answer), lost)
      expectProblem(yield* third.ask(`/live/@${lost}/person.ts`), 404)
      assert.isAbove(yield* publish(3, third), epoch)
    }).pipe(Effect.scoped)
)

/** What pg_dump takes: every table's rows, as of one moment. */
const dump = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql`CREATE SCHEMA backup`
  const copies = Effect.flatMap(
    tables("public"),
    (names) => Effect.forEach(names, (name) => sql.unsafe(`CREATE TABLE backup.${name} AS TABLE public.${name}`))
  )
  yield* sql.withTransaction(copies)
})

/** What pg_restore does with `--clean --single-transaction`: other tables under the same names, with those rows. */
const restore = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  yield* sql.withTransaction(Effect.gen(function*() {
    yield* sql`DROP SCHEMA public CASCADE`
    yield* sql`CREATE SCHEMA public`
    yield* migrate
    const names = yield* tables("backup")
    // Their references to each other are looked at when all rows are there.
    yield* sql`SET LOCAL session_replication_role = replica`
    for (const name of names) {
      yield* sql.unsafe(`DELETE FROM public.${name}`)
      yield* sql.unsafe(`INSERT INTO public.${name} OVERRIDING SYSTEM VALUE SELECT * FROM backup.${name}`)
    }
  }))
})

const tables = (schema: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.map(
      sql<{ name: string }>`SELECT tablename AS name FROM pg_tables WHERE schemaname = ${schema} ORDER BY tablename`,
      (rows) => rows.map(({ name }) => name)
    ))
