import { hostname } from "node:os"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Console, Context, Duration, Effect, Layer, Option } from "effect"
import { isConfigured, isLoopback } from "../access/Access.ts"
import { AccessNotConfigured } from "../access/errors.ts"
import { layerHttp, Listening } from "../http/server.ts"
import { layerProgram } from "../Lockstep.ts"
import { layerReindex } from "../reindex/ReindexWorker.ts"
import { EmbeddedPostgres } from "../postgres/EmbeddedPostgres.ts"
import { accessOptions, rateOf } from "./accessFlags.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { CurrentConfig, presetOf } from "./config/configured.ts"
import { observed } from "./observed.ts"
import { prepareDirectories } from "./prepareDirectories.ts"
import { programDatabase } from "./programDatabase.ts"
import { reindexOptions } from "./reindexOptions.ts"
import { reservePort } from "./reservePort.ts"
import type { ServeOptions } from "./serveFlags.ts"
import { databaseFailure, httpFailure, startupFailure } from "./startupFailure.ts"
import { whatToOpen } from "./whatToOpen.ts"

/**
 * One replica, from its directories to its last connection, until it is interrupted. What is acquired first is released
 * last: requests are drained, then the services end, then their connections, then the embedded database.
 */
export const replica = (flags: ServeOptions) => {
  const replicaId = Option.getOrElse(flags.replicaId, () => `${hostname()}-${process.pid}`)
  return serve(replicaId, flags).pipe(observed(replicaId, flags))
}

const serve = Effect.fnUntraced(function*(replicaId: string, flags: ServeOptions) {
  const { host, publicUrl, trustProxy } = flags
  const access = yield* accessOptions(flags)
  // Before anything is started: who forgot this must not wait for a database first.
  if (!isLoopback(host) && !isConfigured(access)) {
    return yield* new CommandFailed({ message: new AccessNotConfigured({ host }).message })
  }
  const config = yield* CurrentConfig
  const directories = yield* prepareDirectories(
    flags.dataDir,
    Option.getOrElse(flags.realmsDir, () => config.realmsDir)
  )
  const reserved = yield* reservePort(host, flags.port)

  const url = yield* Option.match(flags.databaseUrl, {
    onNone: () => embeddedDatabase(directories.dataDir),
    onSome: Effect.succeed
  })
  const database = programDatabase(url, flags.sessionDatabaseUrl, {
    // A name of its own, by which the replica counts its connections.
    applicationName: `lockstep pool ${process.pid}.${reserved.port}`,
    maxConnections: 10
  })
  const services = yield* Layer.build(layerProgram({
    publicUrl,
    realmsDir: directories.realmsDir,
    versionsDir: directories.versionsDir,
    replicaId,
    advertiseUrl: Option.getOrElse(flags.advertiseUrl, () => ownAddress(host, reserved.port)),
    leaseMillis: Duration.toMillis(flags.lease),
    cacheBytes: flags.cacheBytes,
    onPartition: flags.onPartition,
    warmUp: flags.warmUp,
    watch: flags.watch,
    ...database.sessions,
    transpiler: config.transpiler ?? {
      compiler: flags.transpiler,
      preset: presetOf(Option.getOrUndefined(flags.preset), config),
      jsxImportSource: flags.jsxImportSource,
      timeout: flags.transpileTimeout,
      workers: Option.getOrUndefined(flags.workers)
    }
  }, database.pool)).pipe(Effect.mapError(Option.isSome(flags.databaseUrl) ? databaseFailure(url) : startupFailure))

  yield* reserved.release
  const http = yield* Layer.build(layerHttp({
    host,
    port: reserved.port,
    publicUrl,
    trustProxy,
    access,
    corsOrigins: flags.corsOrigin,
    trustPages: flags.trustPages,
    rateLimit: rateOf(flags, host),
    realmLimits: { bytes: flags.maxRealmBytes, files: flags.maxRealmFiles },
    drainDelay: flags.drainDelay,
    cacheBytes: Math.ceil(flags.cacheBytes / 4)
  })).pipe(
    Effect.provideContext(services),
    Effect.provide(NodeHttpServer.layerHttpServices),
    Effect.mapError(httpFailure(host, reserved.port))
  )
  const listening = Context.get(http, Listening)
  if (flags.worker) {
    yield* Effect.provideContext(Layer.build(layerReindex(reindexOptions(flags))), services)
  }
  yield* Console.log(`listening on ${listening.url}`)
  yield* Effect.provideContext(whatToOpen(publicUrl, listening.url), services)
  yield* Effect.addFinalizer(() => Effect.logInfo("Stopping: the requests under way are finished first"))
  return yield* Effect.never
}, Effect.scoped)

/** The URL of the embedded server of this data directory, which runs for as long as the scope lives. */
export const embeddedDatabase = (dataDir: string) =>
  Layer.build(EmbeddedPostgres.layer({ dataDir })).pipe(
    Effect.map((context) => Context.get(context, EmbeddedPostgres).url),
    Effect.mapError(startupFailure)
  )

// What listens on every address is reached by the machine's name.
const ownAddress = (host: string, port: number) => {
  const name = host === "0.0.0.0" || host === "::" ? hostname() : host
  return `http://${name.includes(":") ? `[${name}]` : name}:${port}`
}
