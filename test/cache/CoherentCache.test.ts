import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Latch, Layer, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Fence } from "../../src/coordination/Fence.ts"
import { Background } from "../../src/domain/Background.ts"
import { DatabaseError } from "../../src/domain/errors.ts"
import { Fleet, realmUrl, valueOf } from "./engine.ts"

/** Every test has a fleet of its own. */
/** What a reader ended with, without the spans that it went through. */
const causeOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.isFailure(exit)
    ? exit.cause.reasons.map((reason) => [
      reason._tag,
      reason._tag === "Fail" ? reason.error : reason._tag === "Die" ? reason.defect : undefined
    ])
    : []

const effect = (name: string, test: () => Effect.Effect<void, unknown, Fleet | Scope.Scope>) =>
  it.effect(name, () => Effect.provide(test(), Layer.fresh(Fleet.layer)))

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

/** Lets every fiber that can run do so. */
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

/** Moves the clock in small steps, as fibers set their next timers only when they run. */
const pass = (millis: number) =>
  Effect.forEach(
    Array.from({ length: millis / 50 }),
    () => Effect.andThen(TestClock.adjust("50 millis"), settle),
    { discard: true }
  )

const broken = Effect.fail(new DatabaseError({ operation: "be asked", cause: new Error("down") }))

effect("a miss is computed, and the next read is a hit in memory (S6)", () =>
  Effect.gen(function*() {
    const { replica, table } = yield* Fleet
    const { counters, get, runs, started } = yield* replica()
    const first = yield* start(get("a.ts"))
    yield* Deferred.succeed((yield* started(0)).done, valueOf("one"))
    assert.deepStrictEqual(yield* Fiber.join(first), { value: valueOf("one"), origin: "computed" })
    assert.deepStrictEqual(yield* get("a.ts"), { value: valueOf("one"), origin: "l1" })
    assert.strictEqual(runs.length, 1)
    assert.strictEqual(counters.l1Hits, 1)
    assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "a.ts 1"), Option.some(valueOf("one")))
  }))

effect("a run that nobody waits for becomes a reader's as soon as one joins", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const self = yield* replica()
    const latch = Latch.makeUnsafe(false)
    const inBackground = <A, E>(work: Effect.Effect<A, E>) => Effect.provideService(work, Background, latch)
    const opened = yield* start(latch.await)
    const first = yield* start(inBackground(self.get("a.ts")))
    const run = yield* self.started(0)
    const second = yield* start(inBackground(self.get("a.ts")))
    yield* settle
    assert.isUndefined(opened.pollUnsafe())
    const reader = yield* start(self.get("a.ts"))
    yield* Fiber.join(opened)
    yield* Deferred.succeed(run.done, valueOf("one"))
    for (const fiber of [first, second, reader]) assert.strictEqual((yield* Fiber.join(fiber)).value.body, "one")
    assert.strictEqual(self.runs.length, 1)
  }))

effect("readers of one path share one run, and each is told that it joined (S3)", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const { counters, get, runs, started } = yield* replica()
    const readers = yield* Effect.forEach(Array.from({ length: 10 }), () => start(get("a.ts")))
    yield* Deferred.succeed((yield* started(0)).done, valueOf("one"))
    const answers = yield* Fiber.joinAll(readers)
    assert.deepStrictEqual(answers.map((answer) => answer.origin), [
      "computed",
      ...Array.from({ length: 9 }, () => "joined")
    ])
    assert.deepStrictEqual(new Set(answers.map((answer) => answer.value.body)), new Set(["one"]))
    assert.strictEqual(runs.length, 1)
    assert.strictEqual(counters.joined, 9)
  }))

effect("different paths do not share, and do not wait for each other (S3)", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const { get, started } = yield* replica()
    const stuck = yield* start(get("a.ts"))
    yield* started(0)
    const other = yield* start(get("b.ts"))
    yield* Deferred.succeed((yield* started(1)).done, valueOf("b"))
    assert.strictEqual((yield* Fiber.join(other)).value.body, "b")
    yield* Fiber.interrupt(stuck)
  }))

