import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { otherUrl, realmUrl, settle } from "./scriptedReplica.ts"
import { leaseOn, Script } from "./scriptedSessions.ts"

const moved = (...realms: ReadonlyArray<readonly [RealmUrl, number]>) =>
  realms.map(([url, generation]) => ({ realmUrl: url, generation }))

const message = (payload: string) => ({ channel: "realm_registry", payload, sender: 1 }) as const

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

for (const other of ["agrees with it", "was set back", "stands still"] as const) {
  it.effect(`a lease lasts from before its renewal was sent, not from the reply, where the other clock ${other} (rule 3)`, () =>
    Effect.gen(function*() {
      const script = new Script()
      script.hold("renew")
      const building = yield* start(leaseOn(script))
      yield* TestClock.adjust("1 second")
      script.release("renew")
      const { counters, lease, skew } = yield* Fiber.join(building)
      script.hold("renew")
      if (other === "was set back") skew.wallMillis = -3_600_000
      if (other === "stands still") skew.monotonicMillis = -3_600_000
      assert.isTrue(lease.isHeld())
      // Its length less the drift.
      yield* TestClock.adjust("1969 millis")
      assert.isTrue(lease.isHeld())
      yield* TestClock.adjust("1 millis")
      assert.isFalse(lease.isHeld())
      // However often it is looked at, it has ended once.
      assert.isFalse(lease.isHeld())
      assert.strictEqual(counters.leaseExpiries, 1)
    }))
}

it.effect("it is renewed three times in its length, each time for the whole of it", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { counters, lease } = yield* leaseOn(script)
    for (let second = 0; second < 10; second++) {
      yield* TestClock.adjust("1 second")
      assert.isTrue(lease.isHeld())
    }
    assert.strictEqual(script.calls.filter((call) => call === "renew").length, 11)
    script.hold("renew")
    yield* TestClock.adjust("2969 millis")
    assert.isTrue(lease.isHeld())
    yield* TestClock.adjust("1 millis")
    assert.isFalse(lease.isHeld())
    // The answer that comes too late grants nothing for the past, and the next renewal grants again.
    script.release("renew")
    yield* TestClock.adjust("1 second")
    assert.isTrue(lease.isHeld())
    assert.strictEqual(counters.leaseExpiries, 1)
  }))

it.effect("a reply that comes after the lease it renews has ended grants nothing", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { lease } = yield* leaseOn(script)
    script.hold("catchUp")
    yield* TestClock.adjust("1 second")
    yield* TestClock.adjust("3 seconds")
    assert.isFalse(lease.isHeld())
    script.release("catchUp")
    script.hold("renew")
    yield* settle
    assert.isFalse(lease.isHeld())
  }))

it.effect("a replica that was stopped sees on its first look that the lease has ended, before any timer fires (rule 3)", () =>
  Effect.gen(function*() {
    const { lease, skew } = yield* leaseOn(new Script())
    assert.isTrue(lease.isHeld())
    skew.monotonicMillis = 2_969
    assert.isTrue(lease.isHeld())
    skew.monotonicMillis = 2_970
    assert.isFalse(lease.isHeld())
  }))

it.effect("a wall clock that jumped past the end ends it, where the monotonic clock did not notice (rule 3)", () =>
  Effect.gen(function*() {
    const { lease, skew } = yield* leaseOn(new Script())
    skew.wallMillis = 2_969
    assert.isTrue(lease.isHeld())
    skew.wallMillis = 2_970
    assert.isFalse(lease.isHeld())
  }))

it.effect("a wall clock that was set back does not make it longer", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { lease, skew } = yield* leaseOn(script)
    script.hold("renew")
    skew.wallMillis = -3_600_000
    assert.isTrue(lease.isHeld())
    yield* TestClock.adjust("2970 millis")
    assert.isFalse(lease.isHeld())
  }))

