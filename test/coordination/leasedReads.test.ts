import { assert, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { makeReceiver, messagesOf } from "../../src/coordination/changeMessages.ts"
import { Counters } from "../../src/coordination/Counters.ts"
import { RealmMemory } from "../../src/coordination/RealmMemory.ts"
import { DatabaseError } from "../../src/domain/errors.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { skewedClock } from "./scriptedSessions.ts"
import { otherUrl, realmUrl, rowOf, settle, setUp, setUpWith } from "./scriptedReplica.ts"

const down = new DatabaseError({ operation: "read realms", cause: new Error("down") })

it.effect("while the lease is held memory answers, and without it every read asks (rules 3, 4)", () =>
  Effect.gen(function*() {
    const { asked, lease, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    lease.held = true
    yield* see
    yield* see
    assert.strictEqual(asked.length, 1)
    lease.held = false
    rows.set(realmUrl, rowOf(realmUrl, 2))
    assert.strictEqual((yield* see).row.generation, 2)
    assert.strictEqual((yield* see).row.generation, 2)
    assert.strictEqual(asked.length, 3)
  }))

it.effect("under a lease memory says at which URL the realm of a request is, also past URLs that have none", () =>
  Effect.gen(function*() {
    const { asked, generations, lease, rows } = yield* setUp
    const gone = "http://test.example/realm/gone/" as RealmUrl
    const never = "http://test.example/realm/never/" as RealmUrl
    rows.set(realmUrl, rowOf(realmUrl, 1))
    rows.set(gone, { ...rowOf(gone, 9), state: "gone" })
    yield* generations.view([never, gone, realmUrl])
    lease.held = true
    const views = yield* generations.view([never, gone, realmUrl, otherUrl])
    assert.deepStrictEqual(views.map((view) => view.row), [rowOf(realmUrl, 1)])
    assert.strictEqual(asked.length, 1)
  }))

it.effect("a realm that is created, heard or found by a catch-up, is seen at once by who knew that there was none", () =>
  Effect.gen(function*() {
    const { caughtUp, generations, hearChange, lease, rows } = yield* setUp
    lease.held = true
    const seen = Effect.map(generations.view([realmUrl, otherUrl]), (views) => views.map((view) => view.row.realmUrl))
    assert.deepStrictEqual(yield* seen, [])
    rows.set(otherUrl, rowOf(otherUrl, 1))
    assert.deepStrictEqual(yield* seen, [])
    yield* hearChange({ realmUrl: otherUrl, generation: 1, paths: "*" })
    assert.deepStrictEqual(yield* seen, [otherUrl])
    rows.set(realmUrl, rowOf(realmUrl, 1))
    yield* caughtUp({ [realmUrl]: 1 })
    assert.strictEqual((yield* seen)[0], realmUrl)
  }))

it.effect("under a lease a change of paths moves the generation without asking; any other change asks for the row", () =>
  Effect.gen(function*() {
    const { asked, hearChange, lease, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    lease.held = true
    yield* see
    yield* hearChange({ realmUrl, generation: 2, paths: ["a.ts"] })
    assert.strictEqual((yield* see).row.generation, 2)
    assert.strictEqual(asked.length, 1)
    rows.set(realmUrl, rowOf(realmUrl, 3))
    yield* hearChange({ realmUrl, generation: 3, paths: "*" })
    assert.strictEqual((yield* see).row.directory, "v3")
    assert.strictEqual(asked.length, 2)
  }))

it.effect("what a catch-up found is applied as a change to everything, once (rule 5)", () =>
  Effect.gen(function*() {
    const { caughtUp, lease, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    lease.held = true
    const before = yield* see
    rows.set(realmUrl, rowOf(realmUrl, 2))
    yield* caughtUp({ [realmUrl]: 2 })
    assert.isFalse(before.fence.holds(before.token, "a.ts"))
    const after = yield* see
    assert.strictEqual(after.row.generation, 2)
    yield* caughtUp({ [realmUrl]: 2 })
    assert.isTrue(after.fence.holds(after.token, "a.ts"))
  }))

it.effect("a catch-up without continuity voids all that was known (rule 2)", () =>
  Effect.gen(function*() {
    const { asked, caughtUp, generations, lease, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    lease.held = true
    const before = yield* see
    yield* generations.view([otherUrl])
    rows.set(realmUrl, rowOf(realmUrl, 2)).set(otherUrl, rowOf(otherUrl, 1))
    yield* caughtUp({}, false)
    assert.isFalse(before.fence.holds(before.token, "a.ts"))
    assert.strictEqual((yield* see).row.generation, 2)
    assert.strictEqual((yield* generations.view([otherUrl])).length, 1)
    assert.strictEqual(asked.length, 4)
  }))

it.effect("every generation that is heard or caught up is acknowledged, after applying, also of realms not mounted", () =>
  Effect.gen(function*() {
    const { acknowledged, caughtUp, generations, hear, hearChange, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    yield* see
    yield* hearChange({ realmUrl, generation: 2, paths: ["a.ts"] })
    yield* hearChange({ realmUrl: otherUrl, generation: 7, paths: "*" })
    yield* caughtUp({ [realmUrl]: 3, [otherUrl]: 8 })
    assert.deepStrictEqual(acknowledged, [[realmUrl, 2], [otherUrl, 7], [realmUrl, 3], [otherUrl, 8]])
    assert.deepStrictEqual(yield* generations.applied, [[realmUrl, 3]])
    // Neither a raw message, nor a malformed one, nor a catch-up that knows of no change says that one was applied.
    yield* hear("realm_file_changes", `${realmUrl}:*`)
    yield* hear("lockstep_generations", JSON.stringify({ r: realmUrl, g: "9", p: "*" }))
    yield* caughtUp({}, false)
    assert.strictEqual(acknowledged.length, 4)
  }))

it.effect("by the time a generation is acknowledged, memory obeys it (rule 6)", () =>
  Effect.gen(function*() {
    const known: Array<number> = []
    const memory = new RealmMemory(yield* Effect.provide(Counters, Layer.fresh(Counters.layer)))
    const receive = makeReceiver(memory, yield* Effect.provide(Counters, Layer.fresh(Counters.layer)), () => {
      known.push(memory.applied()[0]?.[1] ?? 0)
    })
    memory.endReading(memory.beginReading(), [realmUrl], { incarnation: "i", realms: [rowOf(realmUrl, 1)] })
    const [own] = messagesOf({ realmUrl, generation: 2, paths: "*" }, { publisher: "another boot" })
    receive({
      _tag: "Message",
      message: { channel: "lockstep_generations", payload: own?.payload ?? "", sender: 1 }
    })
    receive({ _tag: "CaughtUp", realms: [{ realmUrl, generation: 3 }], continuous: true })
    assert.deepStrictEqual(known, [2, 3])
  }))

it.effect("a change heard while its realm is being asked for the first time voids the answer (I1)", () =>
  Effect.gen(function*() {
    const { answer, asked, generations, hearChange, holdBack, lease, rows } = yield* setUp
    lease.held = true
    yield* answer({ incarnation: "i", realms: [rowOf(realmUrl, 1)] }, {
      incarnation: "i",
      realms: [rowOf(realmUrl, 2)]
    })
    const release = yield* holdBack
    const asking = yield* Effect.forkChild(generations.view([realmUrl]), { startImmediately: true })
    yield* settle
    yield* hearChange({ realmUrl, generation: 2, paths: ["a.ts"] })
    yield* release
    assert.deepStrictEqual((yield* Fiber.join(asking)).map((view) => view.row.generation), [2])
    assert.strictEqual(asked.length, 2)
    assert.strictEqual(rows.size, 0)
  }))

it.effect("a question under way when continuity was lost is asked again (rule 2)", () =>
  Effect.gen(function*() {
    const { answer, asked, caughtUp, generations, holdBack, lease } = yield* setUp
    lease.held = true
    yield* answer({ incarnation: "old", realms: [rowOf(realmUrl, 1)] }, {
      incarnation: "new",
      realms: [rowOf(realmUrl, 1)]
    })
    const release = yield* holdBack
    const asking = yield* Effect.forkChild(generations.view([realmUrl]), { startImmediately: true })
    yield* settle
    yield* caughtUp({}, false)
    yield* release
    assert.deepStrictEqual((yield* Fiber.join(asking)).map((view) => view.incarnation), ["new"])
    assert.strictEqual(asked.length, 2)
  }))

it.effect("a request with a token that memory has not reached is answered by PostgreSQL, lease or no lease (rule 7)", () =>
  Effect.gen(function*() {
    const { asked, generations, lease, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    lease.held = true
    yield* see
    rows.set(realmUrl, rowOf(realmUrl, 2))
    assert.deepStrictEqual((yield* generations.ask([realmUrl])).map((view) => view.row.generation), [2])
    assert.strictEqual(asked.length, 2)
    // And memory has caught up with what it was told.
    assert.strictEqual((yield* see).row.generation, 2)
    assert.strictEqual(asked.length, 2)
  }))

it.effect("without a lease and without PostgreSQL, reads are refused, whatever memory knows (rule 4)", () =>
  Effect.gen(function*() {
    const { failing, generations, lease, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    yield* see
    failing(down)
    assert.strictEqual(yield* Effect.flip(generations.view([realmUrl])), down)
    lease.held = true
    assert.strictEqual((yield* see).row.generation, 1)
  }))

it.effect("where partitions are to be served, memory answers for ten minutes at most, and says that it is unconfirmed", () =>
  Effect.gen(function*() {
    const { asked, failing, generations, lease, rows, see } = yield* setUpWith("serve")
    const absentUrl = "http://test.example/absent/" as RealmUrl
    rows.set(realmUrl, rowOf(realmUrl, 1))
    yield* generations.view([absentUrl])
    assert.isUndefined((yield* see).unconfirmed)
    failing(down)
    lease.heardAt = yield* Clock.currentTimeMillis
    assert.isTrue((yield* see).unconfirmed)
    // What memory does not know it does not make up, that there is no realm cannot be said with a warning, and who wants
    // certainty gets an error.
    assert.strictEqual(yield* Effect.flip(generations.view([absentUrl])), down)
    assert.strictEqual(yield* Effect.flip(generations.view([otherUrl])), down)
    assert.strictEqual(yield* Effect.flip(generations.ask([realmUrl])), down)
    // PostgreSQL is asked once a second, whoever wants to read.
    const before = asked.length
    for (let reads = 0; reads < 10; reads++) assert.isTrue((yield* see).unconfirmed)
    assert.strictEqual(asked.length, before)
    yield* TestClock.adjust("1 second")
    assert.isTrue((yield* see).unconfirmed)
    assert.strictEqual(asked.length, before + 1)
    yield* TestClock.adjust("599 seconds")
    assert.isTrue((yield* see).unconfirmed)
    yield* TestClock.adjust("1 millis")
    assert.strictEqual(yield* Effect.flip(generations.view([realmUrl])), down)
    lease.held = true
    assert.isUndefined((yield* see).unconfirmed)
  }))

it.effect("a wall clock that is set back does not keep PostgreSQL from being asked again, where partitions are to be served", () =>
  Effect.gen(function*() {
    const { clock, skew } = yield* skewedClock
    const { failing, generations, rows } = yield* setUpWith("serve")
    const view = Effect.provideService(generations.view([realmUrl]), Clock.Clock, clock)
    rows.set(realmUrl, rowOf(realmUrl, 1))
    failing(down)
    assert.strictEqual(yield* Effect.flip(view), down)
    failing(undefined)
    skew.wallMillis = -3_600_000
    yield* TestClock.adjust("1 second")
    assert.strictEqual((yield* view)[0]?.row.generation, 1)
  }))
