import { assert, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import { Barrier } from "../../src/coordination/Barrier.ts"
import { invalidationDelay, publishBarrier } from "../../src/domain/Metrics.ts"
import { type Change, Generations } from "../../src/coordination/Generations.ts"
import { type Event, Lease } from "../../src/coordination/Lease.ts"
import { Notifications } from "../../src/coordination/Notifications.ts"
import { MemoryBus } from "../../src/coordination/MemoryBus.ts"
import { Sessions } from "../../src/coordination/Sessions.ts"
import { DatabaseError } from "../../src/domain/errors.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { type ReplicaRow, ReplicaTable } from "../../src/store/ReplicaTable.ts"
import { otherUrl, realmUrl, settle } from "./scriptedReplica.ts"

const down = new DatabaseError({ operation: "answer", cause: new Error("down") })

const change: Change = { realmUrl, generation: 2, paths: "*" }

const tables = Layer.mergeAll(ReplicaTable.layerMemory, Sessions.layerMemory).pipe(
  Layer.provide(Layer.mergeAll(MemoryDatabase.layer, MemoryBus.layer))
)

/** A publisher, and members that register, renew and acknowledge as the test says. */
const setUp = Effect.gen(function*() {
  const handlers: Array<(event: Event) => void> = []
  const sent: Array<Change> = []
  const hooks: Record<"broadcast" | "members", Effect.Effect<void, DatabaseError>> = {
    broadcast: Effect.void,
    members: Effect.void
  }
  const memory = yield* Layer.build(Layer.fresh(tables))
  const replicas = yield* Effect.provide(ReplicaTable, memory)
  const sessions = yield* Effect.provide(Sessions, memory)
  const self: ReplicaRow = { replicaId: "publisher", bootId: "self", advertiseUrl: "", leaseMillis: 60_000 }
  const context = yield* Layer.build(
    Layer.fresh(Barrier.layer).pipe(Layer.provide(Layer.mergeAll(
      Layer.succeed(ReplicaTable, {
        ...replicas,
        members: Effect.suspend(() => Effect.andThen(hooks.members, replicas.members))
      }),
      Layer.mock(Generations, {
        held: () => undefined,
        known: () => undefined,
        knownOrigin: () => undefined,
        broadcast: (told) => Effect.suspend(() => Effect.andThen(Effect.sync(() => sent.push(told)), hooks.broadcast))
      }),
      Layer.mock(Notifications, { subscribe: (handler) => Effect.sync(() => void handlers.push(handler)) }),
      Layer.mock(Lease, {
        self,
        isHeld: () => true,
        heardAt: () => 0,
        requestCatchUp: () => {},
        acknowledge: () => {}
      })
    )))
  )
  const say = (payload: string) =>
    handlers.forEach((handler) =>
      handler({ _tag: "Message", message: { channel: "lockstep_acks", payload, sender: 1 } })
    )
  /** A member that has registered. */
  const join = Effect.fnUntraced(function*(bootId: string, leaseMillis = 3_000, replicaId = bootId) {
    const session = yield* sessions.open({ replicaId, bootId, advertiseUrl: "", leaseMillis })
    yield* session.register
    return {
      renew: session.renew,
      acknowledge: (generation: number, realm: RealmUrl = realmUrl) =>
        say(JSON.stringify({ b: bootId, a: [[otherUrl, 1], [realm, generation]] }))
    }
  })
  const barrier = yield* Effect.provide(Barrier, context)
  /** A call under way, and for how long it took once it has returned. */
  const run = (confirm: typeof barrier.confirm, told = change) =>
    Effect.forkChild(
      Effect.gen(function*() {
        const began = yield* Clock.currentTimeMillis
        const result = yield* confirm(told)
        return { ...result, after: (yield* Clock.currentTimeMillis) - began }
      }),
      { startImmediately: true }
    )
  return {
    barrier,
    hooks,
    join,
    run,
    say,
    sent,
    present: Effect.map(replicas.members, (members) => members.map((member) => member.bootId).toSorted())
  }
})

const isDone = (fiber: Fiber.Fiber<unknown, unknown>) => fiber.pollUnsafe() !== undefined

it.effect("alone, a publisher waits for nobody", () =>
  Effect.gen(function*() {
    const { barrier, join, sent } = yield* setUp
    yield* join("self", 60_000, "publisher")
    assert.deepStrictEqual(yield* barrier.confirm(change), { live: 1, acked: 1 })
    assert.deepStrictEqual(sent, [change])
  }))

it.effect("it returns when every other member has acknowledged, and not before (rule 6)", () =>
  Effect.gen(function*() {
    const { barrier, join, present, run } = yield* setUp
    const [one, two] = [yield* join("one"), yield* join("two")]
    const confirming = yield* run(barrier.confirm)
    one.acknowledge(2)
    one.acknowledge(2)
    yield* TestClock.adjust("1 second")
    assert.isFalse(isDone(confirming))
    two.acknowledge(2)
    assert.deepStrictEqual(yield* Fiber.join(confirming), { live: 3, acked: 3, after: 1_000 })
    assert.deepStrictEqual(yield* present, ["one", "two"])
  }))

it.effect("an acknowledgement that comes before the members have been read counts", () =>
  Effect.gen(function*() {
    const { barrier, hooks, join, run } = yield* setUp
    const [one, two] = [yield* join("one"), yield* join("two")]
    // One as soon as the change is told, the other while the members are being read.
    hooks.broadcast = Effect.sync(() => one.acknowledge(2))
    hooks.members = Effect.sync(() => two.acknowledge(2))
    const confirming = yield* run(barrier.confirm)
    assert.deepStrictEqual(yield* Fiber.join(confirming), { live: 3, acked: 3, after: 0 })
  }))

it.effect("only this realm's generation, or a later one, from a member that is waited for counts", () =>
  Effect.gen(function*() {
    const { barrier, join, run, say } = yield* setUp
    const one = yield* join("one")
    const confirming = yield* run(barrier.confirm)
    one.acknowledge(1)
    one.acknowledge(2, otherUrl)
    say(JSON.stringify({ b: "self", a: [[realmUrl, 2]] }))
    say(JSON.stringify({ b: "stranger", a: [[realmUrl, 2]] }))
    for (const malformed of ["", "{", "null", `{"b":"one","a":[["${realmUrl}","2"]]}`, `{"b":1,"a":[]}`]) say(malformed)
    yield* settle
    assert.isFalse(isDone(confirming))
    one.acknowledge(9)
    assert.deepInclude(yield* Fiber.join(confirming), { live: 2, acked: 2 })
  }))

it.effect("publishes of one realm at once each wait for their own generation", () =>
  Effect.gen(function*() {
    const { barrier, join, run } = yield* setUp
    const one = yield* join("one")
    const second = yield* run(barrier.confirm, { ...change, generation: 2 })
    const third = yield* run(barrier.confirm, { ...change, generation: 3 })
    one.acknowledge(2)
    yield* Fiber.join(second)
    assert.isFalse(isDone(third))
    one.acknowledge(3)
    yield* Fiber.join(third)
  }))

it.effect("a silent member is waited for until its lease with the drift has ended, and is then forgotten (rule 6, I2)", () =>
  Effect.gen(function*() {
    const { barrier, join, present, run } = yield* setUp
    const well = yield* join("well")
    yield* join("dead")
    const confirming = yield* run(barrier.confirm)
    well.acknowledge(2)
    yield* TestClock.adjust("3029 millis")
    assert.isFalse(isDone(confirming))
    yield* TestClock.adjust("1 millis")
    assert.deepStrictEqual(yield* Fiber.join(confirming), { live: 3, acked: 2, after: 3_030 })
    assert.deepStrictEqual(yield* present, ["well"])
    // It costs one publish.
    yield* well.renew
    const next = yield* run(barrier.confirm, { ...change, generation: 3 })
    well.acknowledge(3)
    assert.deepStrictEqual(yield* Fiber.join(next), { live: 2, acked: 2, after: 0 })
  }))

it.effect("a member that renewed meanwhile is waited for as long, is not forgotten, and is waited for the next time (I1)", () =>
  Effect.gen(function*() {
    const { barrier, join, present, run } = yield* setUp
    const slow = yield* join("slow")
    for (const generation of [2, 3]) {
      const confirming = yield* run(barrier.confirm, { ...change, generation })
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(yield* slow.renew)
      yield* TestClock.adjust("1029 millis")
      assert.isFalse(isDone(confirming))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(confirming), { live: 2, acked: 1, after: 3_030 })
      assert.deepStrictEqual(yield* present, ["slow"])
    }
  }))

