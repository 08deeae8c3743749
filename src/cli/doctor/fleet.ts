import { Clock, Effect, Option, Schema } from "effect"
import { HttpClient, type HttpClientResponse } from "effect/http"
import { version } from "../../domain/version.ts"
import { clockSkew, type MemberRow } from "./database.ts"
import { type Finding, ok, warn } from "./Finding.ts"

const patience = "2 seconds"

/** A date in a header says the second alone. */
const resolution = 1000

const Health = Schema.fromJsonString(
  Schema.Struct({ replicaId: Schema.String, version: Schema.optionalKey(Schema.String) })
)

/** The members of the fleet: who has gone silent, who can be reached from here, with which version and clock. */
export const examineFleet = Effect.fnUntraced(function*(members: ReadonlyArray<MemberRow>, databaseAhead: number) {
  if (members.length === 0) return [ok("fleet", "no replica is a member of the fleet at the moment")]
  const silent = members.filter(({ lease_ms, silent_ms }) => silent_ms > lease_ms * 1.01)
  const live = members.filter((member) => !silent.includes(member))
  const findings: Array<Finding> = silent.map(({ replica_id, silent_ms }) =>
    warn(
      `fleet.lease.${replica_id}`,
      `the replica ${replica_id} has not renewed its lease for ${(silent_ms / 1000).toFixed(1)} s`,
      "it is dead, frozen or cut off, and answers nothing from memory. The next publish waits its lease out once and forgets it; if it " +
        "should live, look at its log"
    )
  )
  if (live.length > 0) {
    findings.push(
      ok("fleet", `${live.length === 1 ? "1 replica holds its lease" : `${live.length} replicas hold their leases`}`)
    )
  }
  const asked = yield* Effect.forEach(live, (member) => ask(member, databaseAhead), { concurrency: 8 })
  findings.push(...asked.flatMap(({ findings }) => findings))
  const versions = new Set(asked.flatMap((each) => each.version ?? []))
  if (versions.size > 1) {
    findings.push(
      warn(
        "fleet.versions",
        `the replicas run ${Array.from(versions).join(" and ")}`,
        "finish the roll-out: two versions side by side are meant to be short"
      )
    )
  } else if (versions.size === 1 && !versions.has(version)) {
    findings.push(
      warn(
        "fleet.versions",
        `the replicas run ${Array.from(versions)[0]}, and this is ${version}`,
        "run the doctor of the version that runs"
      )
    )
  }
  return findings
})

/** One replica, as this machine reaches it. `databaseAhead`: what to add to our clock to have PostgreSQL's. */
const ask = Effect.fnUntraced(function*({ advertise_url, replica_id }: MemberRow, databaseAhead: number) {
  const before = yield* Clock.currentTimeMillis
  const answer = yield* Effect.option(Effect.timeout(health(advertise_url), patience))
  const after = yield* Clock.currentTimeMillis
  if (Option.isNone(answer)) {
    return {
      version: undefined,
      findings: [warn(
        `fleet.reach.${replica_id}`,
        `the replica ${replica_id} does not answer at ${advertise_url} from here`,
        "workers and other replicas reach it at this URL: check --advertise-url, and that this machine may connect"
      )]
    }
  }
  const { date, said } = answer.value
  // Their clock said `date` or up to a second more, at some time between `before` and `after` of PostgreSQL's clock.
  const skew = Number.isNaN(date)
    ? []
    : [clockSkew(replica_id, date, before + databaseAhead, after + databaseAhead, resolution)]
  return {
    version: said.version,
    findings: [
      ok(`fleet.reach.${replica_id}`, `the replica ${replica_id} answers at ${advertise_url} in ${after - before} ms`),
      ...skew
    ]
  }
})

const health = Effect.fnUntraced(function*(url: string) {
  const client = yield* HttpClient.HttpClient
  const response: HttpClientResponse.HttpClientResponse = yield* client.get(`${url}/_health`)
  const said = yield* Schema.decodeEffect(Health)(yield* response.text)
  return { said, date: Date.parse(response.headers["date"] ?? "") }
})