it.effect("it is granted only when what moved has been applied by everybody (I1)", () =>
  Effect.gen(function*() {
    const script = new Script()
    script.hold("catchUp")
    const building = yield* start(leaseOn(script, 30_000))
    // A replica that cannot have its lease goes on without.
    yield* TestClock.adjust("5 seconds")
    const { heard, lease } = yield* Fiber.join(building)
    const heldWhileApplying: Array<boolean> = []
    yield* lease.subscribe((event) => {
      if (event._tag === "CaughtUp") heldWhileApplying.push(lease.isHeld())
    })
    assert.isFalse(lease.isHeld())
    script.release("catchUp")
    yield* settle
    assert.deepStrictEqual(heldWhileApplying, [false])
    assert.deepStrictEqual(heard.map((event) => event._tag), ["CaughtUp"])
    assert.isTrue(lease.isHeld())
  }))

it.effect("what a subscriber failed to apply grants nothing and is caught up again from where it was (I1)", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { heard, lease } = yield* leaseOn(script)
    let broken = true
    yield* lease.subscribe((event) => {
      if (event._tag === "CaughtUp" && broken) throw new Error("a bug")
    })
    script.database = { identity: "one", cursor: "200", realms: moved([realmUrl, 2]) }
    yield* TestClock.adjust("2970 millis")
    assert.isFalse(lease.isHeld())
    script.calls.length = 0
    heard.length = 0
    broken = false
    yield* TestClock.adjust("2 seconds")
    assert.strictEqual(script.calls.find((call) => call.startsWith("catch up")), "catch up from 100")
    assert.deepInclude(heard, { _tag: "CaughtUp", realms: moved([realmUrl, 2]), continuous: true })
    assert.isTrue(lease.isHeld())
  }))

it.effect("the membership is there before the generations are read, at first and after it was forgotten (I1)", () =>
  Effect.gen(function*() {
    const script = new Script()
    script.hold("register")
    const building = yield* start(leaseOn(script))
    yield* settle
    assert.deepStrictEqual(script.calls, ["open", "renew", "register"])
    script.release("register")
    const { lease } = yield* Fiber.join(building)
    assert.deepStrictEqual(script.calls.slice(0, 4), ["open", "renew", "register", "catch up from undefined"])
    // A publisher that waited for it in vain forgets it.
    script.calls.length = 0
    script.registered = false
    script.hold("register")
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(script.calls, ["renew", "register"])
    script.release("register")
    yield* settle
    assert.deepStrictEqual(script.calls, ["renew", "register", "catch up from 100"])
    // A member that is known only renews.
    script.calls.length = 0
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(script.calls, ["renew", "catch up from 100"])
    assert.isTrue(lease.isHeld())
  }))

it.effect("each catch-up goes on where the last one ended, and tells what moved", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { heard } = yield* leaseOn(script)
    script.database = { identity: "one", cursor: "1000", realms: moved([realmUrl, 7], [otherUrl, 2]) }
    yield* TestClock.adjust("1 second")
    script.database = { identity: "one", cursor: "1000", realms: [] }
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(heard, [
      { _tag: "CaughtUp", realms: moved([realmUrl, 7], [otherUrl, 2]), continuous: true },
      { _tag: "CaughtUp", realms: [], continuous: true }
    ])
    assert.deepStrictEqual(
      script.calls.filter((call) => call.startsWith("catch up")),
      ["catch up from undefined", "catch up from 100", "catch up from 1000"]
    )
    assert.deepStrictEqual(script.calls.filter((call) => call.startsWith("begin epoch")), ["begin epoch false"])
  }))

it.effect("a gap that was noticed is caught up at once, and many are caught up together", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { lease } = yield* leaseOn(script)
    script.calls.length = 0
    for (let index = 0; index < 5; index++) lease.requestCatchUp()
    yield* settle
    assert.deepStrictEqual(script.calls, ["renew", "catch up from 100"])
  }))

