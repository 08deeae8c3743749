import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { messagesOf } from "../../src/coordination/changeMessages.ts"
import type { Change } from "../../src/coordination/Generations.ts"
import type { Channel } from "../../src/coordination/Notifications.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { DatabaseError } from "../../src/domain/errors.ts"
import { otherUrl, realmUrl, rowOf, settle, setUp } from "./scriptedReplica.ts"

const boot = "another boot"
const origin = new URL(realmUrl).origin

it.effect("a view has the row, and a token that holds for it", () =>
  Effect.gen(function*() {
    const { rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 4))
    const view = yield* see
    assert.deepStrictEqual(view.row, rowOf(realmUrl, 4))
    assert.strictEqual(view.incarnation, "i")
    assert.isTrue(view.fence.holds(view.token, "a.ts"))
  }))

it.effect("views come in the order asked for, without realms that are gone or were never there", () =>
  Effect.gen(function*() {
    const { generations, rows } = yield* setUp
    const gone = "http://test.example/gone/" as RealmUrl
    rows.set(realmUrl, rowOf(realmUrl, 1)).set(otherUrl, rowOf(otherUrl, 1))
    rows.set(gone, { ...rowOf(gone, 9), state: "gone" })
    const views = yield* generations.view([otherUrl, gone, "http://test.example/" as RealmUrl, realmUrl])
    assert.deepStrictEqual(views.map((view) => view.row.realmUrl), [otherUrl, realmUrl])
  }))

it.effect("a question that is asked while one is under way is answered by the next, not by that one (I1)", () =>
  Effect.gen(function*() {
    const { asked, generations, holdBack, rows } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1)).set(otherUrl, rowOf(otherUrl, 1))
    const release = yield* holdBack
    const early = yield* Effect.forkChild(generations.view([realmUrl]), { startImmediately: true })
    yield* settle
    rows.set(realmUrl, rowOf(realmUrl, 2))
    const late = yield* Effect.forkChild(generations.view([realmUrl]), { startImmediately: true })
    const other = yield* Effect.forkChild(generations.view([otherUrl, realmUrl]), { startImmediately: true })
    yield* settle
    assert.strictEqual(asked.length, 1)
    yield* release
    assert.deepStrictEqual((yield* Fiber.join(early)).map((view) => view.row.generation), [1])
    assert.deepStrictEqual((yield* Fiber.join(late)).map((view) => view.row.generation), [2])
    assert.deepStrictEqual((yield* Fiber.join(other)).map((view) => view.row.generation), [1, 2])
    assert.deepStrictEqual(asked, [[realmUrl], [realmUrl, otherUrl]])
  }))

it.effect("a question whose asker left is still answered for the others, and none hangs", () =>
  Effect.gen(function*() {
    const { generations, holdBack, rows } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    const release = yield* holdBack
    const askers = yield* Effect.forEach([1, 2, 3], () =>
      Effect.forkChild(generations.view([realmUrl]), { startImmediately: true }))
    yield* settle
    yield* Fiber.interrupt(askers[0] as Fiber.Fiber<unknown>)
    yield* Fiber.interrupt(askers[1] as Fiber.Fiber<unknown>)
    yield* release
    assert.strictEqual((yield* Fiber.join(askers[2] as typeof askers[number])).length, 1)
    assert.strictEqual((yield* generations.view([realmUrl])).length, 1)
  }))

it.effect("when the replica ends, whoever asks is told so", () =>
  Effect.gen(function*() {
    const { generations, holdBack, scope } = yield* setUp
    yield* Effect.asVoid(holdBack)
    const asking = yield* Effect.forkChild(generations.view([realmUrl]), { startImmediately: true })
    yield* settle
    const queued = yield* Effect.forkChild(generations.view([realmUrl]), { startImmediately: true })
    yield* settle
    yield* Scope.close(scope, Exit.void)
    for (
      const exit of [
        yield* Fiber.await(asking),
        yield* Fiber.await(queued),
        yield* Effect.exit(generations.view([realmUrl]))
      ]
    ) assert.isTrue(Exit.hasInterrupts(exit))
  }))

