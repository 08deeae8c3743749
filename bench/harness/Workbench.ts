import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as fs from "node:fs/promises"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { EmbeddedPostgres } from "../../src/postgres/EmbeddedPostgres.ts"
import { BenchFailed } from "./BenchFailed.ts"

/** How long and how often to measure. */
export interface Scale {
  readonly rounds: number
  readonly warmupMillis: number
  readonly roundMillis: number
  /** Rounds of what takes many seconds by itself. */
  readonly longRounds: number
  /** Rounds of what takes a second or so. */
  readonly slowRounds: number
  /** Replicas of the fleets that start cold. */
  readonly fleets: ReadonlyArray<number>
  /** Cached modules in a realm that is invalidated. */
  readonly cachedModules: ReadonlyArray<number>
  /** Requests that may not make a replica grow. */
  readonly requests: number
}

// Many short rounds: a neighbour's burst then falls on both sides of most of them, or of none.
export const full: Scale = {
  rounds: 15,
  warmupMillis: 2000,
  roundMillis: 700,
  longRounds: 3,
  slowRounds: 9,
  fleets: [1, 2, 4, 8],
  cachedModules: [10, 1000, 10_000, 100_000],
  requests: 1_000_000
}
export const quick: Scale = {
  rounds: 5,
  warmupMillis: 500,
  roundMillis: 300,
  longRounds: 1,
  slowRounds: 3,
  fleets: [1, 2],
  cachedModules: [10, 1000, 10_000],
  requests: 50_000
}

/** What all rows share: real input, a real PostgreSQL, and places that vanish with the run. */
export class Workbench extends Context.Service<Workbench, {
  readonly scale: Scale
  /** The server's version. */
  readonly postgres: string
  /** Holds the one source realm, `effect/`: a copy of `node_modules/effect/src`. */
  readonly realmsDir: string
  /** Every module of that realm, by its path in it, sorted. */
  readonly modules: ReadonlyArray<string>
  /** An empty database of one's own, until the scope closes: its URL. */
  readonly freshDatabase: Effect.Effect<string, BenchFailed, Scope.Scope>
  /** An empty directory, until the scope closes. */
  readonly freshDirectory: Effect.Effect<string, BenchFailed, Scope.Scope>
  /** Where replicas leave CPU profiles, if they are to. */
  readonly profileDir: string | undefined
}>()("lockstep/bench/Workbench") {
  static readonly layer = (scale: Scale, profileDir: string | undefined) =>
    Layer.effect(Workbench, make(scale, profileDir))
}

const source = fileURLToPath(new URL("../../node_modules/effect/src/", import.meta.url))

const make = Effect.fnUntraced(function*(scale: Scale, profileDir: string | undefined) {
  const realmsDir = yield* temporaryDirectory
  const realm = path.join(realmsDir, "effect")
  const modules = yield* attempt("copy effect/src", async () => {
    await fs.cp(source, realm, { recursive: true })
    const names = await fs.readdir(realm, { recursive: true })
    return names.filter((name) => name.endsWith(".ts")).sort()
  })
  const dataDir = yield* temporaryDirectory
  const server = yield* Layer.build(EmbeddedPostgres.layer({ dataDir })).pipe(
    Effect.map((context) => Redacted.value(Context.get(context, EmbeddedPostgres).url)),
    Effect.mapError((error) => new BenchFailed({ detail: error.message }))
  )
  const [version] = yield* onServer(server, (sql) => sql<{ readonly server_version: string }>`SHOW server_version`)
  let databases = 0
  const freshDatabase = Effect.gen(function*() {
    const name = `bench_${++databases}`
    yield* Effect.acquireRelease(
      onServer(server, (sql) => sql`CREATE DATABASE ${sql(name)}`),
      () => Effect.ignore(onServer(server, (sql) => sql`DROP DATABASE ${sql(name)} WITH (FORCE)`))
    )
    const url = new URL(server)
    url.pathname = name
    return url.href
  })
  return Workbench.of({
    scale,
    postgres: `PostgreSQL ${version?.server_version}`,
    realmsDir,
    modules,
    freshDatabase,
    freshDirectory: temporaryDirectory,
    profileDir
  })
})

// Below a folder of the owner alone, PostgreSQL's own account could not reach it.
const temporaryDirectory = Effect.acquireRelease(
  attempt("make a temporary directory", async () => {
    const made = await fs.mkdtemp(path.join(await fs.realpath(os.tmpdir()), "lockstep-bench-"))
    await fs.chmod(made, 0o755)
    return made
  }),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true, force: true, maxRetries: 10 }))
)

function attempt<A>(what: string, work: () => Promise<A>): Effect.Effect<A, BenchFailed> {
  return Effect.tryPromise({
    try: work,
    catch: (cause) => new BenchFailed({ detail: `cannot ${what}: ${String(cause)}` })
  })
}

const onServer = <A>(url: string, work: (sql: SqlClient.SqlClient) => Effect.Effect<A, SqlError.SqlError>) =>
  Effect.flatMap(SqlClient.SqlClient, work).pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 })),
    Effect.mapError((error) => new BenchFailed({ detail: `PostgreSQL: ${error.message}` }))
  )