for (
  const { database, raised, wentBack, what } of [
    { what: "another database answers", database: { identity: "two", cursor: "900" }, wentBack: false, raised: true },
    { what: "the caches were lost", database: { identity: "two", cursor: "900" }, wentBack: false, raised: false },
    { what: "the database went back", database: { identity: "one", cursor: "99" }, wentBack: true, raised: true }
  ]
) {
  it.effect(`when ${what}, all that was known is void, and what was lost is made good before it is asked for (rules 2, 13)`, () =>
    Effect.gen(function*() {
      const script = new Script()
      const { counters, heard, lease } = yield* leaseOn(script)
      script.calls.length = 0
      script.database = { ...database, realms: moved([realmUrl, 3]) }
      script.raises = raised
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(script.calls, ["renew", "catch up from 100", `begin epoch ${wentBack}`])
      // What moved since a cursor of another database says nothing.
      assert.deepStrictEqual(heard, [{ _tag: "CaughtUp", realms: [], continuous: false }])
      assert.strictEqual(counters.failovers, raised ? 1 : 0)
      assert.isTrue(lease.isHeld())
      // From there on it goes on as before.
      script.calls.length = 0
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(script.calls, ["renew", `catch up from ${database.cursor}`])
      assert.deepStrictEqual(heard[1], { _tag: "CaughtUp", realms: moved([realmUrl, 3]), continuous: true })
    }))
}

it.effect("cursors are numbers: 1000 comes after 999", () =>
  Effect.gen(function*() {
    const script = new Script()
    script.database = { identity: "one", cursor: "999", realms: [] }
    const { heard } = yield* leaseOn(script)
    script.database = { identity: "one", cursor: "1000", realms: [] }
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(heard, [{ _tag: "CaughtUp", realms: [], continuous: true }])
  }))

it.effect("memory is not granted while generations that may have been lost have not been raised (rule 13)", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { heard, lease } = yield* leaseOn(script)
    script.database = { identity: "two", cursor: "5", realms: [] }
    script.hold("beginEpoch")
    yield* TestClock.adjust("2970 millis")
    assert.isFalse(lease.isHeld())
    assert.deepStrictEqual(heard, [])
    script.release("beginEpoch")
  }))

it.effect("a lost session is opened again and announced as a gap, and the lease lasts until its own end (rules 3, 5)", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { counters, heard, lease } = yield* leaseOn(script)
    script.database = { identity: "one", cursor: "200", realms: moved([realmUrl, 2]) }
    script.calls.length = 0
    script.hold("open")
    yield* script.cut
    yield* TestClock.adjust("2969 millis")
    assert.isTrue(lease.isHeld())
    yield* TestClock.adjust("1 millis")
    assert.isFalse(lease.isHeld())
    assert.deepStrictEqual(script.calls, ["open"])
    script.release("open")
    yield* settle
    assert.deepStrictEqual(script.calls.slice(0, 3), ["open", "renew", "catch up from 100"])
    assert.deepStrictEqual(heard, [
      { _tag: "Gap" },
      { _tag: "CaughtUp", realms: moved([realmUrl, 2]), continuous: true }
    ])
    assert.isTrue(lease.isHeld())
    assert.strictEqual(counters.listenerReconnects, 1)
  }))

for (const call of ["open", "renew", "register", "catchUp", "beginEpoch", "acknowledge"] as const) {
  it.effect(`a session whose ${call} fails is given up, and tried again until it works, within a second or two`, () =>
    Effect.gen(function*() {
      const script = new Script()
      const { counters, lease } = yield* leaseOn(script)
      script.registered = false
      script.database = { ...script.database, identity: "two" }
      script.fail(call)
      yield* script.cut
      lease.acknowledge(realmUrl, 2)
      yield* TestClock.adjust("10 seconds")
      if (call !== "acknowledge") assert.isFalse(lease.isHeld())
      assert.isAbove(counters.listenerReconnects, call === "acknowledge" ? 1 : 3)
      script.mend(call)
      yield* TestClock.adjust("1500 millis")
      assert.isTrue(lease.isHeld())
    }))
}

