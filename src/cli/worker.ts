import { Effect } from "effect"
import { Command } from "effect/cli"
import { workerFlags } from "./serveFlags.ts"

/** `lockstep worker` */
export const worker = Command.make(
  "worker",
  workerFlags,
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => {
        // A signal is how a worker ends well: see termination.
        process.exitCode = 0
        return import("./reindexWorker.ts")
      }),
      ({ reindexWorker }) => reindexWorker(flags)
    )
).pipe(
  Command.withDescription("Render published realms, without serving any: take reindex jobs alone"),
  Command.withExamples([
    {
      command: "lockstep worker --database-url postgres://lockstep@db/lockstep",
      description: "render on a machine that serves nothing; start the replicas with --no-worker"
    }
  ])
)