it.effect("a member that renewed just before it was read is waited for a whole lease, not for the rest of one", () =>
  Effect.gen(function*() {
    const { barrier, join, run } = yield* setUp
    const member = yield* join("member")
    yield* Fiber.interrupt(yield* run(barrier.confirm))
    yield* TestClock.adjust("3 seconds")
    yield* member.renew
    const confirming = yield* run(barrier.confirm, { ...change, generation: 3 })
    yield* TestClock.adjust("3029 millis")
    assert.isFalse(isDone(confirming))
    yield* TestClock.adjust("1 millis")
    yield* Fiber.join(confirming)
  }))

it.effect("who is known not to have renewed for a whole lease is not waited for, and is forgotten", () =>
  Effect.gen(function*() {
    const { barrier, join, present, run } = yield* setUp
    yield* join("dead")
    // A timer that fired early, or a caller that left: it was seen, and nobody said so.
    yield* Fiber.interrupt(yield* run(barrier.confirm))
    yield* TestClock.adjust("3029 millis")
    const soon = yield* run(barrier.confirm)
    assert.isFalse(isDone(soon))
    yield* Fiber.interrupt(soon)
    yield* TestClock.adjust("1 millis")
    assert.deepStrictEqual(yield* barrier.confirm(change), { live: 1, acked: 1 })
    assert.deepStrictEqual(yield* present, [])
  }))

