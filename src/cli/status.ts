import { Duration, Effect } from "effect"
import { Command } from "effect/cli"
import { Status } from "../api/Api.ts"
import { clientFlags, get, print } from "./client.ts"
import { table } from "./table.ts"

/** `lockstep status` */
export const status = Command.make(
  "status",
  clientFlags,
  Effect.fnUntraced(function*(flags) {
    yield* print(flags, yield* get(flags.server, "/_status"), Status, describeStatus)
  })
).pipe(
  Command.withDescription("Show what a replica has done, and the fleet that it belongs to"),
  Command.withExamples([
    { command: "lockstep status --server http://10.0.0.5:4201", description: "one replica, by its own address" }
  ])
)

export const describeStatus = (status: typeof Status.Type): string => {
  const { applied, jobs, mounted, replicaId, replicas, uptimeSeconds, ...counters } = status
  return [
    `replica ${replicaId}, up ${Duration.format(Duration.seconds(Math.floor(uptimeSeconds)))}`,
    "",
    table(["COUNTER", "VALUE"], Object.entries(counters).map(([name, value]) => [words(name), String(value)])),
    "",
    mounted.length === 0
      ? "no realm has been asked for yet"
      : table(["REALM MOUNTED HERE", "GENERATION"], mounted.map((realm) => [realm, String(applied[realm] ?? "-")])),
    "",
    ...jobs.length === 0 ? [] : [
      table(
        ["REINDEX", "GENERATION", "STATE", "ATTEMPTS", "DONE", "LAST FAILURE"],
        jobs.map((job) => [
          job.realmUrl,
          String(job.generation),
          job.state,
          String(job.attempts),
          job.total === null ? "-" : `${job.indexed ?? 0} of ${job.total}`,
          job.error ?? "-"
        ])
      ),
      ""
    ],
    table(
      ["FLEET", "ADDRESS", "LEASE", "STATE"],
      replicas.map((replica) => [
        replica.replicaId === replicaId ? `${replica.replicaId} (asked)` : replica.replicaId,
        replica.advertiseUrl,
        Duration.format(Duration.millis(replica.leaseMillis)),
        stateOf(replica)
      ])
    )
  ].join("\n")
}

const stateOf = ({ applied, leaseHeld }: (typeof Status.Type)["replicas"][number]): string => {
  if (applied === null) return "does not answer"
  const realms = `realms looked at: ${Object.keys(applied).length}`
  return leaseHeld === true ? `holds its lease, ${realms}` : `without a lease, ${realms}`
}

/** `l2WriteRejected` reads "l2 write rejected". */
const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
