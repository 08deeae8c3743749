import { Context, Deferred, Effect, FiberMap, Layer, Queue, Result, Schedule, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import { Event } from "../api/Fleet.ts"
import { EventLog, type Recorded } from "../coordination/EventLog.ts"
import type { ReplicaRow } from "../store/ReplicaTable.ts"
import { Members } from "./Members.ts"

export interface EventsAsked {
  /** Only what happens here, or in all of the fleet. */
  readonly scope: "fleet" | "replica"
  /** How many of each member's last events to begin with, where the reader has had none. */
  readonly recent: number
  /** The id of the last event that the reader has had. */
  readonly lastEventId: string | undefined
}

type WireEvent = typeof Event.Type

/** What a reader is told. */
type Frame =
  | { readonly _tag: "Event"; readonly event: WireEvent }
  /** The reader was too slow for this many. */
  | { readonly _tag: "Dropped"; readonly count: number }
  /** What a member tells from here on is after this place in its log. */
  | { readonly _tag: "Place"; readonly boot: string; readonly id: number }
  | { readonly _tag: "Heartbeat" }

/** Events that wait for one reader. */
const backlog = 1_000

/** A reader that has missed this many in one go is cut: it is not reading. */
const patience = 20_000

const maxReaders = 64

const heartbeat = "10 seconds"

/** How often the list of members is read again, and a member that ended its stream is asked again. */
const membersAge = "3 seconds"
const retryMillis = 1_000

/** What a member that appears later has done since it started: all that it remembers that may concern a reader. */
const firstWords = 1_000

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Event))

/** Streams of server-sent events, each with a bounded backlog of its own. */
export class EventStreams extends Context.Service<EventStreams, {
  /** The bytes for one reader; undefined where there are too many of them. */
  readonly open: (asked: EventsAsked) => Effect.Effect<Stream.Stream<Uint8Array> | undefined>
  /** Ends every stream: the replica stops. */
  readonly end: Effect.Effect<void>
}>()("lockstep/http/EventStreams") {
  static readonly layer = Layer.effect(
    EventStreams,
    Effect.gen(function*() {
      const log = yield* EventLog
      const members = yield* Members
      const closing = Deferred.makeUnsafe<void>()
      let readers = 0

      const frames = ({ lastEventId, recent, scope }: EventsAsked) => {
        const known = positionsOf(lastEventId)
        return Stream.callback<Frame>(
          Effect.fnUntraced(function*(queue) {
            yield* Effect.acquireRelease(Effect.sync(() => readers++), () => Effect.sync(() => readers--))
            let dropped = 0
            const offer = (frame: Frame) => {
              if (dropped > 0 && Queue.offerUnsafe(queue, { _tag: "Dropped", count: dropped })) dropped = 0
              if (!Queue.offerUnsafe(queue, frame) && frame._tag === "Event" && ++dropped > patience) {
                Queue.endUnsafe(queue)
              }
            }
            const tell = (recorded: Recorded) => offer({ _tag: "Event", event: toWire(recorded, members.self) })

            const own = shortOf(members.self.bootId)
            const after = known.get(own)
            yield* Effect.acquireRelease(Effect.sync(() => log.listen(tell)), (stop) => Effect.sync(stop))
            // In the same step as the listener, so that none is missed or told twice.
            const before = after === undefined
              ? recent === 0 ? [] : log.since(0).slice(-recent)
              : log.since(after).slice(-firstWords / 2)
            // What the rings have forgotten since, or is more than one wants to hear at once.
            if (after !== undefined) dropped = Math.max(0, log.newest() - after - before.length)
            offer(
              after === undefined
                ? { _tag: "Place", boot: own, id: before[0] === undefined ? log.newest() : before[0].id - 1 }
                : { _tag: "Heartbeat" }
            )
            before.forEach(tell)

            yield* Effect.forkScoped(
              Effect.repeat(Effect.sync(() => offer({ _tag: "Heartbeat" })), Schedule.spaced(heartbeat))
            )
            if (scope === "fleet") yield* Effect.forkScoped(followOthers(members, known, recent, offer))
            yield* Deferred.await(closing)
            Queue.endUnsafe(queue)
          }),
          { bufferSize: backlog, strategy: "dropping" }
        )
      }

      return EventStreams.of({
        open: (asked) =>
          Effect.sync(() => {
            if (readers >= maxReaders) return undefined
            const sent = positionsOf(asked.lastEventId)
            return Stream.map(frames(asked), (frame) => encode(frame, sent))
          }),
        end: Effect.sync(() => void Deferred.doneUnsafe(closing, Effect.void))
      })
    })
  )
}

