import { hostname } from "node:os"
import { Console, Effect, Layer, Option, type Redacted } from "effect"
import { layerWorkerProgram } from "../Lockstep.ts"
import { databaseOf } from "./databaseOf.ts"
import { type ObservabilityOptions, observed } from "./observed.ts"
import { programDatabase } from "./programDatabase.ts"
import { reindexOptions } from "./reindexOptions.ts"
import { databaseFailure, startupFailure } from "./startupFailure.ts"

export interface WorkerFlags extends ObservabilityOptions {
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly sessionDatabaseUrl: Option.Option<Redacted.Redacted>
  readonly dataDir: string
  readonly prerenderer: "isolated" | "chromium"
  readonly replicaUrls: ReadonlyArray<string>
}

/** A reindex worker that serves nothing, until it is interrupted: what it was at goes back to the queue. */
export const reindexWorker = (flags: WorkerFlags) =>
  takeJobs(flags).pipe(observed(`worker-${hostname()}-${process.pid}`, flags))

const takeJobs = Effect.fnUntraced(function*(flags: WorkerFlags) {
  const url = yield* databaseOf(flags)
  const database = programDatabase(url, flags.sessionDatabaseUrl, {
    applicationName: `lockstep worker ${process.pid}`,
    maxConnections: 5
  })
  yield* Layer.build(layerWorkerProgram({ ...reindexOptions(flags), ...database.sessions }, database.pool)).pipe(
    Effect.mapError(Option.isSome(flags.databaseUrl) ? databaseFailure(url) : startupFailure)
  )
  yield* Console.log("taking reindex jobs")
  return yield* Effect.never
}, Effect.scoped)
