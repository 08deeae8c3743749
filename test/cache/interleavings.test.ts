import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Random } from "effect"
import { type CacheKey, make } from "../../src/cache/CoherentCache.ts"
import { Barrier } from "../../src/coordination/Barrier.ts"
import { Counters } from "../../src/coordination/Counters.ts"
import { Fence } from "../../src/coordination/Fence.ts"
import { Generations } from "../../src/coordination/Generations.ts"
import { MemoryBus } from "../../src/coordination/MemoryBus.ts"
import { Notifications } from "../../src/coordination/Notifications.ts"
import { PopulateCoordinator } from "../../src/coordination/PopulateCoordinator.ts"
import { RealmWriteLock } from "../../src/coordination/RealmWriteLock.ts"
import { ReindexQueue } from "../../src/coordination/ReindexQueue.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { Invalidation } from "../../src/lifecycle/Invalidation.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { JobTable } from "../../src/store/JobTable.ts"
import { ModuleTable } from "../../src/store/ModuleTable.ts"
import { ModuleTranspileTable } from "../../src/store/ModuleTranspileTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { ReplicaTable } from "../../src/store/ReplicaTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { inspect } from "node:util"
import { runSeeded } from "../support/seededScheduler.ts"
import { memoryLease, neverHeld } from "../coordination/leases.ts"
import { valueOf } from "./engine.ts"

const realmUrl = "http://test.example/realm/" as RealmUrl
const paths = ["a.ts", "b.ts"]

const shared = Layer.mergeAll(
  Layer.mergeAll(
    JobTable.layerMemory,
    ModuleTable.layerMemory,
    ModuleTranspileTable.layerMemory,
    RealmTable.layerMemory,
    ReplicaTable.layerMemory,
    Transaction.layerMemory
  ).pipe(Layer.provideMerge(MemoryDatabase.layer)),
  MemoryBus.layer,
  PopulateCoordinator.layerMemory,
  RealmWriteLock.layerMemory
)

const pick = <A>(all: ReadonlyArray<A>) =>
  Effect.map(Random.nextIntBetween(0, all.length - 1), (index) => all[index] as A)

const pause = Effect.flatMap(
  Random.nextIntBetween(0, 4),
  (times) => Effect.forEach(Array.from({ length: times }), () => Effect.yieldNow, { discard: true })
)

/** How replicas know what a realm is at: every read asks, or memory answers under a lease and writers wait for it. */
const modes = {
  "every read asks": Layer.mergeAll(neverHeld, Counters.layer),
  "memory answers under a lease": memoryLease("replica")
}
type Mode = keyof typeof modes

/** Two replicas of one realm whose files are counters, and all that is observed of them. */
const makeWorld = Effect.fnUntraced(function*(mode: Mode) {
  const realms = yield* RealmTable
  const lock = yield* RealmWriteLock
  yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
  const files = new Map(paths.map((path) => [path, 1]))
  // What a request that begins now must not be older than.
  const acknowledged = new Map(files)
  const executions = new Map<string, number>()
  const stale: Array<string> = []
  let working = 0

  const replica = Effect.gen(function*() {
    const context = yield* Layer.build(Layer.fresh(Invalidation.layer.pipe(
      Layer.provide(ReindexQueue.layer),
      Layer.provideMerge(Barrier.layer),
      Layer.provideMerge(Generations.layer()),
      Layer.provideMerge(Notifications.layerMemory),
      Layer.provideMerge(modes[mode])
    )))
    const barrier = yield* Effect.provide(Barrier, context)
    const generations = yield* Effect.provide(Generations, context)
    const invalidation = yield* Effect.provide(Invalidation, context)
    const engine = yield* make<CacheKey, ReturnType<typeof valueOf>, never, never>({
      flow: "transpile",
      capacityBytes: 1_000_000,
      sizeOf: () => 1,
      shared: yield* ModuleTranspileTable,
      coordinator: yield* PopulateCoordinator,
      counters: yield* Effect.provide(Counters, context),
      // Reads the file itself, so that nothing but the fences keeps what is old from being kept.
      compute: ({ path }) =>
        Effect.acquireUseRelease(
          Effect.sync(() => working++),
          Effect.fnUntraced(function*() {
            yield* pause
            const version = files.get(path)
            executions.set(`${path} ${version}`, (executions.get(`${path} ${version}`) ?? 0) + 1)
            yield* (yield* Random.nextBoolean) ? pause : Effect.sleep(yield* Random.nextIntBetween(1, 300))
            return valueOf(`${version}`)
          }),
          () => Effect.sync(() => working--)
        )
    })

    const get = Effect.fnUntraced(function*(path: string) {
      yield* pause
      const least = acknowledged.get(path) ?? 0
      const [view] = yield* generations.view([realmUrl])
      if (view === undefined) return yield* Effect.die("the realm is missing")
      yield* pause
      const { origin, value } = yield* engine.get({ view, path, contentKey: "" })
      if (Number(value.body) < least) stale.push(`${path}: ${value.body} (${origin}), where ${least} was acknowledged`)
      return Number(value.body)
    })

    const edit = Effect.fnUntraced(function*(path: string) {
      yield* pause
      const { change, version } = yield* lock.withLock(realmUrl)(Effect.gen(function*() {
        const { realms: [row] } = yield* realms.read([realmUrl])
        if (row === undefined) return yield* Effect.die("the realm is missing")
        const version = (files.get(path) ?? 0) + 1
        files.set(path, version)
        yield* pause
        return {
          version,
          change: yield* invalidation.commit(row, (yield* Random.nextBoolean) ? [path] : "realm", "call")
        }
      }))
      const acknowledge = Effect.sync(() => acknowledged.set(path, Math.max(version, acknowledged.get(path) ?? 0)))
      // Where every read asks, nobody needs to be told: what is committed is seen.
      yield* mode === "every read asks"
        ? Effect.andThen(acknowledge, barrier.announce(change))
        : Effect.andThen(barrier.confirm(change), acknowledge)
    })
    return { get, edit }
  })

  const replicas = [yield* replica, yield* replica]
  return { replicas, acknowledged, executions, stale, working: () => working }
})