it.effect("what is said on the session is heard by every subscriber, in order", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { heard, lease } = yield* leaseOn(script)
    const other: Array<string> = []
    yield* lease.subscribe((event) => {
      if (event._tag === "Message") other.push(event.message.payload)
    })
    script.say(message("one"), message("two"))
    yield* settle
    script.say(message("three"))
    yield* settle
    assert.deepStrictEqual(other, ["one", "two", "three"])
    assert.deepStrictEqual(
      heard.map((event) => event._tag === "Message" ? event.message.payload : event._tag),
      ["one", "two", "three"]
    )
  }))

it.effect("a replica that stops answers from memory no more and leaves, last of all (rule 6)", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { lease, stop } = yield* leaseOn(script)
    script.hold("catchUp")
    yield* TestClock.adjust("1 second")
    assert.isTrue(lease.isHeld())
    yield* stop
    assert.isFalse(lease.isHeld())
    assert.strictEqual(script.calls.at(-1), "leave")
    // The renewal that was under way neither grants nor registers when its answer comes.
    script.release("catchUp")
    yield* TestClock.adjust("10 seconds")
    assert.isFalse(lease.isHeld())
    assert.strictEqual(script.calls.at(-1), "leave")
    assert.isFalse(script.registered)
  }))

const acknowledgements = (script: Script) =>
  script.calls.filter((call) => call.startsWith("acknowledge ")).map((call) => call.slice("acknowledge ".length))

it.effect("applied generations are told with the member's boot, those that come together at once", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { lease } = yield* leaseOn(script)
    script.hold("acknowledge")
    lease.acknowledge(realmUrl, 2)
    yield* settle
    lease.acknowledge(realmUrl, 3)
    lease.acknowledge(otherUrl, 9)
    script.release("acknowledge")
    yield* settle
    assert.deepStrictEqual(acknowledgements(script).map((payload) => JSON.parse(payload)), [
      { b: "boot", a: [[realmUrl, 2]] },
      { b: "boot", a: [[realmUrl, 3], [otherUrl, 9]] }
    ])
  }))

it.effect("each other publisher is told of its own generations, everybody of those whose publisher is not known", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { lease } = yield* leaseOn(script)
    script.hold("acknowledge")
    lease.acknowledge(realmUrl, 2)
    yield* settle
    lease.acknowledge(realmUrl, 3, "one")
    lease.acknowledge(otherUrl, 9, "two")
    lease.acknowledge(otherUrl, 9, "boot")
    lease.acknowledge(realmUrl, 4, "one")
    lease.acknowledge(otherUrl, 10)
    script.release("acknowledge")
    yield* settle
    assert.deepStrictEqual(script.told.slice(1), ["one", "two", undefined])
    assert.deepStrictEqual(acknowledgements(script).slice(1).map((payload) => JSON.parse(payload).a), [
      [[realmUrl, 3], [realmUrl, 4]],
      [[otherUrl, 9]],
      [[otherUrl, 10]]
    ])
  }))

it.effect("however many generations are told at once, each fits a payload of PostgreSQL", () =>
  Effect.gen(function*() {
    const script = new Script()
    const { lease } = yield* leaseOn(script)
    const urls = Array.from({ length: 500 }, (_, index) =>
      `http://test.example/${index}/${"x".repeat(index % 5 === 0 ? 2_020 : 20)}/` as RealmUrl)
    for (const url of urls) {
      lease.acknowledge(url, 2 ** 52)
    }
    yield* settle
    const payloads = acknowledgements(script)
    for (const payload of payloads) {
      assert.isBelow(Buffer.byteLength(payload), 8_000)
    }
    const told = payloads.flatMap((payload) =>
      (JSON.parse(payload) as { a: ReadonlyArray<readonly [string, number]> }).a
    )
    assert.deepStrictEqual(told, urls.map((url) => [url, 2 ** 52] as const))
  }))
