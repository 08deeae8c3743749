import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Counters } from "../../src/coordination/Counters.ts"
import {
  type DefinitionMessage,
  globalMessage,
  moduleMessages,
  realmMessage
} from "../../src/coordination/definitionMessages.ts"
import { Notifications } from "../../src/coordination/Notifications.ts"
import type { Event } from "../../src/coordination/Lease.ts"
import { DefinitionGuard } from "../../src/definitions/DefinitionGuard.ts"

const a = "http://test.example/a/"
const b = "http://test.example/b/"

const setUp = Effect.gen(function*() {
  const handlers: Array<(event: Event) => void> = []
  const notifications = Layer.succeed(Notifications, {
    subscribe: (handler) => Effect.sync(() => void handlers.push(handler)),
    notify: () => Effect.void
  })
  const context = yield* Layer.build(
    DefinitionGuard.layer.pipe(Layer.provide(notifications), Layer.provideMerge(Counters.layer))
  )
  const guard = yield* Effect.provideContext(DefinitionGuard, context)
  const counters = yield* Effect.provideContext(Counters, context)
  const say = (event: Event) => Effect.sync(() => handlers.forEach((handler) => handler(event)))
  const hear = (payload: string) =>
    say({ _tag: "Message", message: { channel: "module_cache_invalidated", payload, sender: 1 } })
  return { counters, guard, hear, say }
})

it.effect("messages of all three kinds void what they name, and nothing else (S21)", () =>
  Effect.gen(function*() {
    const { counters, guard, hear } = yield* setUp
    const inA = guard.capture(a)
    const inB = guard.capture(b)
    const state = () => [
      guard.holds(inA, a, "sub dir/x.ts"),
      guard.holds(inA, a, "y.ts"),
      guard.holds(inB, b, "y.ts")
    ]
    assert.deepStrictEqual(state(), [true, true, true])
    yield* hear(JSON.stringify({ k: "module", r: a, m: [`${a}sub%20dir/x.ts`, `${b}y.ts`] }))
    assert.deepStrictEqual(state(), [false, true, true])
    // What is made from now on holds.
    assert.isTrue(guard.holds(guard.capture(a), a, "sub dir/x.ts"))
    yield* hear(realmMessage(a).payload)
    assert.deepStrictEqual(state(), [false, false, true])
    yield* hear(globalMessage.payload)
    assert.deepStrictEqual(state(), [false, false, false])
    assert.isTrue(guard.holds(guard.capture(b), b, "y.ts"))
    assert.strictEqual(counters.invalidationsReceived, 3)
  }))

it.effect("a token of one realm says nothing of another; after a discontinuity nothing holds", () =>
  Effect.gen(function*() {
    const { guard, say } = yield* setUp
    const token = guard.capture(a)
    assert.isFalse(guard.holds(token, b, "y.ts"))
    yield* say({ _tag: "CaughtUp", realms: [], continuous: true })
    assert.isTrue(guard.holds(token, a, "y.ts"))
    yield* say({ _tag: "CaughtUp", realms: [], continuous: false })
    assert.isFalse(guard.holds(token, a, "y.ts"))
  }))

it.effect("malformed payloads are counted and change nothing", () =>
  Effect.gen(function*() {
    const { counters, guard, hear } = yield* setUp
    const token = guard.capture(a)
    const malformed = ["", "[]", "null", "not json", `{"k":"other"}`, JSON.stringify({ k: "module", r: a, m: "x" })]
    for (const payload of malformed) yield* hear(payload)
    assert.strictEqual(counters.malformedPayloads, malformed.length)
    yield* hear(realmMessage("http://elsewhere.example/").payload)
    assert.isTrue(guard.holds(token, a, "y.ts"))
  }))

it("module messages fit PostgreSQL's payloads and lose nothing", () => {
  const urls = Array.from({ length: 1_000 }, (_, index) => `${a}${"%C3%A9".repeat(index % 60)}${index}.ts`)
  const messages = moduleMessages(a, urls)
  assert.isAbove(messages.length, 1)
  for (const { payload } of messages) assert.isBelow(Buffer.byteLength(payload), 8_000)
  const said = messages.flatMap(({ payload }) => {
    const message: DefinitionMessage = JSON.parse(payload)
    return message.k === "module" ? message.m : []
  })
  assert.deepStrictEqual(said, urls)
  assert.deepStrictEqual(moduleMessages(a, []), [])
  assert.deepStrictEqual(moduleMessages(a, [`${a}${"x".repeat(9_000)}`]), [realmMessage(a)])
})
