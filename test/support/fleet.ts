import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import { SqlClient } from "effect/sql"
import * as Fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { assert } from "@effect/vitest"
import { temporaryDatabase } from "./database.ts"
import { eventually } from "./eventually.ts"
import type { Answer, NoAnswer } from "./httpClient.ts"
import { type Replica, type ReplicaFailed, type ReplicaOptions, startReplica } from "./replica.ts"

/** A realm of the fleet: where it is, and how a request to any replica names it. */
export interface Place {
  readonly url: string
  /** The request path of a file, which is given in its URL form. */
  readonly path: (file: string) => string
}

/** A source realm, which is also a directory. */
export interface SourceRealm extends Place {
  readonly name: string
  readonly directory: string
  /** Writes files behind the server's back, as an editor does. */
  readonly edit: (files: Files) => Effect.Effect<void>
}

export type Files = Readonly<Record<string, string | Uint8Array>>

/** Arguments of a fleet whose lease is not what is tested: a standstill of seconds ends none, and acknowledgements have time. */
export const longLease: ReadonlyArray<string> = ["--workers", "1", "--lease", "15s"]

export interface FleetOptions {
  /** How many replicas run from the start; two by default. */
  readonly replicas?: number
  /** Further arguments of `serve`, for every replica. */
  readonly args?: ReadonlyArray<string>
  /** A data directory whose embedded server the replicas use, instead of a database of the run's server. */
  readonly embeddedIn?: string
  /** Another program than `lockstep serve`, without a database. */
  readonly program?: string
}

/**
 * Replicas of one fleet: the same database, realms, data directory and public URL, each on a port of its own. Nothing
 * listens at the public URL; every replica answers for it.
 */
export class Fleet extends Context.Service<Fleet, {
  readonly publicUrl: string
  readonly realmsDir: string
  readonly dataDir: string
  /** Empty for a fleet without a database. */
  readonly databaseUrl: string
  readonly first: Replica
  /** Another replica; the first again in a fleet of one. */
  readonly second: Replica
  /** Every replica that runs from the start. */
  readonly all: ReadonlyArray<Replica>
  /** One more replica, until the scope closes. */
  readonly start: (options?: Partial<ReplicaOptions>) => Effect.Effect<Replica, ReplicaFailed, Scope.Scope>
  /** One statement, as psql would send it. */
  readonly sql: (statement: string, parameters?: ReadonlyArray<unknown>) => Effect.Effect<ReadonlyArray<Row>>
  /** A new source realm with these files, created over HTTP. */
  readonly realm: (files: Files, name?: string) => Effect.Effect<SourceRealm, NoAnswer | ReplicaFailed>
  /** A URL under the public one that no realm has. */
  readonly unused: () => Place
  readonly publish: (source: Place, target: Place, via?: Replica) => Effect.Effect<Answer, NoAnswer | ReplicaFailed>
}>()("lockstep/test/Fleet") {
  static readonly layer = (options: FleetOptions = {}) => Layer.effect(Fleet, make(options))
}

export type Row = Readonly<Record<string, unknown>>

/** A directory that every account can enter, removed when the scope closes. */
export const temporaryDirectory = (prefix: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const path = await Fs.mkdtemp(Path.join(await Fs.realpath(tmpdir()), prefix))
      await Fs.chmod(path, 0o755)
      return path
    }),
    (path) => Effect.promise(() => Fs.rm(path, { recursive: true, force: true, maxRetries: 10 }))
  )

export const writeFiles = (directory: string, files: Files) =>
  Effect.promise(async () => {
    await Fs.mkdir(directory, { recursive: true })
    for (const [name, content] of Object.entries(files)) {
      await Fs.mkdir(Path.dirname(Path.join(directory, name)), { recursive: true })
      await Fs.writeFile(Path.join(directory, name), content)
    }
  })

