import * as fs from "node:fs/promises"
import * as path from "node:path"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Clock, Effect, Option, Redacted } from "effect"
import * as inspection from "../../store/inspection.ts"
import { databaseFailure } from "../startupFailure.ts"
import { examineDatabase } from "./database.ts"
import { fail, type Finding, warn } from "./Finding.ts"
import { examineFleet } from "./fleet.ts"
import { directory, runtime } from "./machine.ts"
import { hears, keepsState } from "./sessionState.ts"

export interface Patient {
  readonly databaseUrl: Option.Option<Redacted.Redacted>
  readonly dataDir: string
  readonly realmsDir: Option.Option<string>
}

/** Everything, in the order in which it is worth reading. It changes nothing, starts nothing, and takes a minute at most. */
export const examine = Effect.fnUntraced(function*({ databaseUrl, dataDir, realmsDir }: Patient) {
  const findings: Array<Finding> = [...runtime(), ...(yield* directory("directory.data", "data directory", dataDir))]
  if (Option.isSome(realmsDir)) {
    findings.push(...(yield* directory("directory.realms", "realms directory", realmsDir.value)))
  }
  const url = Option.isSome(databaseUrl) ? databaseUrl : yield* embedded(dataDir)
  if (Option.isNone(url)) {
    findings.push(warn(
      "postgres",
      `there is no embedded database in ${path.resolve(dataDir)}`,
      "it runs as long as a replica of this machine does: start lockstep serve, or name a database with --database-url or DATABASE_URL"
    ))
    return findings
  }
  const open = inspection.open(url.value)
  const examined = yield* Effect.scoped(Effect.gen(function*() {
    const connection = yield* open
    const began = yield* Clock.currentTimeMillis
    const { findings, members, now } = yield* examineDatabase(connection)
    return { findings, members, databaseAhead: now - began }
  })).pipe(Effect.timeout("20 seconds"), Effect.result)
  if (examined._tag === "Failure") {
    findings.push(unreachable(url.value, examined.failure, Option.isNone(databaseUrl)))
    return findings
  }
  findings.push(...examined.success.findings)
  findings.push(yield* keepsState(open), yield* hears(open))
  findings.push(...(yield* examineFleet(examined.success.members, examined.success.databaseAhead)))
  return findings
}, Effect.provide(NodeHttpClient.layerNodeHttp))

/** The embedded server's URL, which its first user has written down. */
const embedded = (dataDir: string) =>
  Effect.promise(async () => {
    const text = await fs.readFile(path.join(path.resolve(dataDir), "postgres.url"), "utf8").catch(() => "")
    return text.trim() === "" ? Option.none<Redacted.Redacted>() : Option.some(Redacted.make(text.trim()))
  })

const unreachable = (url: Redacted.Redacted, error: unknown, isEmbedded: boolean): Finding => {
  const message = databaseFailure(url)(error).message
  if (/unsupported startup parameter/.test(message)) {
    return fail(
      "postgres",
      "PgBouncer is in the way, and refuses the settings of Lockstep's sessions",
      "connect to PostgreSQL directly; in session mode, also ignore_startup_parameters would make sessions lose their deadlines"
    )
  }
  return isEmbedded
    ? warn(
      "postgres",
      "the embedded database does not answer",
      "it runs as long as a replica of this machine does: start lockstep serve"
    )
    : fail("postgres", message, "nothing else of the database can be looked at")
}
