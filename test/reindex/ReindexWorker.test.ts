import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Logger, Option } from "effect"
import { TestClock } from "effect/testing"
import { Counters } from "../../src/coordination/Counters.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { NothingRendered } from "../../src/reindex/NothingRendered.ts"
import { Prerenderer, type Renderer } from "../../src/reindex/Prerenderer.ts"
import { backoffMillis, defaultWorker, work } from "../../src/reindex/ReindexWorker.ts"
import { type Answer, type Reading, Replicas, ReplicasUnavailable } from "../../src/reindex/Replicas.ts"
import { JobTable } from "../../src/store/JobTable.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { RealmIndexTable } from "../../src/store/RealmIndexTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"

const realmUrl = "http://realms.test/live/" as RealmUrl
const instance = JSON.stringify({
  data: { attributes: {}, meta: { adoptsFrom: { module: "./person", name: "Person" } } }
})

const answer = (body: string, path: string): Answer => ({
  status: 200,
  headers: { "x-lockstep-canonical-path": path, "x-lockstep-source-hash": `hash of ${path}` },
  body
})

/** A published realm of one instance, at these versions, as replicas would answer. */
const answerOf = ({ path, version }: Reading): Answer =>
  path === ""
    ? answer(JSON.stringify({ entries: [{ name: "ada.json", kind: "file" }] }), "")
    : path === "ada.json"
    ? answer(instance, path)
    : { ...answer(`version ${version}`, "person.ts"), headers: { "content-type": "text/javascript" } }

interface Outside {
  readonly read: Replicas["Service"]["read"]
  /** What a rendering does before it returns the module's code as its HTML. */
  readonly rendering: Effect.Effect<void>
}

const rendererOf = (rendering: Effect.Effect<void>): Renderer => ({
  render: ({ module }, load) => Effect.flatMap(load(module), ({ code }) => Effect.as(rendering, Option.some(code)))
})

const inMemory = ({ read, rendering }: Outside) =>
  Layer.mergeAll(JobTable.layerMemory, RealmIndexTable.layerMemory, RealmTable.layerMemory).pipe(
    Layer.provideMerge(MemoryDatabase.layer),
    Layer.provideMerge(Layer.mergeAll(
      Counters.layer,
      NothingRendered.layer,
      Logger.layer([]),
      Layer.succeed(Replicas, { read }),
      Layer.succeed(Prerenderer, {
        fingerprint: "test",
        open: Effect.succeed(rendererOf(rendering))
      })
    ))
  )

const reads = (reading: Reading) => Effect.succeed(answerOf(reading))
const unavailable = () => Effect.fail(new ReplicasUnavailable({ detail: "nobody is there" }))

const published = Effect.gen(function*() {
  const jobs = yield* JobTable
  const realms = yield* RealmTable
  const { realms: [row] } = yield* realms.read([realmUrl])
  const realm = { realmUrl, kind: "published", directory: "d", sourceUrl: null } as const
  const generation = Option.getOrThrow(yield* realms.mount(realm, row?.generation ?? 0))
  yield* jobs.enqueue("reindex", realmUrl, generation)
  return generation
})

const latest = Effect.flatMap(JobTable, (jobs) => Effect.map(jobs.latest(realmUrl), Option.getOrThrow))
const html = Effect.flatMap(RealmIndexTable, (index) =>
  Effect.map(
    index.read(realmUrl, "ada.json"),
    (row) => Option.getOrUndefined(Option.map(row, ({ generation, isolatedHtml }) => ({ generation, isolatedHtml })))
  ))

