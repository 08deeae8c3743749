import { Context, Effect, Exit, Layer, Redacted, Schedule, Scope } from "effect"
import type { Settings } from "./Cluster.ts"
import { ensureRunning } from "./ensureRunning.ts"
import type { EmbeddedPostgresError, PostgresBinariesMissing } from "./errors.ts"
import { join, type Membership, membership } from "./Membership.ts"
import * as Postmaster from "./Postmaster.ts"
import { realDataDir, type ServerHome, serverHome } from "./ServerHome.ts"

export interface EmbeddedPostgresOptions {
  /** The directory that the replicas of one machine share. Made if it does not exist. */
  readonly dataDir: string
  /** PostgreSQL settings over the usual ones; those of whoever starts the server apply. For tests: `fsync: "off"`. */
  readonly settings?: Settings
}

/**
 * A real PostgreSQL that needs no installation: the processes that name one data directory share one server. The first
 * of them starts it, the others find it, the last to leave stops it. It listens on a loopback port behind a password.
 *
 * It depends on none of them: a signal to a replica's process group passes it by, a replica that is killed is simply no
 * user any more, and if the server itself is killed, a replica that still runs starts it again on the same port.
 * As root it runs under another account (see `serverAccount` and `ServerHome`), since PostgreSQL refuses root.
 *
 * In the data directory it keeps the folder `postgres`, two empty lock files, and `postgres.url` (readable by the owner
 * only), with which any client can connect, for instance `psql "$(cat .lockstep/postgres.url)"`.
 */
export class EmbeddedPostgres extends Context.Service<EmbeddedPostgres, {
  /** `postgres://` URL of a superuser and its database. */
  readonly url: Redacted.Redacted
}>()("lockstep/postgres/EmbeddedPostgres") {
  /** Uses the data directory's server for as long as the layer lives. Every wait in it has a deadline. */
  static readonly layer = (
    options: EmbeddedPostgresOptions
  ): Layer.Layer<EmbeddedPostgres, EmbeddedPostgresError | PostgresBinariesMissing> =>
    Layer.effect(EmbeddedPostgres, make(options))
}

// Long enough for everybody in front of us to copy the binaries, make the cluster and recover from a crash.
const joinDeadlineSeconds = 240
// Together below the ten seconds that a replica has to end in.
const leaveDeadlineSeconds = 3
const stopDeadlineSeconds = 5

const make = Effect.fnUntraced(function*({ dataDir, settings = {} }: EmbeddedPostgresOptions) {
  const members = yield* membership(yield* realDataDir(dataDir))
  const lifetime = yield* Effect.scope
  const { home, url } = yield* Effect.scoped(Effect.gen(function*() {
    yield* members.turn(joinDeadlineSeconds)
    const home = yield* serverHome(members.dataDir)
    yield* Effect.acquireRelease(join(home, members), (mine) => leave(home, members, mine)).pipe(
      Scope.provide(lifetime)
    )
    return { home, url: yield* ensureRunning(home, settings) }
  }))
  yield* Effect.forkScoped(keepRunning(home, members, settings, url))
  return EmbeddedPostgres.of({ url: Redacted.make(url) })
})

const leave = (home: ServerHome, members: Membership, mine: Scope.Closeable) =>
  Effect.scoped(Effect.gen(function*() {
    yield* members.turn(leaveDeadlineSeconds)
    yield* Scope.close(mine, Exit.void)
    if (yield* members.unused) yield* Postmaster.stop(home, stopDeadlineSeconds)
  })).pipe(
    Effect.catch((error) => Effect.logWarning(`the server is left running: ${error.message}`)),
    Effect.ensuring(Scope.close(mine, Exit.void))
  )

// No user's leaving can be what ended the server: we are one, and only the last one stops it.
const keepRunning = (home: ServerHome, members: Membership, settings: Settings, url: string) =>
  Effect.gen(function*() {
    const server = yield* Postmaster.inspect(home.cluster)
    if (server._tag === "Alive") return
    yield* Effect.logWarning("the embedded PostgreSQL ended; starting it again")
    yield* members.turn(joinDeadlineSeconds)
    if ((yield* ensureRunning(home, settings)) !== url) {
      yield* Effect.logError("the embedded PostgreSQL had to move to another port: restart this process")
    }
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => Effect.andThen(Effect.logError(error.message), Effect.sleep("5 seconds"))),
    Effect.repeat(Schedule.spaced("250 millis"))
  )
