import { assert, layer } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import { connect } from "node:net"
import * as Path from "node:path"
import { eventually } from "../../support/eventually.ts"
import { expectExecutions } from "../../support/executions.ts"
import { freePort } from "../../support/freePort.ts"
import { Fleet, longLease, temporaryDirectory } from "../../support/fleet.ts"
import { spawnReplica } from "../../support/replica.ts"
import { makeTransactionPooler } from "../../support/transactionPooler.ts"
import { expectStatus } from "../main-job/expectations.ts"
import { versioned, versionOf } from "../main-job/sources.ts"
import { isBeside } from "./withOthersPrograms.ts"

const hasPgBouncer = isBeside("pgbouncer", "--version")

const answers = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.on("error", () => resume(Effect.succeed(false)))
  })

/** The real one, in front of one database. */
const startPgBouncer = Effect.fnUntraced(function*(database: URL): Effect.fn.Return<number, never, Scope.Scope> {
  const directory = yield* temporaryDirectory("lockstep-pgbouncer-")
  const port = yield* freePort
  const name = database.pathname.slice(1)
  const file = Path.join(directory, "pgbouncer.ini")
  Fs.writeFileSync(
    file,
    `[databases]
${name} = host=127.0.0.1 port=${database.port} dbname=${name} user=${database.username} password=${
      decodeURIComponent(database.password)
    }
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 6
`
  )
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn("pgbouncer", [...process.getuid?.() === 0 ? ["-u", "nobody"] : [], file], { stdio: "ignore" })
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  yield* Effect.orDie(eventually("PgBouncer listens", answers(port), (up) => up))
  return port
})

layer(Fleet.layer({ replicas: 1, args: longLease }), { excludeTestServices: true })(
  "a pooler in transaction mode",
  (it) => {
    const limited = Effect.gen(function*() {
      const { databaseUrl, sql } = yield* Fleet
      const name = new URL(databaseUrl).pathname.slice(1)
      yield* sql(`ALTER DATABASE "${name}" SET statement_timeout = '5s'`)
      yield* sql(`ALTER DATABASE "${name}" SET idle_in_transaction_session_timeout = '5s'`)
    })

    const pooled = (direct: string, port: number) => {
      const url = new URL(direct)
      url.port = String(port)
      return { databaseUrl: url.href, environment: { LOCKSTEP_SESSION_DATABASE_URL: direct } }
    }

    it.effect("is refused without limits on its sessions, and without a direct URL, with what to do", () =>
      Effect.gen(function*() {
        const { databaseUrl, dataDir, publicUrl } = yield* Fleet
        const port = yield* makeTransactionPooler(Number(new URL(databaseUrl).port))
        const { environment, ...options } = pooled(databaseUrl, port)
        const fails = Effect.fnUntraced(function*(environment: Readonly<Record<string, string>>) {
          const replica = yield* spawnReplica({ replicaId: "refused", publicUrl, dataDir, ...options, environment })
          assert.strictEqual((yield* replica.ended(40_000)).code, 1)
          return replica.log()
        })
        assert.match(yield* fails(environment), /ALTER ROLE "\w+" SET statement_timeout = '5s'/)
        assert.include(yield* fails({}), "unsupported startup parameter")
      }))

    const works = (begin: number, port: (database: URL) => Effect.Effect<number, never, Scope.Scope>) =>
      Effect.gen(function*() {
        const { databaseUrl, first, publish, realm, sql, start, unused } = yield* Fleet
        yield* limited
        const options = pooled(databaseUrl, yield* port(new URL(databaseUrl)))
        const [one, two] = yield* Effect.all([start(options), start(options)], { concurrency: 2 })
        const before = yield* first.status
        const source = yield* realm({ "person.ts": versioned(begin) })
        const target = unused()
        for (let version = begin; version < begin + 10; version++) {
          yield* source.edit({ "person.ts": versioned(version) })
          // A publisher behind the pooler holds its locks, and all members hear it and say so, long before a lease ends.
          const published = expectStatus(yield* publish(source, target, version % 2 === 0 ? one : two), 202)
          assert.deepStrictEqual(published.json["replicas"], { live: 3, acked: 3 })
          const read = yield* Effect.forEach(
            [one, two, first],
            (replica) => replica.ask(target.path("person.ts")),
            { concurrency: 3 }
          )
          for (const answer of read) assert.strictEqual(versionOf(expectStatus(answer, 200).text), version)
        }
        const statuses = yield* Effect.forEach([one, two, first], ({ status }) => status)
        const sum = (name: string) =>
          statuses.reduce((total, status) => total + Number(status[name]), -Number(before[name]))
        yield* expectExecutions(
          [one, two, first],
          sum("transpiles"),
          10,
          "transpiles of ten versions: locks went astray"
        )
        for (const name of ["listenerReconnects", "leaseExpiries", "l2Errors", "malformedPayloads"]) {
          assert.strictEqual(sum(name), 0, name)
        }
        const sessions = yield* sql(
          "SELECT DISTINCT application_name AS name FROM pg_stat_activity WHERE datname = current_database()"
        )
        assert.includeMembers(sessions.map(({ name }) => name), ["lockstep listener", "lockstep locks"])
        // They leave: one that is killed counts as a member until its lease ends.
        for (const leaving of [one, two]) {
          yield* leaving.kill("SIGTERM")
          yield* leaving.ended(60_000)
        }
      })

    it.effect("carries statements, while sessions that listen and lock go past it: nothing is lost or done twice", () =>
      works(1, (database) => makeTransactionPooler(Number(database.port))))

    it.effect.skipIf(!hasPgBouncer)("PgBouncer itself does as well", () => works(101, startPgBouncer))
  }
)
