import { Effect } from "effect"
import { Command } from "effect/cli"
import { allowDrainDelay } from "./termination.ts"
import { serveFlags } from "./serveFlags.ts"

/** `lockstep serve [REALMS_DIR]` */
export const serve = Command.make("serve", serveFlags, (flags) =>
  // The server is most of the program: commands that only talk to one do without loading it.
  Effect.flatMap(
    Effect.promise(() => {
      // A signal is how a server ends well: see termination.
      process.exitCode = 0
      allowDrainDelay(flags.drainDelay)
      return import("./replica.ts")
    }),
    ({ replica }) => replica(flags)
  )).pipe(Command.withDescription("Serve realms: start one replica"))
