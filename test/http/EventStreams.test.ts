import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { Sse } from "effect/encoding"
import { TestClock } from "effect/testing"
import { EventLog, type Log, makeLog } from "../../src/coordination/EventLog.ts"
import { type EventsAsked, EventStreams } from "../../src/http/EventStreams.ts"
import { Members } from "../../src/http/Members.ts"
import type { ReplicaRow } from "../../src/store/ReplicaTable.ts"

const self: ReplicaRow = { replicaId: "one", bootId: "00000001-boot", advertiseUrl: "", leaseMillis: 3000 }
const other: ReplicaRow = { ...self, replicaId: "two", bootId: "00000002-boot" }

const asked: EventsAsked = { scope: "replica", recent: 0, lastEventId: undefined }

const publish = (log: Log, times = 1) => {
  for (let index = 0; index < times; index++) {
    log.record({ kind: "publish", realmUrl: "http://a/b/", generation: index })
  }
}

/** Streams over a log, beside another member whose events the test says. */
const setUp = Effect.gen(function*() {
  const log = makeLog(() => 0, "one")
  const followed: Array<{ readonly path: string; readonly lastEventId: string | undefined }> = []
  let say = (_data: string) => {}
  let place = (_id: number) => {}
  let end: Effect.Effect<void> = Effect.void
  const context = yield* Layer.build(
    Layer.fresh(EventStreams.layer).pipe(Layer.provide(Layer.mergeAll(
      Layer.succeed(EventLog, log),
      Layer.mock(Members, {
        self,
        all: Effect.succeed([self, other]),
        follow: (_, path, onEvent, lastEventId) =>
          Effect.suspend(() => {
            followed.push({ path, lastEventId })
            say = (data) => onEvent({ _tag: "Event", event: "message", id: undefined, data })
            const ended = Deferred.makeUnsafe<void>()
            const parser = Sse.makeParser(onEvent)
            place = (id) => void parser.feed(`id: 00000002:${id}\nretry: 1000\n\n`)
            end = Effect.asVoid(Deferred.succeed(ended, undefined))
            return Deferred.await(ended)
          })
      })
    )))
  )
  const streams = yield* Effect.provide(EventStreams, context)
  /** A reader that reads whatever comes. */
  const read = Effect.fnUntraced(function*(ask: EventsAsked) {
    const stream = yield* streams.open(ask)
    assert.isDefined(stream)
    let text = ""
    const fiber = yield* Effect.forkChild(
      Stream.runForEach(stream ?? Stream.empty, (bytes) =>
        Effect.sync(() => {
          text += Buffer.from(bytes).toString()
        })),
      { startImmediately: true }
    )
    return { fiber, text: () => text, ids: () => Array.from(text.matchAll(/"id":(\d+)/g), ([, id]) => Number(id)) }
  })
  const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })
  return {
    followed,
    log,
    read,
    say: (data: string) => say(data),
    place: (id: number) => place(id),
    end: Effect.suspend(() => end),
    settle,
    streams
  }
})

it.effect("a reader hears what happens from now on, and a heartbeat in between", () =>
  Effect.gen(function*() {
    const { log, read, settle } = yield* setUp
    publish(log, 3)
    const reader = yield* read(asked)
    yield* settle
    assert.deepStrictEqual(reader.ids(), [])
    publish(log, 2)
    yield* settle
    assert.deepStrictEqual(reader.ids(), [4, 5])
    const before = reader.text().length
    yield* TestClock.adjust("10 seconds")
    yield* settle
    assert.strictEqual(reader.text().slice(before), ":\n\n")
  }).pipe(Effect.scoped))

it.effect("a reader may begin with the last events, or go on where it ended, also where something was forgotten", () =>
  Effect.gen(function*() {
    const { log, read, settle } = yield* setUp
    publish(log, 10)
    const recent = yield* read({ ...asked, recent: 3 })
    yield* settle
    assert.deepStrictEqual(recent.ids(), [8, 9, 10])
    const resumed = yield* read({ ...asked, recent: 3, lastEventId: "00000001:6;00000002:99;nonsense" })
    yield* settle
    assert.deepStrictEqual(resumed.ids(), [7, 8, 9, 10])
    assert.notInclude(resumed.text(), "dropped")
    assert.include(resumed.text(), "id: 00000001:10;00000002:99\n")
    publish(log, 5_000)
    const late = yield* read({ ...asked, lastEventId: "00000001:6" })
    yield* settle
    assert.strictEqual(late.ids().at(-1), 5_010)
    assert.include(late.text(), `event: dropped\ndata: ${5_010 - 6 - late.ids().length}\n`)
  }).pipe(Effect.scoped))

