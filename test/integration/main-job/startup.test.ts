import { assert, it, layer } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { createServer } from "node:net"
import { temporaryDatabase } from "../../support/database.ts"
import { eventually } from "../../support/eventually.ts"
import { expectExecutions } from "../../support/executions.ts"
import { Fleet, longLease, temporaryDirectory } from "../../support/fleet.ts"
import { type ReplicaOptions, spawnReplica } from "../../support/replica.ts"
import { expectStatus, generationOf } from "./expectations.ts"
import { versioned, versionOf } from "./sources.ts"

layer(Fleet.layer({ replicas: 10, args: longLease }), { excludeTestServices: true })(
  "ten replicas started at once on a new database",
  (it) => {
    it.effect("all listen, migrate once, know each other and answer alike", () =>
      Effect.gen(function*() {
        const { all, first, publish, realm, sql, unused } = yield* Fleet
        const migrations = yield* sql("SELECT migration_id FROM lockstep_migrations ORDER BY migration_id")
        assert.strictEqual(new Set(migrations.map((row) => row["migration_id"])).size, migrations.length)
        yield* eventually(
          "all are members, and hold their leases",
          Effect.map(first.status, ({ replicas }) => replicas as unknown as ReadonlyArray<{ leaseHeld: unknown }>),
          (members) => members.length === 10 && members.every(({ leaseHeld }) => leaseHeld === true)
        )
        const source = yield* realm({ "person.ts": versioned(1) })
        const target = unused()
        const published = expectStatus(yield* publish(source, target), 202)
        assert.deepStrictEqual(published.json["replicas"], { live: 10, acked: 10 })
        const answers = yield* Effect.forEach(all, (replica) => replica.ask(target.path("person")), {
          concurrency: "unbounded"
        })
        for (const answer of answers) {
          assert.strictEqual(versionOf(expectStatus(answer, 200).text), 1)
          assert.strictEqual(generationOf(answer), published.json["generation"])
        }
        // One that PostgreSQL does not tell within a second who the members are shows itself alone.
        const statuses = yield* Effect.forEach(all, (replica) =>
          eventually(
            "it shows members",
            replica.status,
            ({ replicas }) => (replicas as unknown as ReadonlyArray<unknown>).length > 1
          ))
        const transpiles = statuses.reduce((sum, status) => sum + (status["transpiles"] ?? 0), 0)
        yield* expectExecutions(all, transpiles, 1, "transpiles of one module that all were asked for at once")
        for (const status of statuses) {
          for (const replica of all) assert.include(JSON.stringify(status), `"${replica.replicaId}"`)
        }
        for (const replica of all) assert.lengthOf(replica.log().match(/^listening on /gm) ?? [], 1)
      }))
  }
)

/** Starts a replica that must not come to listen, and returns how it ended and what it said. */
const fails = Effect.fnUntraced(function*(options: Partial<ReplicaOptions>) {
  const dataDir = yield* temporaryDirectory("lockstep-startup-")
  const replica = yield* spawnReplica({ replicaId: "failing", publicUrl: "http://realms.test/", dataDir, ...options })
  const { code } = yield* replica.ended(40_000)
  assert.notInclude(replica.log(), "listening on")
  return { code, log: replica.log() }
})

it.live("a database that does not answer ends the start with its address and reason, without its password", () =>
  Effect.gen(function*() {
    const { code, log } = yield* fails({ databaseUrl: "postgres://somebody:hunter2@127.0.0.1:9/nothing" })
    assert.strictEqual(code, 1, log)
    assert.include(log, "127.0.0.1:9")
    assert.notInclude(log, "hunter2")
    assert.notMatch(log, /^\s+at /m)
  }))

it.live("a database that does not exist ends the start, and is named", () =>
  Effect.gen(function*() {
    const url = new URL(Redacted.value(yield* temporaryDatabase))
    url.pathname = "/no_such_database"
    const { code, log } = yield* fails({ databaseUrl: url.href })
    assert.strictEqual(code, 1, log)
    assert.include(log, "no_such_database")
  }))

it.live("a usage error ends the start with exit 2 and says what is wrong", () =>
  Effect.gen(function*() {
    const { code, log } = yield* fails({ args: ["--workers", "many"] })
    assert.strictEqual(code, 2, log)
    assert.include(log, "workers")
  }))

it.live("a port in use ends the start, and is named", () =>
  Effect.gen(function*() {
    const port = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer()
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    ).pipe(Effect.map((server) => {
      const address = server.address()
      return typeof address === "object" && address !== null ? address.port : 0
    }))
    const { code, log } = yield* fails({ port, databaseUrl: Redacted.value(yield* temporaryDatabase) })
    assert.strictEqual(code, 1, log)
    assert.include(log, String(port))
  }))

it.live("a directory of realms that is not there ends the start, and is named", () =>
  Effect.gen(function*() {
    const { code, log } = yield* fails({
      realmsDir: "/no/such/realms",
      databaseUrl: Redacted.value(yield* temporaryDatabase)
    })
    assert.include([1, 2], code, log)
    assert.include(log, "/no/such/realms")
  }))
