import { Context, Effect, Layer, Scope } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { assert } from "@effect/vitest"
import { type Place, placeOf, temporaryDirectory, writeFiles } from "../../support/fleet.ts"
import { freePort } from "../../support/freePort.ts"
import { type Answer, type Ask, makeHttpClient, type NoAnswer } from "../../support/httpClient.ts"
import { makeOwnPostgres, type OwnPostgres } from "../../support/ownPostgres.ts"
import { type Replica, type ReplicaFailed, startReplica } from "../../support/replica.ts"
import { makeTcpProxy, type TcpProxy } from "../../support/tcpProxy.ts"
import { leaseMillis, replicaCount } from "./effort.ts"

/** A replica by its place in the fleet: the same address and identity, whichever process stands there now. */
export interface Member {
  readonly replicaId: string
  /** Between it and PostgreSQL. */
  readonly proxy: TcpProxy
  /** The process that runs now, or ran last. */
  readonly process: () => Replica
  /** Starts another process in the place of one that has ended. */
  readonly restart: Effect.Effect<void, ReplicaFailed>
  readonly ask: (path: string, ask?: Ask) => Effect.Effect<Answer, NoAnswer>
  /** The counters of `/_status`. */
  readonly status: Effect.Effect<Readonly<Record<string, number>>, NoAnswer>
}

export interface StageOptions {
  /** Where published versions lie, if not beside the rest. */
  readonly dataDir?: string
  /** Further arguments of `serve`. */
  readonly args?: ReadonlyArray<string>
  /** Arguments for Node itself, and variables, for each replica. */
  readonly node?: (home: string, replicaId: string) => {
    readonly nodeArgs: ReadonlyArray<string>
    readonly environment: Readonly<Record<string, string>>
  }
}

/** A fleet of real processes on a PostgreSQL server of its own, each behind a proxy, where faults may happen. */
export class Stage extends Context.Service<Stage, {
  readonly postgres: OwnPostgres
  readonly members: readonly [Member, Member, ...ReadonlyArray<Member>]
  /** A directory that is gone at the end. */
  readonly home: string
  readonly realmsDir: string
  readonly dataDir: string
  /** A new source realm with these files, and where its directory is. */
  readonly realm: (
    name: string,
    files: Readonly<Record<string, string | Uint8Array>>
  ) => Effect.Effect<Place & { readonly directory: string }, NoAnswer>
  readonly place: (name: string) => Place
}>()("lockstep/test/Stage") {
  static readonly layer = (options: StageOptions = {}) => Layer.effect(Stage, make(options))
}

const publicUrl = "http://realms.test/"

const make = Effect.fnUntraced(function*(options: StageOptions) {
  const home = yield* temporaryDirectory("lockstep-faults-")
  const realmsDir = Path.join(home, "realms")
  const dataDir = options.dataDir ?? Path.join(home, "data")
  const drafts = Path.join(home, "drafts")
  yield* Effect.promise(() =>
    Promise.all([realmsDir, dataDir, drafts].map((path) => Fs.mkdir(path, { recursive: true })))
  )
  const postgres = yield* makeOwnPostgres(Path.join(home, "server"))
  const scope = yield* Effect.scope

  const member = Effect.fnUntraced(function*(index: number) {
    const replicaId = `replica-${index + 1}`
    const proxy = yield* makeTcpProxy(postgres.port)
    const databaseUrl = new URL(postgres.url)
    databaseUrl.port = String(proxy.port)
    const start = (port: number) =>
      startReplica({
        replicaId,
        publicUrl,
        dataDir,
        realmsDir,
        port,
        databaseUrl: databaseUrl.href,
        args: ["--workers=1", `--lease=${leaseMillis}ms`, ...options.args ?? []],
        ...options.node?.(home, replicaId)
      }).pipe(Scope.provide(scope))
    // While its process is down nobody else must be given its port.
    let current = yield* start(yield* freePort)
    const { url } = current
    const client = yield* makeHttpClient(url)
    // As behind a load balancer: the address is the replica's, the name the public one.
    const ask = (path: string, { headers, ...given }: Ask = {}) =>
      client.ask(path, { ...given, headers: { host: new URL(publicUrl).host, ...headers } })
    return {
      replicaId,
      proxy,
      process: () => current,
      restart: Effect.gen(function*() {
        yield* current.ended()
        current = yield* start(Number(new URL(url).port))
      }),
      ask,
      status: Effect.map(ask("/_status"), ({ json }) => json as Readonly<Record<string, number>>)
    } satisfies Member
  })
  const [first, second, ...others] = yield* Effect.forEach(
    Array.from({ length: replicaCount }, (_, index) => index),
    member,
    { concurrency: "unbounded" }
  )
  assert.isDefined(first)
  assert.isDefined(second)

  const place = (name: string) => placeOf(publicUrl, name)
  return Stage.of({
    postgres,
    members: [first, second, ...others],
    home,
    realmsDir,
    dataDir,
    place,
    realm: Effect.fnUntraced(function*(name, files) {
      const draft = Path.join(drafts, name)
      yield* writeFiles(draft, files)
      const created = yield* postTo(first, "/_create-realm", { name, from: draft })
      assert.strictEqual(created.status, 201, created.shown)
      return { ...place(name), directory: Path.join(realmsDir, name) }
    })
  })
})

/** Sends a JSON body to a member. */
export const postTo = (member: Member, path: string, body: unknown) =>
  member.ask(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })

export const publishVia = (member: Member, source: Place, published: Place) =>
  postTo(member, "/_publish-realm", { sourceRealmURL: source.url, publishedRealmURL: published.url })
