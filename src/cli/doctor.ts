import { Console, Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { coloursFor, widthOf } from "./colours.ts"
import { jsonFlag } from "./client.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { describeFindings, summary } from "./doctor/Finding.ts"
import { databaseUrl, dataDir } from "./serveFlags.ts"

/** `lockstep doctor [REALMS_DIR]` */
export const doctor = Command.make(
  "doctor",
  {
    realmsDir: Argument.String("REALMS_DIR").pipe(
      Argument.withDescription("look at this directory of source realms as well"),
      Argument.optional
    ),
    databaseUrl,
    dataDir,
    json: jsonFlag("print the findings as JSON")
  },
  Effect.fnUntraced(function*({ json, ...patient }) {
    const { examine } = yield* Effect.promise(() => import("./doctor/examine.ts"))
    const findings = yield* examine(patient)
    const failed = findings.filter(({ status }) => status === "fail").length
    yield* Console.log(
      json
        ? JSON.stringify({ ok: failed === 0, findings })
        : `${describeFindings(findings, coloursFor(process.stdout), Math.min(100, widthOf(process.stdout)))}\n\n${
          summary(findings)
        }`
    )
    if (failed > 0) {
      return yield* new CommandFailed({
        message: `${failed === 1 ? "a check" : `${failed} checks`} failed: Lockstep cannot keep its promise here`
      })
    }
  })
).pipe(
  Command.withDescription("Look at what replicas stand on: the database, the disk, the clocks, the fleet"),
  Command.withExamples([
    { command: "lockstep doctor", description: "the embedded database of the data directory, while a replica runs" },
    {
      command: "lockstep doctor ./realms --database-url postgres://lockstep@db/lockstep",
      description: "before replicas are started"
    },
    { command: "lockstep doctor --json", description: "for a script: exit code 1 where a check failed" }
  ])
)