it.effect("twins that were started with one id are two members, and both are waited for (rule 6)", () =>
  Effect.gen(function*() {
    const { barrier, join, run } = yield* setUp
    const one = yield* join("boot one", 3_000, "twin")
    const other = yield* join("boot two", 3_000, "twin")
    // Also a twin of the publisher itself.
    const own = yield* join("boot three", 3_000, "publisher")
    const confirming = yield* run(barrier.confirm)
    one.acknowledge(2)
    own.acknowledge(2)
    yield* settle
    assert.isFalse(isDone(confirming))
    other.acknowledge(2)
    assert.deepInclude(yield* Fiber.join(confirming), { live: 4, acked: 4 })
  }))

for (const leases of [[1_000, 10_000], [10_000, 1_000]] as const) {
  it.effect(`members with leases of ${leases.join(" and ")} ms: the longest is waited for`, () =>
    Effect.gen(function*() {
      const { barrier, join, present, run } = yield* setUp
      yield* join("one", leases[0])
      yield* join("two", leases[1])
      const confirming = yield* run(barrier.confirm)
      yield* TestClock.adjust("10099 millis")
      assert.isFalse(isDone(confirming))
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(confirming), { live: 3, acked: 1, after: 10_100 })
      assert.deepStrictEqual(yield* present, [])
    }))
}

it.effect("a change that could not be told is waited for all the same: the others find it when they renew", () =>
  Effect.gen(function*() {
    const { barrier, hooks, join, run } = yield* setUp
    const one = yield* join("one")
    hooks.broadcast = Effect.fail(down)
    const confirming = yield* run(barrier.confirm)
    yield* TestClock.adjust("1 second")
    assert.isFalse(isDone(confirming))
    one.acknowledge(2)
    assert.deepStrictEqual(yield* Fiber.join(confirming), { live: 2, acked: 2, after: 1_000 })
  }))

it.effect("without knowing the members nothing is confirmed", () =>
  Effect.gen(function*() {
    const { barrier, hooks } = yield* setUp
    hooks.members = Effect.fail(down)
    assert.strictEqual(yield* Effect.flip(barrier.confirm(change)), down)
  }))

it.effect("a member that registers while another is waited for is not waited for: it has read the change", () =>
  Effect.gen(function*() {
    const { barrier, join, run } = yield* setUp
    const one = yield* join("one")
    const confirming = yield* run(barrier.confirm)
    yield* settle
    yield* join("late")
    one.acknowledge(2)
    assert.deepStrictEqual(yield* Fiber.join(confirming), { live: 2, acked: 2, after: 0 })
  }))

