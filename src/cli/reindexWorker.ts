import * as fs from "node:fs/promises"
import { hostname } from "node:os"
import * as path from "node:path"
import { Console, Effect, Layer, Option, type Redacted } from "effect"
import { layerWorkerProgram } from "../Lockstep.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { type ObservabilityOptions, observed } from "./observed.ts"
import { prepareDirectories } from "./prepareDirectories.ts"
import { reindexOptions } from "./reindexOptions.ts"
import { embeddedDatabase } from "./replica.ts"
import { databaseFailure, startupFailure } from "./startupFailure.ts"

/** A worker has nothing to do on a database of its own: it takes the jobs of replicas that are there. */
const hasDatabase = (dataDir: string) => {
  const data = path.resolve(dataDir)
  return Effect.tryPromise({
    try: () => fs.lstat(path.join(data, "postgres")),
    catch: () =>
      new CommandFailed({
        message: `there is no database of replicas in the data directory ${data}: give the worker the --data-dir of ` +
          "`lockstep serve`, which must have run once, or the database that the replicas use with --database-url"
      })
  })
}

export interface WorkerFlags extends ObservabilityOptions {
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly dataDir: string
  readonly prerenderer: "isolated" | "chromium"
  readonly replicaUrls: ReadonlyArray<string>
}

/** A reindex worker that serves nothing, until it is interrupted: what it was at goes back to the queue. */
export const reindexWorker = (flags: WorkerFlags) =>
  takeJobs(flags).pipe(observed(`worker-${hostname()}-${process.pid}`, flags))

const takeJobs = Effect.fnUntraced(function*(flags: WorkerFlags) {
  const url = yield* Option.match(flags.databaseUrl, {
    onNone: () =>
      Effect.andThen(
        hasDatabase(flags.dataDir),
        Effect.flatMap(prepareDirectories(flags.dataDir, undefined), ({ dataDir }) => embeddedDatabase(dataDir))
      ),
    onSome: Effect.succeed
  })
  yield* Layer.build(layerWorkerProgram(reindexOptions(flags), {
    url,
    applicationName: `lockstep worker ${process.pid}`,
    maxConnections: 5,
    connectTimeout: "5 seconds",
    startupParameters: { statement_timeout: "5000" }
  })).pipe(Effect.mapError(Option.isSome(flags.databaseUrl) ? databaseFailure(url) : startupFailure))
  yield* Console.log("taking reindex jobs")
  return yield* Effect.never
}, Effect.scoped)