/** The place of a realm under the public URL, by its name as it stands in a URL. */
export const placeOf = (publicUrl: string, name: string): Place => ({
  url: `${publicUrl}${name}/`,
  path: (file) => `/${name}/${file}`
})

/** Sends a JSON body. */
export const post = (replica: Replica, path: string, body: unknown) =>
  replica.ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })

/** Waits until the replica has applied this generation of the realm: of writes that do not wait for it, it hears soon. */
export const applied = (replica: Replica, realm: Place, generation: number) =>
  eventually(
    `${replica.replicaId} has applied generation ${generation}`,
    Effect.map(replica.ask("/_status"), ({ json }) => (json["applied"] as Record<string, number>)[realm.url]),
    (seen = 0) => seen >= generation
  )

const embeddedUrl = (dataDir: string) =>
  Effect.promise(async () => (await Fs.readFile(Path.join(dataDir, "postgres.url"), "utf8").catch(() => "")).trim())

/** One connection of our own, for single statements. */
const connect = Effect.fnUntraced(function*(url: string) {
  const noDatabase: Fleet["Service"]["sql"] = () => Effect.die("this fleet has no database")
  if (url === "") return noDatabase
  const context = yield* Layer.build(PgClient.layer({ url: Redacted.make(url), maxConnections: 1 }))
  const query: Fleet["Service"]["sql"] = (statement, parameters = []) =>
    Effect.orDie(Context.get(context, SqlClient.SqlClient).unsafe<Row>(statement, [...parameters]))
  return query
})

const publicUrl = "http://realms.test/"

const make = Effect.fnUntraced(function*(options: FleetOptions) {
  const home = yield* temporaryDirectory("lockstep-fleet-")
  const realmsDir = Path.join(home, "realms")
  const dataDir = options.embeddedIn ?? Path.join(home, "data")
  const drafts = Path.join(home, "drafts")
  yield* Effect.promise(() =>
    Promise.all([realmsDir, dataDir, drafts].map((path) => Fs.mkdir(path, { recursive: true })))
  )
  const given = options.embeddedIn === undefined && options.program === undefined
    ? Redacted.value(yield* temporaryDatabase)
    : undefined

  let started = 0
  const start: Fleet["Service"]["start"] = (more = {}) =>
    Effect.suspend(() =>
      startReplica({
        replicaId: `replica-${++started}`,
        publicUrl,
        dataDir,
        realmsDir,
        args: options.args ?? ["--workers", "1"],
        ...(given === undefined ? {} : { databaseUrl: given }),
        ...(options.program === undefined ? {} : { program: options.program }),
        ...more
      })
    )
  const all = yield* Effect.forEach(Array.from({ length: options.replicas ?? 2 }), () => start(), {
    concurrency: "unbounded"
  })
  const [first, second = first] = all
  assert.isDefined(first)
  const databaseUrl = given ?? (yield* embeddedUrl(dataDir))
  const sql = yield* connect(databaseUrl)

  let named = 0
  return Fleet.of({
    publicUrl,
    realmsDir,
    dataDir,
    databaseUrl,
    first,
    second: second ?? first,
    all,
    start,
    sql,
    realm: Effect.fnUntraced(function*(files, name = `realm-${++named}`) {
      // Copied in by the server: a directory that appeared by itself might be registered before it is created.
      const draft = Path.join(drafts, String(++named))
      yield* writeFiles(draft, files)
      const created = yield* post(first, "/_create-realm", { name, from: draft })
      assert.strictEqual(created.status, 201, created.shown)
      const directory = Path.join(realmsDir, name)
      return {
        ...placeOf(publicUrl, encodeURIComponent(name)),
        name,
        directory,
        edit: (edited) => writeFiles(directory, edited)
      }
    }),
    unused: () => placeOf(publicUrl, `published-${++named}`),
    publish: (source, target, via = first) =>
      post(via, "/_publish-realm", { sourceRealmURL: source.url, publishedRealmURL: target.url })
  })
})
