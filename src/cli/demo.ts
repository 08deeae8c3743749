import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Effect } from "effect"
import { Command } from "effect/cli"
import { CommandFailed } from "./CommandFailed.ts"
import { configFlag } from "./serveFlags.ts"
import { story } from "./demo/story.ts"

const deadline = "90 seconds"

/** `lockstep demo` */
export const demo = Command.make("demo", { config: configFlag }, () =>
  Effect.scoped(story).pipe(
    Effect.catchTag("PlatformError", (error) => new CommandFailed({ message: error.message })),
    Effect.timeoutOrElse({
      duration: deadline,
      orElse: () => Effect.fail(new CommandFailed({ message: `the demonstration did not end within ${deadline}` }))
    }),
    Effect.provide(NodeHttpClient.layerNodeHttp)
  )).pipe(
    Command.withDescription("Show two replicas publish without a stale byte, in a temporary directory"),
    Command.withExamples([
      { command: "lockstep demo" }
    ])
  )