effect(
  "an invalidation during a run: who waits gets the answer, who comes later gets a run of its own (S2, S3)",
  () =>
    Effect.gen(function*() {
      const { invalidate, replica, table } = yield* Fleet
      const self = yield* replica()
      const before = yield* start(self.get("a.ts", "old"))
      const old = yield* self.started(0)
      yield* invalidate("a.ts", [self])
      const after = yield* start(self.get("a.ts", "new"))
      // It does not wait for the old run, which is still under way.
      const young = yield* self.started(1)
      yield* Deferred.succeed(old.done, valueOf("old"))
      assert.strictEqual((yield* Fiber.join(before)).value.body, "old")
      assert.isTrue(Option.isNone(yield* table.read(realmUrl, "a.ts", "old")))
      yield* Deferred.succeed(young.done, valueOf("new"))
      assert.strictEqual((yield* Fiber.join(after)).value.body, "new")
      assert.deepStrictEqual(yield* self.get("a.ts", "new"), { value: valueOf("new"), origin: "l1" })
      assert.strictEqual(self.counters.l2WriteRejected, 1)
    })
)

effect(
  "a run that an invalidation overtook refills neither L1 nor L2, even with the same bytes (S7, S8)",
  () =>
    Effect.gen(function*() {
      const { invalidate, replica, table } = yield* Fleet
      const self = yield* replica()
      const before = yield* start(self.get("a.ts"))
      const old = yield* self.started(0)
      yield* invalidate("a.ts", [self])
      yield* Deferred.succeed(old.done, valueOf("old"))
      yield* Fiber.join(before)
      assert.strictEqual(self.engine.bytes(), 0)
      assert.isTrue(Option.isNone(yield* table.read(realmUrl, "a.ts", "a.ts 1")))
      const after = yield* start(self.get("a.ts"))
      yield* Deferred.succeed((yield* self.started(1)).done, valueOf("new"))
      assert.deepStrictEqual(yield* Fiber.join(after), { value: valueOf("new"), origin: "computed" })
    })
)

effect(
  "a bulk wipe voids what is cached and what is under way, for paths without a row too (S9)",
  () =>
    Effect.gen(function*() {
      const { invalidate, replica, table } = yield* Fleet
      const self = yield* replica()
      const cached = yield* start(self.get("a.ts"))
      yield* Deferred.succeed((yield* self.started(0)).done, valueOf("a old"))
      yield* Fiber.join(cached)
      const flying = yield* start(self.get("b.ts"))
      const old = yield* self.started(1)
      yield* invalidate("*", [self])
      yield* Deferred.succeed(old.done, valueOf("b old"))
      yield* Fiber.join(flying)
      for (const path of ["a.ts", "b.ts"]) {
        assert.isTrue(Option.isNone(yield* table.read(realmUrl, path, `${path} 1`)))
      }
      const again = yield* start(self.get("a.ts"))
      yield* Deferred.succeed((yield* self.started(2)).done, valueOf("a new"))
      assert.strictEqual((yield* Fiber.join(again)).value.body, "a new")
    })
)

effect(
  "an entry and a run of a realm that this replica has forgotten meanwhile are passed over",
  () =>
    Effect.gen(function*() {
      const { replica } = yield* Fleet
      const self = yield* replica()
      const first = yield* start(self.get("a.ts"))
      yield* Deferred.succeed((yield* self.started(0)).done, valueOf("cached"))
      yield* Fiber.join(first)
      // The fence of both hears of nothing any more.
      const key = yield* self.key("a.ts")
      const fence = new Fence()
      const view = { ...key.view, fence, token: fence.capture() }
      assert.strictEqual((yield* self.engine.get({ ...key, view })).origin, "l2")
    })
)

effect("an invalidation of another path discards neither entries nor runs (S2)", () =>
  Effect.gen(function*() {
    const { invalidate, replica, table } = yield* Fleet
    const self = yield* replica()
    const before = yield* start(self.get("a.ts"))
    const run = yield* self.started(0)
    yield* invalidate("b.ts", [self])
    const joiner = yield* start(self.get("a.ts"))
    yield* Deferred.succeed(run.done, valueOf("a"))
    yield* Fiber.join(before)
    assert.strictEqual((yield* Fiber.join(joiner)).origin, "joined")
    assert.strictEqual((yield* self.get("a.ts")).origin, "l1")
    assert.isTrue(Option.isSome(yield* table.read(realmUrl, "a.ts", "a.ts 1")))
    assert.strictEqual(self.runs.length, 1)
  }))