describe("ReindexWorker", () => {
  it("waits longer after each failure, up to a minute, and never as long as the others", () => {
    assert.deepStrictEqual([1, 2, 3, 4].map((attempts) => backoffMillis(attempts, 0)), [1000, 2000, 4000, 8000])
    assert.strictEqual(backoffMillis(30, 0), 60_000)
    assert.strictEqual(backoffMillis(30, 1), 45_000)
  })

  it.effect("a job that fails is tried again when its time has come, and is dead after its last attempt", () =>
    Effect.gen(function*() {
      const options = { ...defaultWorker, maxAttempts: 3 }
      yield* published
      for (let attempt = 1; attempt <= 3; attempt++) {
        assert.isTrue(yield* work(options))
        assert.deepInclude(yield* latest, { attempts: attempt, error: "nobody is there" })
        // Not before its time.
        assert.isFalse(yield* work(options))
        yield* TestClock.adjust(backoffMillis(attempt, 0))
      }
      assert.strictEqual((yield* latest).state, "dead")
      assert.isFalse(yield* work(options))
      assert.strictEqual((yield* Counters).jobsFailed, 3)
    }).pipe(Effect.provide(inMemory({ read: unavailable, rendering: Effect.void }))))

  it.effect("a result is stored under its job's generation, with what it was made from", () =>
    Effect.gen(function*() {
      const generation = yield* published
      yield* work(defaultWorker)
      assert.deepStrictEqual(yield* html, { generation, isolatedHtml: `version ${generation}` })
      assert.deepInclude(yield* latest, { state: "done", indexed: 1, total: 1 })
    }).pipe(Effect.provide(inMemory({ read: reads, rendering: Effect.void }))))

  it.effect("a newer publish ends the running job, and its late result is not stored over the newer one's (I1)", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const goOn = yield* Deferred.make<void>()
      // The first rendering hangs and cannot be stopped.
      let first = true
      const rendering = Effect.suspend(() => {
        if (!first) return Effect.void
        first = false
        return Effect.uninterruptible(Effect.andThen(Deferred.succeed(begun, undefined), Deferred.await(goOn)))
      })
      yield* Effect.gen(function*() {
        yield* published
        const older = yield* Effect.forkChild(work(defaultWorker))
        yield* Deferred.await(begun)
        const generation = yield* published
        // The older one's worker has been gone for longer than its lease when the newer one's comes.
        yield* TestClock.adjust(defaultWorker.leaseMillis / 2)
        yield* (yield* JobTable).reap(8)
        const jobs = yield* JobTable
        const running = (yield* jobs.unfinished).filter((job) => job.state === "running")
        for (const { id } of running) assert.strictEqual(yield* jobs.renew(id, "somebody else", 1, undefined), "lost")
        yield* Deferred.succeed(goOn, undefined)
        yield* Fiber.join(older)
        assert.isTrue(yield* work(defaultWorker))
        assert.deepStrictEqual(yield* html, { generation, isolatedHtml: `version ${generation}` })
        assert.deepInclude(yield* latest, { state: "done", generation })
        assert.strictEqual((yield* Counters).jobsFailed, 0)
      }).pipe(Effect.provide(inMemory({ read: reads, rendering })))
    }))

  it.effect("a worker that stops puts its job back", () =>
    Effect.gen(function*() {
      const begun = yield* Deferred.make<void>()
      const rendering = Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
      yield* Effect.gen(function*() {
        yield* published
        const working = yield* Effect.forkChild(work(defaultWorker))
        yield* Deferred.await(begun)
        yield* Fiber.interrupt(working)
        assert.deepInclude(yield* latest, { state: "waiting", error: "its worker stopped" })
      }).pipe(Effect.provide(inMemory({ read: reads, rendering })))
    }))

  it.effect("a realm that is gone has nothing to be rendered", () =>
    Effect.gen(function*() {
      const generation = yield* published
      yield* (yield* RealmTable).retire(realmUrl, generation)
      assert.isTrue(yield* work(defaultWorker))
      assert.deepInclude(yield* latest, { state: "done" })
      assert.isUndefined(yield* html)
    }).pipe(Effect.provide(inMemory({ read: unavailable, rendering: Effect.void }))))
})
