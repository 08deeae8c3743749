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
  )).pipe(
    Command.withDescription("Serve realms: start one replica"),
    Command.withExamples([
      {
        command: "lockstep serve ./realms",
        description: "one replica, with an embedded PostgreSQL, on http://localhost:4201/"
      },
      {
        command: "lockstep serve ./realms --port 4202 --public-url http://localhost:4201/",
        description: "a second replica of the same fleet on this machine"
      },
      {
        command:
          "lockstep serve ./realms --host 0.0.0.0 --public-url https://modules.example/ --database-url postgres://lockstep@db/lockstep --trust-proxy",
        description: "behind a load balancer"
      },
      {
        command: "lockstep serve ./realms --otlp-url http://localhost:4318 --log-format json",
        description: "seen by an OpenTelemetry collector, and by a log collector"
      }
    ])
  )