/** Follows every other member for as long as it is one. */
const followOthers = Effect.fnUntraced(function*(
  members: Members["Service"],
  known: ReadonlyMap<string, number>,
  recent: number,
  offer: (frame: Frame) => void
) {
  const received = new Map(known)
  const fibers = yield* FiberMap.make<string>()
  let isFirst = true

  const follow = (member: ReplicaRow, first: number) =>
    Effect.suspend(() => {
      const boot = shortOf(member.bootId)
      const position = received.get(boot)
      return members.follow(
        member,
        `/_events?scope=replica&recent=${first}`,
        (event) => {
          if (event._tag === "Retry") {
            const id = positionsOf(event.lastEventId).get(boot)
            if (id === undefined) return
            received.set(boot, id)
            return offer({ _tag: "Place", boot, id })
          }
          if (event.event === "dropped") return offer({ _tag: "Dropped", count: Number(event.data) || 1 })
          const decoded = decode(event.data)
          if (Result.isFailure(decoded)) return
          received.set(boot, decoded.success.id)
          offer({ _tag: "Event", event: decoded.success })
        },
        position === undefined ? undefined : `${boot}:${position}`
      )
    }).pipe(Effect.ignore, Effect.andThen(Effect.sleep(retryMillis)), Effect.forever)

  return yield* Effect.forever(Effect.gen(function*() {
    const others = (yield* members.all)?.slice(1)
    if (others !== undefined) {
      const present = new Set(others.map(({ bootId }) => bootId))
      for (const [bootId] of fibers) if (!present.has(bootId)) yield* FiberMap.remove(fibers, bootId)
      for (const member of others) {
        yield* FiberMap.run(fibers, member.bootId, follow(member, isFirst ? recent : firstWords), {
          onlyIfMissing: true
        })
      }
      isFirst = false
    }
    yield* Effect.sleep(membersAge)
  }))
}, Effect.scoped)

/** How an event travels. */
export const toWire = (recorded: Recorded, { bootId, replicaId }: ReplicaRow): WireEvent =>
  Object.fromEntries(
    Object.entries({ replicaId, bootId, ...recorded }).filter(([, value]) => value !== undefined)
  ) as WireEvent

const utf8 = new TextEncoder()

const encode = (frame: Frame, sent: Map<string, number>): Uint8Array => {
  switch (frame._tag) {
    case "Heartbeat":
      return utf8.encode(":\n\n")
    // Without data it is no event: it goes with what a client that lost its stream has to know, where and when to go on.
    case "Place":
      sent.set(frame.boot, frame.id)
      return utf8.encode(`id: ${idOf(sent)}\nretry: ${retryMillis}\n\n`)
    case "Dropped":
      return utf8.encode(Sse.encoder.write({
        _tag: "Event",
        event: "dropped",
        id: undefined,
        data: String(frame.count)
      }))
    case "Event": {
      sent.set(shortOf(frame.event.bootId), frame.event.id)
      return utf8.encode(Sse.encoder.write({
        _tag: "Event",
        event: "message",
        id: idOf(sent),
        data: JSON.stringify(frame.event)
      }))
    }
  }
}

const idOf = (sent: ReadonlyMap<string, number>) => Array.from(sent, ([boot, id]) => `${boot}:${id}`).join(";")

// Enough to tell the boots of one fleet apart: an event's id names the place in the log of each.
const shortOf = (bootId: string) => bootId.slice(0, 8)

const maxPositions = 256

/** The place in each member's log, from an event's id. What does not parse is left out. */
const positionsOf = (lastEventId = ""): Map<string, number> => {
  const found = new Map<string, number>()
  for (const entry of lastEventId.slice(0, 8192).split(";").slice(0, maxPositions)) {
    const parts = /^([0-9a-f]{8}):(\d{1,15})$/.exec(entry)
    if (parts !== null) found.set(parts[1] ?? "", Number(parts[2]))
  }
  return found
}