effect("an entry that was invalidated, or whose bytes changed, is passed over (S2)", () =>
  Effect.gen(function*() {
    const { invalidate, replica } = yield* Fleet
    const self = yield* replica()
    const read = Effect.fnUntraced(function*(run: number, contentKey: string) {
      const reader = yield* start(self.get("a.ts", contentKey))
      yield* Deferred.succeed((yield* self.started(run)).done, valueOf(`run ${run}`))
      return (yield* Fiber.join(reader)).value.body
    })
    assert.strictEqual(yield* read(0, "one"), "run 0")
    assert.strictEqual(yield* read(1, "two"), "run 1")
    yield* invalidate("a.ts", [self])
    assert.strictEqual(yield* read(2, "two"), "run 2")
  }))

effect(
  "a request that read its generation before an invalidation does not fill the cache after it",
  () =>
    Effect.gen(function*() {
      const { invalidate, replica, table } = yield* Fleet
      const self = yield* replica()
      const old = yield* self.key("a.ts")
      yield* invalidate("a.ts", [self])
      const reader = yield* start(self.engine.get(old))
      yield* Deferred.succeed((yield* self.started(0)).done, valueOf("old"))
      assert.strictEqual((yield* Fiber.join(reader)).value.body, "old")
      assert.isTrue(Option.isNone(yield* table.read(realmUrl, "a.ts", "a.ts 1")))
      const next = yield* start(self.get("a.ts"))
      yield* Deferred.succeed((yield* self.started(1)).done, valueOf("new"))
      assert.strictEqual((yield* Fiber.join(next)).value.body, "new")
    })
)

effect("an old run that settles late removes neither a newer run nor its entry (S3)", () =>
  Effect.gen(function*() {
    const { invalidate, replica } = yield* Fleet
    const self = yield* replica()
    const before = yield* start(self.get("a.ts", "old"))
    const old = yield* self.started(0)
    yield* invalidate("a.ts", [self])
    const first = yield* start(self.get("a.ts", "new"))
    const young = yield* self.started(1)
    yield* Deferred.succeed(old.done, valueOf("old"))
    yield* Fiber.join(before)
    const second = yield* start(self.get("a.ts", "new"))
    yield* Deferred.succeed(young.done, valueOf("new"))
    assert.deepStrictEqual(yield* Fiber.join(second), { value: valueOf("new"), origin: "joined" })
    assert.strictEqual((yield* Fiber.join(first)).value.body, "new")
    assert.strictEqual(self.runs.length, 2)
  }))

effect("a failure reaches every waiter, is not kept, and frees the path (S3)", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const self = yield* replica()
    const readers = yield* Effect.forEach(Array.from({ length: 3 }), () => start(self.get("a.ts")))
    yield* Deferred.fail((yield* self.started(0)).done, "syntax error")
    for (const reader of readers) {
      assert.deepStrictEqual(causeOf(yield* Fiber.await(reader)), [["Fail", "syntax error"]])
    }
    const again = yield* start(self.get("a.ts"))
    yield* Deferred.succeed((yield* self.started(1)).done, valueOf("mended"))
    assert.strictEqual((yield* Fiber.join(again)).value.body, "mended")
  }))

effect("a defect reaches every waiter and frees the path", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const self = yield* replica()
    const readers = yield* Effect.forEach(Array.from({ length: 3 }), () => start(self.get("a.ts")))
    yield* Deferred.die((yield* self.started(0)).done, "bug")
    for (const reader of readers) assert.deepStrictEqual(causeOf(yield* Fiber.await(reader)), [["Die", "bug"]])
    const again = yield* start(self.get("a.ts"))
    yield* Deferred.succeed((yield* self.started(1)).done, valueOf("mended"))
    assert.strictEqual((yield* Fiber.join(again)).value.body, "mended")
  }))

