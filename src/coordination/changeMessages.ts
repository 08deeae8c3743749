import { Result, Schema } from "effect"
import { type RealmUrl, splitPayload } from "../domain/RealmUrl.ts"
import type { Counters } from "./Counters.ts"
import { Echoes } from "./Echoes.ts"
import type { Cause, Log } from "./EventLog.ts"
import type { Event } from "./Lease.ts"
import { type Change, type RealmMemory, voidPath } from "./RealmMemory.ts"

/** The payload of `lockstep_generations`. */
const Generation = Schema.fromJsonString(Schema.Struct({
  r: Schema.String,
  g: Schema.Finite,
  p: Schema.Union([Schema.Literal("*"), Schema.Array(Schema.String)]),
  // Who made it and waits for its acknowledgement: a member's boot.
  b: Schema.optionalKey(Schema.String),
  // Why, and by which replica: for people. Other versions may have other causes, or none.
  c: Schema.optionalKey(Schema.String),
  o: Schema.optionalKey(Schema.String)
}))
const decodeGeneration = Schema.decodeUnknownResult(Generation)

/** PostgreSQL takes payloads below 8,000 bytes. */
export const maxPayload = 7999

/** What the contract's channel says of a change. */
const seedPayloads = ({ paths, realmUrl }: Change): ReadonlyArray<string> =>
  paths === "*" ? [`${realmUrl}:*`] : paths.map((path) => `${realmUrl}:${path}`)

/** The messages for a change made by this boot: our own first, which carries the generation, then the contract's. */
export const messagesOf = (
  { cause, generation, paths, realmUrl }: Change,
  bootId: string,
  replicaId?: string
) => {
  const own = (p: Change["paths"]) =>
    JSON.stringify({ r: realmUrl, g: generation, p, b: bootId, c: cause, o: replicaId })
  const fits = (payload: string) => Buffer.byteLength(payload) <= maxPayload
  const named = paths !== "*" && fits(own(paths)) ? paths : "*"
  return [
    { channel: "lockstep_generations", payload: own(named) } as const,
    ...seedPayloads({ generation, paths: named, realmUrl }).map((payload) =>
      ({ channel: "realm_file_changes", payload }) as const
    )
  ]
}

/**
 * The receiving half: hears, clears, and never broadcasts. `applied` is told of each generation once memory obeys it.
 * What does not parse is counted; realms that nobody here has looked at have nothing to clear.
 */
export const makeReceiver = (
  memory: RealmMemory,
  counters: Counters["Service"],
  applied: (realmUrl: RealmUrl, generation: number, publisher?: string) => void,
  log?: { readonly record: Log["record"]; readonly bootId: string }
) => {
  const echoes = new Echoes()

  const onGeneration = (payload: string, sender: number) => {
    const decoded = decodeGeneration(payload)
    if (Result.isFailure(decoded)) return void counters.malformedPayloads++
    const { b: publisher, c: cause, g: generation, o: by, p: paths, r } = decoded.success
    const change: Change = { realmUrl: r as RealmUrl, generation, paths }
    counters.invalidationsReceived++
    memory.apply(change)
    applied(change.realmUrl, generation, publisher)
    echoes.announce(sender, seedPayloads(change))
    // Its own changes a replica has recorded when it applied them.
    if (publisher !== log?.bootId) {
      log?.record({ kind: "invalidation", ...change, via: "notification", cause: cause as Cause | undefined, by })
    }
  }

  const onFileChange = (payload: string, sender: number) => {
    const parts = splitPayload(payload)
    if (parts === undefined) return void counters.malformedPayloads++
    if (echoes.hear(sender, payload)) return
    counters.invalidationsReceived++
    const fence = memory.fenceOf(parts.realmUrl as RealmUrl)
    if (fence === undefined) return
    log?.record({
      kind: "invalidation",
      realmUrl: parts.realmUrl,
      paths: parts.path === "*" ? "*" : [parts.path],
      via: "notification"
    })
    if (parts.path === "*") fence.drop()
    else voidPath(fence, parts.path)
  }

  return (event: Event): void => {
    switch (event._tag) {
      case "Gap":
        return echoes.clear()
      case "CaughtUp":
        if (!event.continuous) return memory.reset()
        for (const { generation, realmUrl } of event.realms) {
          if (memory.apply({ realmUrl, generation, paths: "*" })) {
            log?.record({ kind: "invalidation", realmUrl, generation, paths: "*", via: "catch-up" })
          }
          applied(realmUrl, generation)
        }
        return
      case "Message": {
        const { channel, payload, sender } = event.message
        if (channel === "lockstep_generations") return onGeneration(payload, sender)
        if (channel === "realm_file_changes") return onFileChange(payload, sender)
      }
    }
  }
}
