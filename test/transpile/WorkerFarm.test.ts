import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Latch, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as WorkerFarm from "../../src/transpile/WorkerFarm.ts"
import { cell, type ScriptedAnswer, type ScriptedData, type ScriptedJob } from "./scriptedWorker.ts"

const scripted = (options: Partial<WorkerFarm.FarmOptions> & { readonly starts?: ScriptedData["starts"] } = {}) => {
  const memory = new Int32Array(new SharedArrayBuffer(16))
  const farm = WorkerFarm.make<ScriptedJob, ScriptedAnswer>({
    entry: new URL("./scriptedWorker.ts", import.meta.url),
    workerData: { memory, ...(options.starts && { starts: options.starts }) } satisfies ScriptedData,
    workers: 1,
    timeout: Duration.seconds(20),
    queueLimit: 100,
    heapMb: 256,
    ...options
  })
  return {
    farm,
    starts: () => Atomics.load(memory, cell.starts),
    /** Returns when this many jobs have begun in a thread, or this many threads have. */
    begun: (count: number, what: number = cell.begun): Effect.Effect<void> =>
      Effect.promise(async () => {
        for (let now = 0; (now = Atomics.load(memory, what)) < count;) {
          await Atomics.waitAsync(memory, what, now).value
        }
      }),
    open: Effect.sync(() => {
      Atomics.store(memory, cell.gate, 1)
      Atomics.notify(memory, cell.gate)
    })
  }
}

const answer = (value: string): ScriptedJob => ({ do: "answer", value })
const wait = (value: string): ScriptedJob => ({ do: "wait", value })