effect(
  "a reader that leaves does not stop the work that others wait for, whoever began it (S4)",
  () =>
    Effect.gen(function*() {
      const { replica } = yield* Fleet
      const self = yield* replica()
      const [first, second, third] = [
        yield* start(self.get("a.ts")),
        yield* start(self.get("a.ts")),
        yield* start(self.get("a.ts"))
      ]
      const run = yield* self.started(0)
      yield* Fiber.interrupt(first)
      yield* Fiber.interrupt(third)
      assert.isFalse(run.stopped)
      yield* Deferred.succeed(run.done, valueOf("one"))
      assert.strictEqual((yield* Fiber.join(second)).value.body, "one")
      assert.strictEqual(self.runs.length, 1)
    })
)

effect("the work stops when its last waiter leaves, and the path is free (S4)", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const self = yield* replica()
    const readers = [yield* start(self.get("a.ts")), yield* start(self.get("a.ts"))]
    const run = yield* self.started(0)
    for (const reader of readers) yield* Fiber.interrupt(reader)
    assert.isTrue(run.stopped)
    const again = yield* start(self.get("a.ts"))
    yield* Deferred.succeed((yield* self.started(1)).done, valueOf("again"))
    assert.deepStrictEqual(yield* Fiber.join(again), { value: valueOf("again"), origin: "computed" })
  }))

effect(
  "a reader that comes while the work is being stopped gets a run of its own, not its end (S4)",
  () =>
    Effect.gen(function*() {
      const { replica } = yield* Fleet
      const ended = yield* Deferred.make<void>()
      const self = yield* replica({ lingers: Deferred.await(ended) })
      const first = yield* start(self.get("a.ts"))
      yield* self.started(0)
      yield* start(Fiber.interrupt(first))
      const second = yield* start(self.get("a.ts"))
      yield* settle
      yield* Deferred.succeed(ended, undefined)
      yield* Deferred.succeed((yield* self.started(1)).done, valueOf("again"))
      assert.strictEqual((yield* Fiber.join(second)).value.body, "again")
    })
)

effect("a failing look into L2 is counted and the value is computed (S10)", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const self = yield* replica({ shared: { read: () => broken } })
    const reader = yield* start(self.get("a.ts"))
    yield* Deferred.succeed((yield* self.started(0)).done, valueOf("one"))
    assert.deepStrictEqual(yield* Fiber.join(reader), { value: valueOf("one"), origin: "computed" })
    assert.isAbove(self.counters.l2Errors, 0)
    assert.strictEqual((yield* self.get("a.ts")).origin, "l1")
  }))

effect(
  "a failing write to L2 is counted, not taken for a refusal, and the value is returned (S10)",
  () =>
    Effect.gen(function*() {
      const { replica } = yield* Fleet
      const self = yield* replica({ shared: { write: () => broken } })
      const reader = yield* start(self.get("a.ts"))
      yield* Deferred.succeed((yield* self.started(0)).done, valueOf("one"))
      assert.strictEqual((yield* Fiber.join(reader)).value.body, "one")
      assert.strictEqual(self.counters.l2Errors, 1)
      assert.strictEqual(self.counters.l2WriteRejected, 0)
    })
)

effect("without coordination a replica works for itself, and still persists (S13)", () =>
  Effect.gen(function*() {
    const { replica, table } = yield* Fleet
    const self = yield* replica({ coordinator: { tryAcquireAndRun: () => broken } })
    const reader = yield* start(self.get("a.ts"))
    yield* Deferred.succeed((yield* self.started(0)).done, valueOf("one"))
    assert.deepStrictEqual(yield* Fiber.join(reader), { value: valueOf("one"), origin: "computed" })
    assert.strictEqual(self.counters.l2Errors, 1)
    assert.isTrue(Option.isSome(yield* table.read(realmUrl, "a.ts", "a.ts 1")))
  }))

effect("a failure of the work itself is not taken for a failure of the coordination", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const self = yield* replica()
    const reader = yield* start(self.get("a.ts"))
    yield* Deferred.fail((yield* self.started(0)).done, "syntax error")
    assert.deepStrictEqual(causeOf(yield* Fiber.await(reader)), [["Fail", "syntax error"]])
    yield* settle
    assert.strictEqual(self.runs.length, 1)
    assert.strictEqual(self.counters.l2Errors, 0)
  }))

