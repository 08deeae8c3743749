import { Result, Schema } from "effect"
import { type RealmUrl, splitPayload } from "../domain/RealmUrl.ts"
import type { TraceContext } from "../domain/TraceContext.ts"
import type { Counters } from "./Counters.ts"
import { Echoes } from "./Echoes.ts"
import type { Event } from "./Lease.ts"
import { type Change, type RealmMemory, voidPath } from "./RealmMemory.ts"

/** The payload of `lockstep_generations`. */
const Generation = Schema.fromJsonString(Schema.Struct({
  r: Schema.String,
  g: Schema.Finite,
  p: Schema.Union([Schema.Literal("*"), Schema.Array(Schema.String)]),
  // Who made it and waits for its acknowledgement: a member's boot.
  b: Schema.optionalKey(Schema.String),
  // When it was committed, by its maker's wall clock in milliseconds, and where that is in a trace, if in any.
  at: Schema.optionalKey(Schema.Finite),
  t: Schema.optionalKey(Schema.String)
}))
const decodeGeneration = Schema.decodeUnknownResult(Generation)

/** PostgreSQL takes payloads below 8,000 bytes. */
export const maxPayload = 7999

/** What the contract's channel says of a change. */
const seedPayloads = ({ paths, realmUrl }: Change): ReadonlyArray<string> =>
  paths === "*" ? [`${realmUrl}:*`] : paths.map((path) => `${realmUrl}:${path}`)

/** Where and when a change was made, for those who measure. Another version of Lockstep may not say. */
export interface Origin {
  /** Wall-clock milliseconds of its maker. */
  readonly at?: number | undefined
  readonly trace?: TraceContext | undefined
}

/** The messages for a change made by this boot: our own first, which carries the generation, then the contract's. */
export const messagesOf = ({ generation, paths, realmUrl }: Change, bootId: string, origin: Origin = {}) => {
  const { at, trace: t } = origin
  const own = (p: Change["paths"]) => JSON.stringify({ r: realmUrl, g: generation, p, b: bootId, at, t })
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
  observed: (change: Change, publisher: string | undefined, origin: Origin) => void = () => {}
) => {
  const echoes = new Echoes()

  const onGeneration = (payload: string, sender: number) => {
    const decoded = decodeGeneration(payload)
    if (Result.isFailure(decoded)) return void counters.malformedPayloads++
    const { at, b: publisher, g: generation, p: paths, r, t: trace } = decoded.success
    const change: Change = { realmUrl: r as RealmUrl, generation, paths }
    counters.invalidationsReceived++
    memory.apply(change)
    applied(change.realmUrl, generation, publisher)
    echoes.announce(sender, seedPayloads(change))
    observed(change, publisher, { at, trace })
  }

  const onFileChange = (payload: string, sender: number) => {
    const parts = splitPayload(payload)
    if (parts === undefined) return void counters.malformedPayloads++
    if (echoes.hear(sender, payload)) return
    counters.invalidationsReceived++
    const fence = memory.fenceOf(parts.realmUrl as RealmUrl)
    if (fence === undefined) return
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
          memory.apply({ realmUrl, generation, paths: "*" })
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
