import { Result, Schema } from "effect"
import { type RealmUrl, splitPayload } from "../domain/RealmUrl.ts"
import type { TraceContext } from "../domain/TraceContext.ts"
import type { Counters } from "./Counters.ts"
import { Echoes } from "./Echoes.ts"
import type { Cause } from "./EventLog.ts"
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
  o: Schema.optionalKey(Schema.String),
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

/** Who made a change, and when. Another version of Lockstep may not say all of it. */
export interface Origin {
  /** The member's boot, which waits for acknowledgements. */
  readonly publisher: string | undefined
  /** The replica's name, for people. */
  readonly replica?: string | undefined
  /** Wall-clock milliseconds of its maker. */
  readonly at?: number | undefined
  readonly trace?: TraceContext | undefined
}

/** Is told of what memory obeys by now, for those who measure and remember. It must neither wait nor throw. */
export interface Observer {
  readonly heard: (change: Change, origin: Origin) => void
  /** The contract's message from somebody who is no replica. */
  readonly heardRaw: (realmUrl: RealmUrl, paths: Change["paths"]) => void
  readonly caughtUp: (realmUrl: RealmUrl, generation: number) => void
}

/** The messages for a change: our own first, which carries the generation, then the contract's. */
export const messagesOf = ({ cause, generation, paths, realmUrl }: Change, origin: Origin) => {
  const { at, publisher, replica, trace } = origin
  const own = (p: Change["paths"]) =>
    JSON.stringify({ r: realmUrl, g: generation, p, b: publisher, c: cause, o: replica, at, t: trace })
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
  observer?: Observer
) => {
  const echoes = new Echoes()

  const onGeneration = (payload: string, sender: number) => {
    const decoded = decodeGeneration(payload)
    if (Result.isFailure(decoded)) return void counters.malformedPayloads++
    const { at, b: publisher, c: cause, g: generation, o: replica, p: paths, r, t: trace } = decoded.success
    const change: Change = { realmUrl: r as RealmUrl, generation, paths }
    counters.invalidationsReceived++
    memory.apply(change)
    applied(change.realmUrl, generation, publisher)
    echoes.announce(sender, seedPayloads(change))
    observer?.heard(cause === undefined ? change : { ...change, cause: cause as Cause }, {
      publisher,
      replica,
      at,
      trace
    })
  }

  const onFileChange = (payload: string, sender: number) => {
    const parts = splitPayload(payload)
    if (parts === undefined) return void counters.malformedPayloads++
    if (echoes.hear(sender, payload)) return
    counters.invalidationsReceived++
    const fence = memory.fenceOf(parts.realmUrl as RealmUrl)
    if (fence === undefined) return
    observer?.heardRaw(parts.realmUrl as RealmUrl, parts.path === "*" ? "*" : [parts.path])
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
          if (memory.apply({ realmUrl, generation, paths: "*" })) observer?.caughtUp(realmUrl, generation)
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