it.effect("a change heard in order voids its path and its alias, and nothing else (S2)", () =>
  Effect.gen(function*() {
    const { counters, hearChange, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    const before = yield* see
    rows.set(realmUrl, rowOf(realmUrl, 2))
    yield* hearChange({ realmUrl, generation: 2, paths: ["cards/person.gts"] })
    const after = yield* see
    assert.strictEqual(after.fence, before.fence)
    const holds = (path: string) => after.fence.holds(before.token, path)
    assert.deepStrictEqual(
      ["cards/person.gts", "cards/person", "cards/person.ts", "person", "cards/pet.gts"].map(holds),
      [false, false, true, true, true]
    )
    assert.strictEqual(counters.gapsRepaired, 0)
    assert.strictEqual(counters.invalidationsReceived, 1)
  }))

it.effect("a change that this replica made itself is applied once, and its own echo voids nothing more", () =>
  Effect.gen(function*() {
    const { generations, hearChange, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    yield* see
    const change: Change = { realmUrl, generation: 2, paths: ["a.ts"] }
    rows.set(realmUrl, rowOf(realmUrl, 2))
    yield* generations.apply(change)
    const after = yield* see
    yield* hearChange(change)
    assert.isTrue(after.fence.holds(after.token, "a.ts"))
    assert.deepStrictEqual(yield* generations.applied, [[realmUrl, 2]])
  }))

it.effect("a change to everything voids everything", () =>
  Effect.gen(function*() {
    const { hearChange, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    const before = yield* see
    rows.set(realmUrl, rowOf(realmUrl, 2))
    yield* hearChange({ realmUrl, generation: 2, paths: "*" })
    assert.isFalse(before.fence.holds(before.token, "a.ts"))
    assert.isTrue((yield* see).fence === before.fence)
  }))

for (const how of ["heard", "read"] as const) {
  it.effect(`a generation that was missed, as ${how}, drops the realm`, () =>
    Effect.gen(function*() {
      const { counters, hearChange, rows, see } = yield* setUp
      rows.set(realmUrl, rowOf(realmUrl, 1))
      const before = yield* see
      rows.set(realmUrl, rowOf(realmUrl, 3))
      if (how === "heard") yield* hearChange({ realmUrl, generation: 3, paths: ["b.ts"] })
      else yield* see
      assert.isFalse(before.fence.holds(before.token, "a.ts"))
      const after = yield* see
      assert.strictEqual(counters.gapsRepaired, 1)
      // What arrives late says nothing new.
      yield* hearChange({ realmUrl, generation: 2, paths: ["a.ts"] })
      assert.isTrue(after.fence.holds(after.token, "a.ts"))
    }))
}

it.effect("a generation that was read before it was heard drops the realm too: its paths are not known", () =>
  Effect.gen(function*() {
    const { rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    const before = yield* see
    rows.set(realmUrl, rowOf(realmUrl, 2))
    yield* see
    assert.isFalse(before.fence.holds(before.token, "a.ts"))
  }))

it.effect("a snapshot from before a change that was heard is read again (I3)", () =>
  Effect.gen(function*() {
    const { answer, asked, hearChange, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    yield* see
    rows.set(realmUrl, rowOf(realmUrl, 2))
    yield* hearChange({ realmUrl, generation: 2, paths: ["a.ts"] })
    yield* answer({ incarnation: "i", realms: [rowOf(realmUrl, 1)] })
    assert.strictEqual((yield* see).row.generation, 2)
    assert.strictEqual(asked.length, 3)
  }))

it.effect("generations that stay behind are an error, not an old answer (I3)", () =>
  Effect.gen(function*() {
    const { generations, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 5))
    yield* see
    rows.set(realmUrl, rowOf(realmUrl, 4))
    const error = yield* Effect.flip(generations.view([realmUrl]))
    assert.strictEqual(error._tag, "DatabaseError")
  }))

it.effect("raw notifications of both shapes clear this replica, and do not move a generation (S18, S19)", () =>
  Effect.gen(function*() {
    const { counters, generations, hear, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1)).set(otherUrl, rowOf(otherUrl, 1))
    const first = yield* see
    const [other] = yield* generations.view([otherUrl])
    yield* hear("realm_file_changes", `${realmUrl}:cards/person.gts`)
    assert.deepStrictEqual(
      ["cards/person.gts", "cards/person", "a.ts"].map((path) => first.fence.holds(first.token, path)),
      [false, false, true]
    )
    yield* hear("realm_file_changes", `${realmUrl}:*`)
    assert.isFalse(first.fence.holds(first.token, "a.ts"))
    assert.isTrue(other !== undefined && other.fence.holds(other.token, "a.ts"))
    yield* hear("realm_file_changes", `${otherUrl}:*`)
    assert.isFalse(other !== undefined && other.fence.holds(other.token, "a.ts"))
    assert.strictEqual(counters.invalidationsReceived, 3)
    assert.strictEqual((yield* see).row.generation, 1)
  }))

it.effect("a raw notification that repeats what a replica just sent is heard: only that replica's own is an echo", () =>
  Effect.gen(function*() {
    const { hear, hearChange, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    yield* see
    rows.set(realmUrl, rowOf(realmUrl, 2))
    yield* hearChange({ realmUrl, generation: 2, paths: "*" }, 7)
    const after = yield* see
    yield* hear("realm_file_changes", `${realmUrl}:*`, 8)
    assert.isFalse(after.fence.holds(after.token, "a.ts"))
    const again = yield* see
    yield* hear("realm_file_changes", `${realmUrl}:*`, 7)
    assert.isFalse(again.fence.holds(again.token, "a.ts"))
  }))

it.effect("after a gap no message is taken for an echo", () =>
  Effect.gen(function*() {
    const { gap, hear, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    yield* see
    const [own] = messagesOf({ realmUrl, generation: 2, paths: "*" }, { publisher: boot })
    yield* hear("lockstep_generations", own?.payload ?? "")
    yield* gap
    rows.set(realmUrl, rowOf(realmUrl, 2))
    const view = yield* see
    yield* hear("realm_file_changes", `${realmUrl}:*`)
    assert.isFalse(view.fence.holds(view.token, "a.ts"))
  }))

it.effect("malformed payloads are counted and change nothing; realms not mounted here are ignored (S18)", () =>
  Effect.gen(function*() {
    const { counters, hear, rows, see } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    const view = yield* see
    const malformed: ReadonlyArray<readonly [Channel, string]> = [
      ["realm_file_changes", ""],
      ["realm_file_changes", realmUrl],
      ["realm_file_changes", `${realmUrl}:`],
      ["realm_file_changes", "http://test.example:80"],
      ["lockstep_generations", ""],
      ["lockstep_generations", "{"],
      ["lockstep_generations", "null"],
      ["lockstep_generations", JSON.stringify({ r: realmUrl, g: "2", p: "*" })],
      ["lockstep_generations", JSON.stringify({ r: realmUrl, g: 2, p: "a.ts" })]
    ]
    for (const [channel, payload] of malformed) yield* hear(channel, payload)
    assert.strictEqual(counters.malformedPayloads, malformed.length)
    yield* hear("realm_file_changes", "http://elsewhere.example/:*")
    yield* hear("lockstep_generations", JSON.stringify({ r: "http://elsewhere.example/", g: 2, p: "*" }))
    assert.strictEqual(counters.malformedPayloads, malformed.length)
    assert.isTrue(view.fence.holds(view.token, "a.ts"))
  }))

it.effect("a change's messages fit PostgreSQL's payloads, whatever it names", () =>
  Effect.sync(() => {
    const few = messagesOf({ realmUrl, generation: 2, paths: ["a.ts", "b.json"] }, { publisher: boot })
    assert.deepStrictEqual(few, [
      {
        channel: "lockstep_generations",
        payload: JSON.stringify({ r: realmUrl, g: 2, p: ["a.ts", "b.json"], b: boot })
      },
      { channel: "realm_file_changes", payload: `${realmUrl}:a.ts` },
      { channel: "realm_file_changes", payload: `${realmUrl}:b.json` }
    ])
    const paths = Array.from({ length: 1_000 }, (_, index) => `${"ü".repeat(20)}${index}.ts`)
    const many = messagesOf({ realmUrl, generation: 2, paths }, { publisher: boot })
    assert.deepStrictEqual(many.map((message) => message.payload), [
      JSON.stringify({ r: realmUrl, g: 2, p: "*", b: boot }),
      `${realmUrl}:*`
    ])
    for (const length of [7_900, 7_930, 7_950, 7_980, 8_000]) {
      for (
        const { payload } of messagesOf({ realmUrl, generation: 2, paths: ["a".repeat(length)] }, { publisher: boot })
      ) {
        assert.isBelow(Buffer.byteLength(payload), 8_000)
      }
    }
  }))

it.effect("an origin is asked about once while the lease is held, and on every request without it", () =>
  Effect.gen(function*() {
    const { generations, lease, origins, rows } = yield* setUp
    rows.set(realmUrl, rowOf(realmUrl, 1))
    assert.isTrue(yield* generations.hasRealms(origin))
    assert.isFalse(yield* generations.hasRealms("http://10.0.0.1"))
    assert.isFalse(yield* generations.hasRealms("http://10.0.0.1"))
    assert.strictEqual(origins.length, 3)
    lease.held = true
    assert.isTrue(yield* generations.hasRealms(origin))
    assert.isFalse(yield* generations.hasRealms("http://10.0.0.1"))
    assert.strictEqual(origins.length, 3)
  }))

for (const how of ["heard", "made here", "caught up"] as const) {
  it.effect(`what is known of an origin is void when a realm of it was ${how} (I1)`, () =>
    Effect.gen(function*() {
      const { caughtUp, generations, hearChange, lease, origins, rows } = yield* setUp
      lease.held = true
      assert.isFalse(yield* generations.hasRealms(origin))
      rows.set(realmUrl, rowOf(realmUrl, 1))
      const change: Change = { realmUrl, generation: 1, paths: "*" }
      if (how === "heard") yield* hearChange(change)
      else if (how === "made here") yield* generations.apply(change)
      else yield* caughtUp({ [realmUrl]: 1 })
      assert.isTrue(yield* generations.hasRealms(origin))
      assert.strictEqual(origins.length, 2)
    }))
}

it.effect("an answer about an origin from before a change that was heard meanwhile is not kept (I1)", () =>
  Effect.gen(function*() {
    const { generations, hearChange, holdBack, lease, rows } = yield* setUp
    lease.held = true
    const release = yield* holdBack
    const early = yield* Effect.forkChild(generations.hasRealms(origin), { startImmediately: true })
    rows.set(realmUrl, rowOf(realmUrl, 1))
    yield* hearChange({ realmUrl, generation: 1, paths: "*" })
    yield* release
    assert.isFalse(yield* Fiber.join(early))
    assert.isTrue(yield* generations.hasRealms(origin))
  }))

it.effect("where PostgreSQL does not answer, what was known of an origin stands: the realm's view refuses or warns", () =>
  Effect.gen(function*() {
    const { failing, generations } = yield* setUp
    assert.isFalse(yield* generations.hasRealms(origin))
    failing(new DatabaseError({ operation: "ask", cause: "down" }))
    assert.isFalse(yield* generations.hasRealms(origin))
    assert.isTrue(Exit.isFailure(yield* Effect.exit(generations.hasRealms("http://10.0.0.1"))))
    // Also for those who ask while others wait in vain.
    const both = Effect.all([generations.hasRealms(origin), generations.hasRealms(origin)], { concurrency: 2 })
    assert.deepStrictEqual(yield* both, [false, false])
  }))