effect(
  "two replicas that miss together work once: the loser gets the winner's row (S13)",
  () =>
    Effect.gen(function*() {
      const { replica } = yield* Fleet
      const [here, there] = [yield* replica(), yield* replica()]
      const winner = yield* start(here.get("a.ts"))
      yield* here.started(0)
      const loser = yield* start(there.get("a.ts"))
      yield* settle
      yield* Deferred.succeed(here.runs[0]!.done, valueOf("one"))
      assert.strictEqual((yield* Fiber.join(winner)).origin, "computed")
      assert.deepStrictEqual(yield* Fiber.join(loser), { value: valueOf("one"), origin: "joined" })
      assert.strictEqual(there.runs.length, 0)
      assert.strictEqual(there.counters.joined, 1)
      assert.strictEqual((yield* there.get("a.ts")).origin, "l1")
    })
)

effect("a loser takes a row that has appeared, whoever still holds the lock (S13)", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const here = yield* replica()
    const there = yield* replica({ coordinator: { tryAcquireAndRun: () => Effect.succeedNone } })
    const loser = yield* start(there.get("a.ts"))
    const winner = yield* start(here.get("a.ts"))
    yield* Deferred.succeed((yield* here.started(0)).done, valueOf("one"))
    yield* Fiber.join(winner)
    yield* pass(200)
    assert.deepStrictEqual(yield* Fiber.join(loser), { value: valueOf("one"), origin: "joined" })
    assert.strictEqual(there.runs.length, 0)
  }))

effect("a replica that comes later finds the row (S6, S11)", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const [here, there] = [yield* replica(), yield* replica()]
    const first = yield* start(here.get("a.ts"))
    const value = { body: "one", headers: { etag: `"1"` }, dependency_keys: ["./b"] }
    yield* Deferred.succeed((yield* here.started(0)).done, value)
    yield* Fiber.join(first)
    assert.deepStrictEqual(yield* there.get("a.ts"), { value, origin: "l2" })
    assert.strictEqual(there.counters.l2Hits, 1)
    assert.strictEqual((yield* there.get("a.ts")).origin, "l1")
  }))

effect("when the winner's work is stopped, a loser takes over at once (S13)", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const [here, there] = [yield* replica(), yield* replica()]
    const winner = yield* start(here.get("a.ts"))
    yield* here.started(0)
    const loser = yield* start(there.get("a.ts"))
    yield* settle
    assert.strictEqual(there.runs.length, 0)
    yield* Fiber.interrupt(winner)
    yield* Deferred.succeed((yield* there.started(0)).done, valueOf("taken over"))
    assert.deepStrictEqual(yield* Fiber.join(loser), { value: valueOf("taken over"), origin: "computed" })
    assert.strictEqual(there.counters.takeovers, 1)
  }))

effect(
  "a winner that dies silently is replaced as soon as the coordinator finds its key free (rule 8)",
  () =>
    Effect.gen(function*() {
      const { coordinator, replica } = yield* Fleet
      const dead = yield* Deferred.make<boolean>()
      // Holds the lock without ever notifying, until its session is gone.
      const self = yield* replica({
        coordinator: {
          tryAcquireAndRun: (key, run) =>
            Effect.flatMap(
              Deferred.isDone(dead),
              (free) => free ? coordinator.tryAcquireAndRun(key, run) : Effect.succeedNone
            ),
          waitForKey: (_, timeout) =>
            Effect.map(Effect.timeoutOption(Deferred.await(dead), timeout), Option.getOrElse(() => false))
        }
      })
      const reader = yield* start(self.get("a.ts"))
      yield* pass(5_000)
      assert.strictEqual(self.runs.length, 0)
      yield* Deferred.succeed(dead, false)
      yield* pass(1)
      yield* Deferred.succeed((yield* self.started(0)).done, valueOf("taken over"))
      assert.strictEqual((yield* Fiber.join(reader)).value.body, "taken over")
      assert.strictEqual(self.counters.takeovers, 1)
    })
)