// The clock is the test's: no deadline passes unless a test says so, however slow the machine.
describe("WorkerFarm", () => {
  it.effect("answers each job with its own result, on every thread", () =>
    Effect.gen(function*() {
      const { begun, farm, open } = scripted({ workers: 2 })
      const { run } = yield* farm
      const both = yield* Effect.forkChild(
        Effect.all([run("a", wait("0")), run("a", wait("1"))], { concurrency: "unbounded" })
      )
      yield* begun(2)
      yield* open
      const threads = (yield* Fiber.join(both)).map(({ thread }) => thread)
      assert.strictEqual(new Set(threads).size, 2)
      const values = Array.from({ length: 50 }, (_, i) => String(i))
      const answers = yield* Effect.forEach(values, (value) => run("a", answer(value)), { concurrency: "unbounded" })
      assert.deepStrictEqual(answers.map(({ value }) => value), values)
      assert.isTrue(answers.every(({ thread }) => threads.includes(thread)))
    }))

  describe("a job that overstays", () => {
    it.effect.each(["loop", "backtrack"] as const)(
      "in a %s fails, and its thread is replaced",
      (how) =>
        Effect.gen(function*() {
          const { begun, farm, starts } = scripted()
          const { run } = yield* farm
          const stuck = yield* Effect.forkChild(Effect.flip(run("a", { do: how })))
          const next = yield* Effect.forkChild(run("a", answer("next")))
          yield* begun(1)
          yield* TestClock.adjust("19999 millis")
          assert.isUndefined(stuck.pollUnsafe())
          yield* TestClock.adjust("1 millis")
          assert.strictEqual((yield* Fiber.join(stuck)).reason, "timeout")
          assert.strictEqual((yield* Fiber.join(next)).value, "next")
          assert.strictEqual(starts(), 2)
        })
    )

    it.effect("is measured from the moment it begins, not while it waits its turn", () =>
      Effect.gen(function*() {
        const { begun, farm, open } = scripted()
        const { run } = yield* farm
        const first = yield* Effect.forkChild(run("a", wait("first")))
        const second = yield* Effect.forkChild(Effect.flip(run("a", { do: "loop" })))
        yield* begun(1)
        yield* TestClock.adjust("15 seconds")
        yield* open
        yield* begun(2)
        yield* TestClock.adjust("15 seconds")
        assert.isUndefined(second.pollUnsafe())
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* Fiber.join(second)).reason, "timeout")
        assert.strictEqual((yield* Fiber.join(first)).value, "first")
      }))
  })

  it.effect.each(
    [
      ["exits", "exit", "died", /exited with code 3/],
      ["throws", "throw", "died", /crashed: thrown by the job/],
      ["runs out of memory", "allocate", "memory", /more than 64 MB/]
    ] as const
  )("a job whose thread %s fails alone, and the rest are served", ([, job, reason, detail]) =>
    Effect.gen(function*() {
      const { farm, starts } = scripted({ heapMb: 64 })
      const { run } = yield* farm
      const [dead, alive] = yield* Effect.all([
        Effect.flip(run("a", { do: job })),
        run("a", answer("alive"))
      ], { concurrency: "unbounded" })
      assert.strictEqual(dead.reason, reason)
      assert.match(dead.detail, detail)
      assert.strictEqual(alive.value, "alive")
      assert.strictEqual(starts(), 2)
    }))

  it.effect("replaces a thread that ends between two jobs, before the next one comes", () =>
    Effect.gen(function*() {
      const { begun, farm } = scripted()
      const { run } = yield* farm
      assert.strictEqual((yield* run("a", { do: "leave", value: "bye" })).value, "bye")
      yield* begun(2, cell.starts)
      assert.strictEqual((yield* run("a", answer("next"))).value, "next")
    }))

  describe("the queue", () => {
    it.effect("is bounded: what does not fit is refused at once, and accepted later", () =>
      Effect.gen(function*() {
        const { begun, farm, open } = scripted({ queueLimit: 2 })
        const { run } = yield* farm
        const first = yield* Effect.forkChild(run("a", wait("1")), { startImmediately: true })
        yield* begun(1)
        const waiting = yield* Effect.forkChild(
          Effect.all([run("a", answer("2")), run("b", answer("3"))], { concurrency: "unbounded" }),
          { startImmediately: true }
        )
        yield* Effect.yieldNow
        const refused = yield* Effect.flip(run("c", answer("4")))
        assert.strictEqual(refused.reason, "full")
        yield* open
        yield* Fiber.join(first)
        yield* Fiber.join(waiting)
        assert.strictEqual((yield* run("c", answer("4"))).value, "4")
      }))

    it.effect("gives each realm its turn, so that one realm's flood holds up no other", () =>
      Effect.gen(function*() {
        const { begun, farm, open } = scripted()
        const { run } = yield* farm
        const done: Array<string> = []
        const track = (job: ScriptedJob, group: string) =>
          Effect.tap(run(group, job), ({ value }) => Effect.sync(() => done.push(value)))
        const blocker = yield* Effect.forkChild(run("flood", wait("")), { startImmediately: true })
        yield* begun(1)
        const all = yield* Effect.forkChild(
          Effect.all([
            ...["f1", "f2", "f3", "f4"].map((value) => track(answer(value), "flood")),
            track(answer("quiet"), "quiet"),
            track(answer("calm"), "calm")
          ], { concurrency: "unbounded" }),
          { startImmediately: true }
        )
        yield* Effect.yieldNow
        yield* open
        yield* Fiber.join(blocker)
        yield* Fiber.join(all)
        assert.deepStrictEqual(done, ["f1", "quiet", "calm", "f2", "f3", "f4"])
      }))

    it.effect("serves what nobody waits for when no reader waits, unless somebody does after all", () =>
      Effect.gen(function*() {
        const { begun, farm, open } = scripted()
        const { run } = yield* farm
        const done: Array<string> = []
        const latches = ["b1", "b2", "b3"].map((value) => ({ value, latch: Latch.makeUnsafe(false) }))
        const track = (value: string, latch?: Latch.Latch) =>
          Effect.tap(run("realm", answer(value), latch), () => Effect.sync(() => done.push(value)))
        const blocker = yield* Effect.forkChild(run("realm", wait("")), { startImmediately: true })
        yield* begun(1)
        const fork = Effect.forkChild({ startImmediately: true })
        const behind = yield* Effect.forEach(latches, ({ latch, value }) => fork(track(value, latch)))
        const readers = yield* Effect.forEach(["r1", "r2"], (value) => fork(track(value)))
        yield* latches[1]?.latch.open ?? Effect.void
        // An interrupted one is never run, from whichever queue.
        const gone = yield* fork(track("gone", Latch.makeUnsafe(true)))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(gone)
        const last = yield* fork(track("r3"))
        yield* open
        yield* Fiber.join(blocker)
        yield* Fiber.joinAll([...behind, ...readers, last])
        assert.deepStrictEqual(done, ["r1", "r2", "b2", "r3", "b1", "b3"])
      }))

    it.effect("serves what nobody here waits for among the others when ten seconds have passed", () =>
      Effect.gen(function*() {
        const { begun, farm, open } = scripted()
        const { run } = yield* farm
        const done: Array<string> = []
        const track = (value: string, latch?: Latch.Latch) =>
          Effect.tap(run("realm", answer(value), latch), () => Effect.sync(() => done.push(value)))
        const blocker = yield* Effect.forkChild(run("realm", wait("")), { startImmediately: true })
        yield* begun(1)
        const fork = Effect.forkChild({ startImmediately: true })
        const all = [yield* fork(track("b1", Latch.makeUnsafe(false)))]
        yield* TestClock.adjust("5 seconds")
        all.push(yield* fork(track("b2", Latch.makeUnsafe(false))), yield* fork(track("r1")))
        yield* TestClock.adjust("5 seconds")
        all.push(yield* fork(track("r2")))
        yield* open
        yield* Fiber.join(blocker)
        yield* Fiber.joinAll(all)
        assert.deepStrictEqual(done, ["r1", "b1", "r2", "b2"])
      }))
  })

  describe("an interrupted job", () => {
    it.effect("that waits is never run", () =>
      Effect.gen(function*() {
        const { begun, farm, open, starts } = scripted({ queueLimit: 1 })
        const { run } = yield* farm
        const first = yield* Effect.forkChild(run("a", wait("1")), { startImmediately: true })
        yield* begun(1)
        const waiting = yield* Effect.forkChild(run("a", { do: "exit" }), { startImmediately: true })
        assert.strictEqual((yield* Effect.flip(run("a", answer("no room")))).reason, "full")
        yield* Fiber.interrupt(waiting)
        const room = yield* Effect.forkChild(run("a", answer("room")), { startImmediately: true })
        yield* open
        yield* Fiber.join(first)
        assert.strictEqual((yield* Fiber.join(room)).value, "room")
        assert.strictEqual(starts(), 1)
      }))

    it.effect("that runs leaves its thread fit for the next one", () =>
      Effect.gen(function*() {
        const { begun, farm, open, starts } = scripted()
        const { run } = yield* farm
        const running = yield* Effect.forkChild(run("a", wait("dropped")), { startImmediately: true })
        yield* begun(1)
        yield* Fiber.interrupt(running)
        const next = yield* Effect.forkChild(run("a", answer("next")), { startImmediately: true })
        yield* open
        assert.strictEqual((yield* Fiber.join(next)).value, "next")
        assert.strictEqual(starts(), 1)
      }))

    it.effect("that runs still has its deadline", () =>
      Effect.gen(function*() {
        const { begun, farm } = scripted()
        const { run } = yield* farm
        const running = yield* Effect.forkChild(run("a", { do: "loop" }), { startImmediately: true })
        yield* begun(1)
        yield* Fiber.interrupt(running)
        yield* TestClock.adjust("20 seconds")
        assert.strictEqual((yield* run("a", answer("next"))).value, "next")
      }))
  })

  it.effect("ends its threads and fails what waits and runs when its scope closes", () =>
    Effect.gen(function*() {
      const { begun, farm } = scripted({ workers: 2 })
      const scope = yield* Scope.make()
      const { run } = yield* Scope.provide(farm, scope)
      const jobs = yield* Effect.forkChild(
        Effect.forEach(["loop", "loop", "loop"] as const, (job) => Effect.flip(run("a", { do: job })), {
          concurrency: "unbounded"
        }),
        { startImmediately: true }
      )
      yield* begun(2)
      // waits for each thread's exit, so returning says that they are gone
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual((yield* Fiber.join(jobs)).map(({ reason }) => reason), ["closed", "closed", "closed"])
      assert.strictEqual((yield* Effect.flip(run("a", answer("late")))).reason, "closed")
    }))

  describe("a thread that does not start", () => {
    it.effect("because its module is missing fails the farm", () =>
      Effect.gen(function*() {
        const failure = yield* Effect.flip(scripted({ entry: new URL("./missing.ts", import.meta.url) }).farm)
        assert.strictEqual(failure.reason, "start")
        assert.include(failure.detail, "Cannot find module")
      }))

    it.effect("because it throws fails the farm, once no other thread can start either", () =>
      Effect.gen(function*() {
        const failure = yield* Effect.flip(scripted({ starts: ["throw"], workers: 2 }).farm)
        assert.deepInclude(failure, { reason: "start", detail: "a worker crashed: refuses to start" })
        // one good thread is enough
        yield* scripted({ starts: ["throw", "warm"], workers: 2 }).farm
      }))

    it.effect("because it hangs fails the farm after a limit", () =>
      Effect.gen(function*() {
        const { begun, farm } = scripted({ starts: ["hang"] })
        const starting = yield* Effect.forkChild(Effect.flip(farm))
        yield* begun(1, cell.starts)
        yield* TestClock.adjust("30 seconds")
        assert.deepInclude(yield* Fiber.join(starting), {
          reason: "start",
          detail: "a worker did not become ready in time"
        })
      }))

    it.effect("again fails the jobs that wait for it, and is tried again after a pause", () =>
      Effect.gen(function*() {
        const { farm, starts } = scripted({ starts: ["warm", "throw", "warm"] })
        const { run } = yield* farm
        assert.strictEqual((yield* Effect.flip(run("a", { do: "exit" }))).reason, "died")
        assert.strictEqual((yield* Effect.flip(run("a", answer("lost")))).reason, "start")
        assert.strictEqual(starts(), 2)
        yield* TestClock.adjust("100 millis")
        assert.strictEqual((yield* run("a", answer("back"))).value, "back")
        assert.strictEqual(starts(), 3)
      }))
  })

  it.effect("gives its threads nothing of the host's environment and flags", () =>
    Effect.gen(function*() {
      const { run } = yield* scripted().farm
      const { value } = yield* run("a", { do: "report" })
      assert.deepStrictEqual(JSON.parse(value), { env: {}, execArgv: [], argv: [] })
    }))
})
