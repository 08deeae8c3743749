import { Effect, Random, Schedule } from "effect"
import { createServer } from "node:net"
import * as Path from "node:path"
import { findBinaries, installBinaries, platformPackage } from "./Binaries.ts"
import { connectionUrl, createCluster, type Settings, writeSettings } from "./Cluster.ts"
import { EmbeddedPostgresError, failure } from "./errors.ts"
import * as Postmaster from "./Postmaster.ts"
import { readIfThere, type ServerHome, writePrivateFile } from "./ServerHome.ts"

// A start after a crash replays the log first, which may take its time.
const startDeadlineSeconds = 60
// On top of that: the copy, initdb, and the end of what another process began.
const readyDeadlineSeconds = 180

/**
 * Makes sure that the server runs and is ready, whatever state its predecessors were left in, and returns its URL,
 * which also stands in `<data-dir>/postgres.url` for other programs. The caller has the turn and is a user.
 */
export const ensureRunning = Effect.fn("EmbeddedPostgres.ensureRunning")(function*(
  home: ServerHome,
  settings: Settings
) {
  const port = yield* startUnlessReady(home, settings).pipe(
    Effect.retry({ while: mayPass, schedule: Schedule.spaced("100 millis") }),
    Effect.timeoutOrElse({
      duration: `${readyDeadlineSeconds} seconds`,
      orElse: () =>
        Effect.flatMap(
          Postmaster.logSince(home, 0),
          (log) => Effect.fail(failure(`the server was not ready within ${readyDeadlineSeconds} s`, log))
        )
    })
  )
  const url = yield* connectionUrl(home, port)
  const known = urlFile(home)
  if ((yield* readIfThere(known)) !== `${url}\n`) yield* writePrivateFile(known, `${url}\n`, home.keeper)
  return url
})

// Both parts do nothing where it is done already.
const prepare = Effect.fn("EmbeddedPostgres.prepare")(function*(home: ServerHome, settings: Settings) {
  const binaries = yield* installBinaries(yield* findBinaries(platformPackage()), home)
  yield* createCluster(home, binaries, settings)
  return binaries
})

const startUnlessReady = Effect.fnUntraced(function*(home: ServerHome, settings: Settings) {
  // One that another process began to start, or to stop, before it was killed comes to its end first.
  const server = yield* Postmaster.until(home.cluster, (found) => found._tag !== "Alive" || found.ready)
  if (server._tag === "Alive") return server.port
  if (server._tag === "Stale") yield* Postmaster.removeLockFile(home.cluster)
  const binaries = yield* prepare(home, settings)
  const port = yield* choosePort(home)
  yield* writeSettings(home, port, settings)
  yield* Postmaster.start(home, binaries, startDeadlineSeconds)
  return port
})

const passing = [
  // Somebody took the port after it was found free: the next attempt finds another.
  "could not bind",
  // Processes of a server that was killed are still going down.
  "pre-existing shared memory block",
  // A starter was killed, and what it had started got there first.
  "lock file \"postmaster.pid\" already exists"
]

const mayPass = (error: { readonly _tag: string }) =>
  error instanceof EmbeddedPostgresError && passing.some((sign) => error.serverLog.includes(sign))

const urlFile = (home: ServerHome) => Path.join(home.dataDir, "postgres.url")

// The port of last time if it is free, so that replicas that outlived a crash of the server find it again; and none of
// those that the system gives to outgoing connections, which could be in the way then.
const choosePort = Effect.fnUntraced(function*(home: ServerHome) {
  const last = /:(\d+)\/postgres\s*$/.exec((yield* readIfThere(urlFile(home))) ?? "")?.[1]
  if (last !== undefined && (yield* isFree(Number(last)))) return Number(last)
  for (let tries = 0; tries < 100; tries++) {
    const port = yield* Random.nextIntBetween(20_000, 32_000)
    if (yield* isFree(port)) return port
  }
  return yield* failure("found no free port between 20000 and 32000")
})

const isFree = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const probe = createServer()
    probe.once("error", () => resume(Effect.succeed(false)))
    probe.listen(port, "127.0.0.1", () => probe.close(() => resume(Effect.succeed(true))))
  })