effect(
  "a loser that hears nothing tries for the lock now and then, and sees a row that somebody else has written (S13)",
  () =>
    Effect.gen(function*() {
      const { replica, table } = yield* Fleet
      const there = yield* replica()
      let tries = 0
      const self = yield* replica({
        coordinator: {
          tryAcquireAndRun: () => Effect.as(Effect.sync(() => tries++), Option.none()),
          waitForKey: (_, timeout) => Effect.as(Effect.sleep(timeout), false)
        }
      })
      const reader = yield* start(self.get("a.ts"))
      yield* pass(10_000)
      assert.isAtLeast(tries, 1 + 5)
      assert.isAtMost(tries, 1 + 10)
      yield* start(there.get("a.ts"))
      yield* Deferred.succeed((yield* there.started(0)).done, valueOf("one"))
      yield* pass(2_000)
      assert.deepStrictEqual(yield* Fiber.join(reader), { value: valueOf("one"), origin: "joined" })
      assert.isTrue(Option.isSome(yield* table.read(realmUrl, "a.ts", "a.ts 1")))
    })
)

effect(
  "a loser waits for a winner that lives, however long its queue; when its patience ends it persists all the same (S13)",
  () =>
    Effect.gen(function*() {
      const { replica, table } = yield* Fleet
      const self = yield* replica({ coordinator: { tryAcquireAndRun: () => Effect.succeedNone } })
      const reader = yield* start(self.get("a.ts"))
      yield* pass(295_000)
      assert.strictEqual(self.runs.length, 0)
      yield* pass(6_000)
      yield* Deferred.succeed((yield* self.started(0)).done, valueOf("alone"))
      assert.strictEqual((yield* Fiber.join(reader)).value.body, "alone")
      assert.isTrue(Option.isSome(yield* table.read(realmUrl, "a.ts", "a.ts 1")))
    })
)

effect(
  "a replica that has heard nothing of an invalidation neither overwrites nor revives L2 (S7)",
  () =>
    Effect.gen(function*() {
      const { invalidate, replica } = yield* Fleet
      const [deaf, there] = [yield* replica(), yield* replica()]
      const before = yield* start(deaf.get("a.ts", "old"))
      const old = yield* deaf.started(0)
      yield* invalidate("a.ts", [there])
      const after = yield* start(there.get("a.ts", "new"))
      yield* Deferred.succeed((yield* there.started(0)).done, valueOf("new"))
      yield* Fiber.join(after)
      yield* Deferred.succeed(old.done, valueOf("old"))
      yield* Fiber.join(before)
      assert.strictEqual(deaf.counters.l2WriteRejected, 1)
      const third = yield* replica()
      assert.deepStrictEqual(yield* third.get("a.ts", "new"), { value: valueOf("new"), origin: "l2" })
    })
)

effect("when the engine ends, whoever waits is told so, and whoever comes later too", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const scope = yield* Scope.make()
    const self = yield* replica({ scope })
    const waiting = yield* start(self.get("a.ts"))
    const run = yield* self.started(0)
    // Has not begun when it is ended: an engine must not count on its runs to say how they went.
    const unborn = yield* start(self.get("b.ts"))
    yield* Scope.close(scope, Exit.void)
    assert.isTrue(run.stopped)
    for (
      const exit of [yield* Fiber.await(waiting), yield* Fiber.await(unborn), yield* Effect.exit(self.get("c.ts"))]
    ) {
      assert.isTrue(Exit.hasInterrupts(exit))
    }
  }))

effect("L1 stays within its bytes, and a value beyond them is served and not kept", () =>
  Effect.gen(function*() {
    const { replica } = yield* Fleet
    const self = yield* replica({ capacityBytes: 10_000 })
    for (let index = 0; index < 40; index++) {
      const reader = yield* start(self.get(`${index}.ts`))
      yield* Deferred.succeed((yield* self.started(index)).done, valueOf("x".repeat(1_000)))
      yield* Fiber.join(reader)
      assert.isAtMost(self.engine.bytes(), 10_000)
    }
    assert.isAbove(self.engine.bytes(), 5_000)
    assert.strictEqual((yield* self.get("39.ts")).origin, "l1")
    assert.strictEqual((yield* self.get("0.ts")).origin, "l2")
    const huge = yield* start(self.get("huge.ts"))
    yield* Deferred.succeed((yield* self.started(40)).done, valueOf("x".repeat(20_000)))
    assert.strictEqual((yield* Fiber.join(huge)).value.body.length, 20_000)
    assert.isAtMost(self.engine.bytes(), 10_000)
    assert.strictEqual((yield* self.get("huge.ts")).origin, "l2")
  }))
