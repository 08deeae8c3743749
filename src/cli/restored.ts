import { Effect } from "effect"
import { Command } from "effect/cli"
import { databaseUrl, dataDir } from "./serveFlags.ts"

/** `lockstep restored` */
export const restored = Command.make(
  "restored",
  { databaseUrl, dataDir },
  (flags) =>
    Effect.flatMap(
      Effect.promise(() => import("./raiseGenerations.ts")),
      ({ raiseGenerations }) => raiseGenerations(flags)
    )
).pipe(
  Command.withDescription(
    "After PostgreSQL was restored from a copy of its files: raise all generations past any that were issued"
  ),
  Command.withExamples([{
    command: "lockstep restored --database-url postgres://lockstep@db/lockstep",
    description: "before the first replica is started again"
  }])
)