it.effect("events that a slow reader has no room for are dropped and counted, and one that does not read at all is cut", () =>
  Effect.gen(function*() {
    const { log, settle, streams } = yield* setUp
    const stream = yield* streams.open(asked)
    const pull = yield* Stream.toPull(stream ?? Stream.empty)
    const take = Effect.map(pull, (chunk) => chunk.map((bytes) => Buffer.from(bytes).toString()).join(""))
    const first = yield* take
    publish(log, 3_000)
    // One that fits again after the backlog was read says how many did not.
    let text = first + (yield* take)
    publish(log)
    text += yield* take
    const heard = Array.from(text.matchAll(/"id":\d+/g)).length
    const dropped = Number(/event: dropped\ndata: (\d+)/.exec(text)?.[1])
    assert.isBelow(heard, 1_100)
    assert.strictEqual(heard + dropped, 3_001)
    publish(log, 30_000)
    const ended = yield* Effect.forkChild(Effect.exit(Effect.forever(pull)), { startImmediately: true })
    yield* settle
    assert.isDefined(ended.pollUnsafe())
  }).pipe(Effect.scoped))

it.effect("the fleet's events are one stream, whose ids name the place in each member's log", () =>
  Effect.gen(function*() {
    const { followed, log, read, say, settle } = yield* setUp
    const reader = yield* read({ scope: "fleet", recent: 5, lastEventId: "00000002:41" })
    yield* settle
    assert.deepStrictEqual(followed, [{ path: "/_events?scope=replica&recent=5", lastEventId: "00000002:41" }])
    publish(log)
    say(JSON.stringify({ replicaId: "two", bootId: other.bootId, id: 42, at: 1, kind: "transpile", path: "a.ts" }))
    say("{\"kind\":\"of another version\"}")
    yield* settle
    assert.deepStrictEqual(reader.ids(), [1, 42])
    assert.include(reader.text(), "id: 00000002:42;00000001:1\n")
  }).pipe(Effect.scoped))

it.effect("who has heard nothing yet goes on where it began: at a member, and at any replica", () =>
  Effect.gen(function*() {
    const { end, followed, log, place, read, settle } = yield* setUp
    publish(log, 3)
    const reader = yield* read({ ...asked, scope: "fleet" })
    yield* settle
    assert.isTrue(reader.text().startsWith("id: 00000001:3\nretry: 1000\n\n"))
    place(41)
    yield* settle
    assert.isTrue(reader.text().endsWith("id: 00000001:3;00000002:41\nretry: 1000\n\n"))
    yield* end
    yield* TestClock.adjust("1 second")
    yield* settle
    assert.deepStrictEqual(followed.map(({ lastEventId }) => lastEventId), [undefined, "00000002:41"])
    // Events that it is told at once are after where it begins.
    const recent = yield* read({ ...asked, recent: 2 })
    yield* settle
    assert.isTrue(recent.text().startsWith("id: 00000001:1\n"))
    assert.deepStrictEqual(recent.ids(), [2, 3])
  }).pipe(Effect.scoped))

it.effect("streams end when the replica stops, and there are not more readers than can be served", () =>
  Effect.gen(function*() {
    const { read, settle, streams } = yield* setUp
    const readers = yield* Effect.forEach(Array.from({ length: 64 }), () => read(asked))
    assert.isUndefined(yield* streams.open(asked))
    yield* Fiber.interrupt((yield* Effect.fromNullishOr(readers[0])).fiber)
    yield* settle
    assert.isDefined(yield* streams.open(asked))
    yield* streams.end
    yield* Effect.forEach(readers.slice(1), ({ fiber }) => Fiber.join(fiber))
  }).pipe(Effect.scoped))