const worldOf = (mode: Mode) =>
<A, E>(
  test: (world: Effect.Success<ReturnType<typeof makeWorld>>) => Effect.Effect<A, E>
) => Effect.scoped(Effect.flatMap(makeWorld(mode), test)).pipe(Effect.provide(Layer.fresh(shared)))

const forEverySeed = <A, E>(count: number, program: Effect.Effect<A, E>, preempt = 0.2) => {
  for (let seed = 1; seed <= count; seed++) {
    const { exit, steps } = runSeeded(seed, program, { preempt })
    assert.isDefined(exit, `seed ${seed} hangs after ${steps} steps`)
    assert.isTrue(exit !== undefined && Exit.isSuccess(exit), `seed ${seed}: ${inspect(exit)}`)
  }
}

describe.each(Object.keys(modes) as Array<Mode>)("over every interleaving that a seed picks, on two replicas: %s", {
  timeout: 60_000
}, (mode) => {
  const world = worldOf(mode)

  it("without edits each path is computed once, and everybody gets it", () => {
    forEverySeed(
      100,
      world(Effect.fnUntraced(function*({ executions, replicas }) {
        const readers = Array.from({ length: 12 }, (_, index) => paths[index % 2] ?? "")
        yield* Effect.forEach(
          readers,
          (path) => Effect.flatMap(pick(replicas), (replica) => replica.get(path)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(executions, new Map([["a.ts 1", 1], ["b.ts 1", 1]]))
      }))
    )
  })

  it("no answer is older than what was acknowledged when its request began (I1)", () => {
    forEverySeed(
      100,
      world(Effect.fnUntraced(function*({ acknowledged, replicas, stale }) {
        const reader = Effect.gen(function*() {
          for (let round = 0; round < 4; round++) yield* (yield* pick(replicas)).get(yield* pick(paths))
        })
        const writer = Effect.gen(function*() {
          for (let round = 0; round < 3; round++) yield* (yield* pick(replicas)).edit(yield* pick(paths))
        })
        yield* Effect.all([reader, reader, reader, reader, writer, writer], { concurrency: "unbounded" })
        // When everything is quiet, all agree (I6).
        for (const path of paths) {
          for (const replica of replicas) assert.strictEqual(yield* replica.get(path), acknowledged.get(path))
        }
        assert.deepStrictEqual(stale, [])
      }))
    )
  })

  it("readers and writers that are interrupted anywhere leave nothing behind that anybody waits for", () => {
    forEverySeed(
      100,
      world(Effect.fnUntraced(function*({ acknowledged, replicas, stale, working }) {
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        for (let index = 0; index < 10; index++) {
          const replica = yield* pick(replicas)
          const path = yield* pick(paths)
          fibers.push(yield* Effect.forkChild(index % 4 === 0 ? replica.edit(path) : replica.get(path)))
        }
        for (const fiber of fibers) {
          yield* pause
          if ((yield* Random.nextIntBetween(0, 9)) < 7) yield* Effect.forkChild(Fiber.interrupt(fiber))
        }
        for (const fiber of fibers) yield* Fiber.await(fiber)
        // The last waiter's leaving stopped the work (S4).
        assert.strictEqual(working(), 0)
        for (const path of paths) {
          for (const replica of replicas) {
            const read = yield* Effect.timeout(replica.get(path), "2 seconds")
            assert.isAtLeast(read, acknowledged.get(path) ?? 0)
          }
          yield* Effect.timeout((yield* pick(replicas)).edit(path), "2 seconds")
        }
        assert.deepStrictEqual(stale, [])
      }))
    )
  })
})

describe("over every point at which a seed interrupts readers", () => {
  it("work that nobody waits for any more has stopped, and the next reader gets work of its own (S4)", () => {
    forEverySeed(
      200,
      Effect.gen(function*() {
        const realms = yield* RealmTable
        yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
        const { incarnation, realms: [row] } = yield* realms.read([realmUrl])
        if (row === undefined) return yield* Effect.die("the realm is missing")
        const fence = new Fence()
        let working = 0
        let last = false
        const engine = yield* make<CacheKey, ReturnType<typeof valueOf>, never, never>({
          flow: "transpile",
          capacityBytes: 1_000_000,
          sizeOf: () => 1,
          shared: yield* ModuleTranspileTable,
          coordinator: yield* PopulateCoordinator,
          counters: yield* Counters,
          compute: () =>
            last ? Effect.succeed(valueOf("last")) : Effect.acquireUseRelease(
              Effect.sync(() => working++),
              () => Effect.never,
              () => Effect.sync(() => working--)
            )
        })
        const get = engine.get({
          view: { row, incarnation, fence, token: fence.capture() },
          path: "a.ts",
          contentKey: ""
        })
        const readers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(get))
        for (const reader of readers) {
          for (let turn = yield* Random.nextIntBetween(0, 30); turn > 0; turn--) yield* Effect.yieldNow
          yield* Fiber.interrupt(reader)
        }
        assert.strictEqual(working, 0)
        last = true
        assert.strictEqual((yield* Effect.timeout(get, "1 second")).value.body, "last")
      }).pipe(Effect.scoped, Effect.provide(Layer.fresh(Layer.mergeAll(shared, Counters.layer)))),
      0.9
    )
  })
})