it.effect("the wait is never counted from before the commit, however long the members take to be read (I1)", () =>
  Effect.gen(function*() {
    const { barrier, hooks, join, run } = yield* setUp
    yield* join("silent")
    const reading = yield* Deferred.make<void>()
    hooks.members = Deferred.await(reading)
    const confirming = yield* run(barrier.confirm)
    yield* TestClock.adjust("1 second")
    yield* Deferred.succeed(reading, undefined)
    yield* TestClock.adjust("2 seconds")
    assert.isFalse(isDone(confirming))
    yield* TestClock.adjust("2 seconds")
    assert.isAtLeast((yield* Fiber.join(confirming)).after, 3_030)
  }))

it.effect("an announcement waits for those that answer soon, and a quarter of a second for the others", () =>
  Effect.gen(function*() {
    const { barrier, join, present, run } = yield* setUp
    const one = yield* join("one")
    const prompt = yield* run(barrier.announce)
    yield* TestClock.adjust("10 millis")
    one.acknowledge(2)
    assert.deepStrictEqual(yield* Fiber.join(prompt), { live: 2, acked: 2, after: 10 })
    const patient = yield* run(barrier.announce, { ...change, generation: 3 })
    yield* TestClock.adjust("250 millis")
    assert.deepStrictEqual(yield* Fiber.join(patient), { live: 2, acked: 1, after: 250 })
    assert.deepStrictEqual(yield* present, ["one"])
  }))

it.effect("an announcement waits no longer than the longest lease, and forgets only who was silent for a whole one (I1)", () =>
  Effect.gen(function*() {
    const { barrier, join, present, run } = yield* setUp
    yield* join("brief", 100)
    const brief = yield* run(barrier.announce)
    yield* TestClock.adjust("101 millis")
    assert.deepInclude(yield* Fiber.join(brief), { after: 101 })
    assert.deepStrictEqual(yield* present, [])
    yield* join("silent", 1_000)
    for (let round = 0; round < 4; round++) {
      const announcing = yield* run(barrier.announce)
      yield* TestClock.adjust("250 millis")
      yield* Fiber.join(announcing)
      assert.deepStrictEqual(yield* present, ["silent"], `round ${round}`)
    }
    yield* TestClock.adjust("10 millis")
    assert.deepInclude(yield* Fiber.join(yield* run(barrier.announce)), { after: 0 })
    assert.deepStrictEqual(yield* present, [])
  }))

it.effect("how long a publish waited, and each member may have been stale, is measured: never as less than it was", () =>
  Effect.gen(function*() {
    const { barrier, join, run } = yield* setUp
    const [one, two] = [yield* join("one"), yield* join("two", 4_000)]
    yield* join("silent", 4_000)
    const confirming = yield* run(barrier.confirm)
    yield* TestClock.adjust("1 second")
    one.acknowledge(2)
    yield* TestClock.adjust("500 millis")
    two.acknowledge(2)
    // What a member says again is no news.
    yield* TestClock.adjust("500 millis")
    one.acknowledge(3)
    yield* TestClock.adjust("10 seconds")
    assert.deepStrictEqual(yield* Fiber.join(confirming), { live: 4, acked: 3, after: 4_040 })
    const barriers = yield* Metric.value(publishBarrier({ wait: "all", outcome: "waited_out" }))
    assert.deepInclude(barriers, { count: 1, sum: 4.04 })
    const delays = yield* Metric.value(invalidationDelay)
    assert.strictEqual(delays.count, 3)
    // A second, one and a half, and the lease of the one that said nothing, with its drift.
    assert.closeTo(delays.sum, 1 + 1.5 + 4.04, 1e-9)
    assert.closeTo(delays.min, 1, 1e-9)
    // A write that asked for no certainty is no publish, and waits a moment only: who is silent counts with the whole lease.
    const announcing = yield* run(barrier.announce, { ...change, generation: 4 })
    yield* TestClock.adjust("250 millis")
    yield* Fiber.join(announcing)
    assert.strictEqual((yield* Metric.value(publishBarrier({ wait: "all", outcome: "waited_out" }))).count, 1)
    assert.isAbove((yield* Metric.value(invalidationDelay)).max, 4)
  }).pipe(Effect.provideService(Metric.MetricRegistry, new Map())))
