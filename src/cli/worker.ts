import { Effect } from "effect"
import { Command } from "effect/cli"
import { databaseUrl, dataDir, prerenderer, replicaUrls, sessionDatabaseUrl } from "./serveFlags.ts"

/** `lockstep worker` */
export const worker = Command.make(
  "worker",
  { databaseUrl, sessionDatabaseUrl, dataDir, prerenderer, replicaUrls },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => {
        // A signal is how a worker ends well: see termination.
        process.exitCode = 0
        return import("./reindexWorker.ts")
      }),
      ({ reindexWorker }) => reindexWorker(flags)
    )
).pipe(Command.withDescription("Render published realms, without serving any: take reindex jobs alone"))
