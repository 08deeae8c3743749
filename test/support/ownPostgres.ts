import { PgClient } from "@effect/sql-pg"
import { Effect, Redacted, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import type { Settings } from "../../src/postgres/Cluster.ts"
import { ensureRunning } from "../../src/postgres/ensureRunning.ts"
import type { EmbeddedPostgresError, PostgresBinariesMissing } from "../../src/postgres/errors.ts"
import * as Postmaster from "../../src/postgres/Postmaster.ts"
import { realDataDir, serverHome } from "../../src/postgres/ServerHome.ts"

export type Row = Readonly<Record<string, unknown>>

/** A PostgreSQL server that a test may kill: it stays down until it is started again, on the same port. */
export interface OwnPostgres {
  readonly url: string
  readonly port: number
  /** Starts it, or waits until it is ready. */
  readonly start: Effect.Effect<void, EmbeddedPostgresError | PostgresBinariesMissing>
  /** Ends it at once, as a power cut would end its processes: the next start recovers from the log. */
  readonly stopImmediately: Effect.Effect<void, EmbeddedPostgresError>
  /** Ends it well: no transaction goes on, and its files are whole. */
  readonly stop: Effect.Effect<void, EmbeddedPostgresError>
  /** Copies the files of the server, which is stopped, to a directory that is not there yet. */
  readonly copyFiles: (to: string) => Effect.Effect<void>
  /** Puts such a copy in the place of the server's files. */
  readonly restoreFiles: (from: string) => Effect.Effect<void>
  /** One statement on a connection of its own, which no proxy and no replica knows of. */
  readonly sql: (statement: string, parameters?: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Row>>
  /** `kill -9` of a server process by its id. The server then ends all others and empties its UNLOGGED tables. */
  readonly killProcess: (pid: number) => Effect.Effect<void>
}

/** A cluster below this directory, started, and killed when the scope closes. */
export const makeOwnPostgres = Effect.fnUntraced(function*(
  directory: string,
  settings: Settings = {}
): Effect.fn.Return<OwnPostgres, EmbeddedPostgresError | PostgresBinariesMissing, Scope.Scope> {
  const home = yield* Effect.acquireRelease(
    Effect.flatMap(realDataDir(directory), serverHome),
    // Its home may lie elsewhere, behind a link.
    (home) => Effect.promise(() => Fs.rm(home.path, { recursive: true, force: true, maxRetries: 10 }))
  )
  const signal = (name: NodeJS.Signals) =>
    Effect.gen(function*() {
      const server = yield* Postmaster.inspect(home.cluster)
      if (server._tag !== "Alive") return
      process.kill(server.pid, name)
      yield* Effect.timeout(Postmaster.until(home.cluster, ({ _tag }) => _tag !== "Alive"), "30 seconds")
    }).pipe(Effect.catchTag("TimeoutError", Effect.die))
  const url = yield* Effect.acquireRelease(ensureRunning(home, settings), () => Effect.ignore(signal("SIGQUIT")))
  return {
    url,
    port: Number(new URL(url).port),
    start: Effect.asVoid(ensureRunning(home, settings)),
    stopImmediately: signal("SIGQUIT"),
    stop: signal("SIGINT"),
    // With owners and times, as a backup program would.
    copyFiles: (to) => Effect.sync(() => void execFileSync("cp", ["-a", home.cluster, to])),
    restoreFiles: (from) =>
      Effect.promise(() => Fs.rm(home.cluster, { recursive: true, maxRetries: 10 })).pipe(
        Effect.andThen(Effect.sync(() => void execFileSync("cp", ["-a", from, home.cluster])))
      ),
    sql: (statement, parameters = []) =>
      Effect.orDie(
        Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe<Row>(statement, [...parameters])).pipe(
          Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1, applicationName: "test" }))
        )
      ),
    killProcess: (pid) => Effect.sync(() => process.kill(pid, "SIGKILL"))
  }
})

/** The server's own log, for a test that failed. */
export const serverLog = (directory: string) =>
  Effect.promise(() => Fs.readFile(Path.join(directory, "postgres/server.log"), "utf8").catch(() => ""))
