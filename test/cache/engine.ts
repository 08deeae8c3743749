import { Context, Deferred, Effect, Layer, Option, Scope } from "effect"
import { type CacheKey, type CoherentCache, make } from "../../src/cache/CoherentCache.ts"
import { Counters } from "../../src/coordination/Counters.ts"
import { Fence } from "../../src/coordination/Fence.ts"
import type { RealmView } from "../../src/coordination/Generations.ts"
import { PopulateCoordinator } from "../../src/coordination/PopulateCoordinator.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { ModuleTranspileTable, type TranspiledRow } from "../../src/store/ModuleTranspileTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"

export const realmUrl = "http://test.example/realm/" as RealmUrl

export const valueOf = (body: string): TranspiledRow => ({ body, headers: {}, dependency_keys: [] })

/** One run of the work that the engine shares: told of when it starts, and ended by the test. */
export interface Run {
  readonly path: string
  readonly contentKey: string
  readonly done: Deferred.Deferred<TranspiledRow, string>
  stopped: boolean
}

/** Replicas of one realm: each has an engine and a fence of its own; tables and coordinator are shared. */
export class Fleet extends Context.Service<Fleet, {
  readonly table: ModuleTranspileTable["Service"]
  readonly coordinator: PopulateCoordinator["Service"]
  /** Moves the realm on and buries the path, or voids all of it; replicas that hear it at once are given. */
  readonly invalidate: (path: string, hearing: ReadonlyArray<Replica>) => Effect.Effect<void>
  readonly replica: (overrides?: Overrides) => Effect.Effect<Replica>
}>()("lockstep/test/cache/Fleet") {
  static readonly layer = Layer.effect(Fleet, Effect.suspend(() => makeFleet)).pipe(
    Layer.provide(Layer.mergeAll(
      Layer.mergeAll(RealmTable.layerMemory, ModuleTranspileTable.layerMemory).pipe(
        Layer.provide(MemoryDatabase.layer)
      ),
      PopulateCoordinator.layerMemory
    ))
  )
}

export interface Overrides {
  readonly shared?: Partial<ModuleTranspileTable["Service"]>
  readonly coordinator?: Partial<PopulateCoordinator["Service"]>
  readonly capacityBytes?: number
  /** What a run that is stopped does before it ends. */
  readonly lingers?: Effect.Effect<void>
  /** The engine's life; that of the fleet if not given. */
  readonly scope?: Scope.Scope
}

export interface Replica {
  readonly fence: Fence
  readonly engine: CoherentCache<CacheKey, TranspiledRow, string>
  readonly counters: Counters["Service"]
  /** Runs in the order in which they started. */
  readonly runs: ReadonlyArray<Run>
  /** Waits until the run with this index has started. */
  readonly started: (index: number) => Effect.Effect<Run>
  /** What a request that begins now asks for: the generation is read, then the bytes. */
  readonly key: (path: string, contentKey?: string) => Effect.Effect<CacheKey>
  readonly get: (path: string, contentKey?: string) => ReturnType<CoherentCache<CacheKey, TranspiledRow, string>["get"]>
}

const makeFleet = Effect.gen(function*() {
  const coordinator = yield* PopulateCoordinator
  const realms = yield* RealmTable
  const table = yield* ModuleTranspileTable
  const scope = yield* Effect.scope
  yield* Effect.orDie(realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0))

  const view = Effect.fnUntraced(function*(fence: Fence) {
    const { incarnation, realms: [row] } = yield* Effect.orDie(realms.read([realmUrl]))
    return yield* row === undefined
      ? Effect.die("the realm is missing")
      : Effect.succeed<RealmView>({ row, incarnation, fence, token: fence.capture() })
  })

  const replica = Effect.fnUntraced(function*(overrides: Overrides = {}) {
    const counters = yield* Effect.provide(Counters, Layer.fresh(Counters.layer))
    const fence = new Fence()
    const runs: Array<Run> = []
    const starts: Array<Deferred.Deferred<Run>> = []
    const startAt = (index: number) => starts[index] ??= Deferred.makeUnsafe<Run>()
    const engine = yield* make<CacheKey, TranspiledRow, string, never>({
      flow: "transpile",
      capacityBytes: overrides.capacityBytes ?? 1_000_000,
      sizeOf: ({ body }) => body.length,
      shared: { ...table, ...overrides.shared },
      coordinator: { ...coordinator, ...overrides.coordinator },
      counters,
      compute: ({ contentKey, path }) =>
        Effect.suspend(() => {
          const run: Run = { path, contentKey, done: Deferred.makeUnsafe(), stopped: false }
          const begun = Effect.suspend(() => {
            Deferred.doneUnsafe(startAt(runs.push(run) - 1), Effect.succeed(run))
            return Deferred.await(run.done)
          })
          return Effect.onInterrupt(begun, () =>
            Effect.andThen(Effect.sync(() => run.stopped = true), overrides.lingers ?? Effect.void))
        })
    }).pipe(Scope.provide(overrides.scope ?? scope))
    const key = (path: string, contentKey = `${path} 1`) =>
      Effect.map(view(fence), (seen): CacheKey => ({ view: seen, path, contentKey }))
    return {
      fence,
      engine,
      counters,
      runs,
      started: (index: number) => Deferred.await(startAt(index)),
      key,
      get: (path: string, contentKey?: string) => Effect.flatMap(key(path, contentKey), engine.get)
    }
  })

  return Fleet.of({
    table,
    coordinator,
    replica,
    invalidate: Effect.fnUntraced(function*(path, hearing) {
      const { row: { generation } } = yield* view(new Fence())
      const next = yield* Effect.orDie(realms.advance(realmUrl, generation, path === "*" ? "realm" : "paths"))
      if (path !== "*") yield* Effect.orDie(table.bury(realmUrl, [path], Option.getOrThrow(next)))
      for (const { fence } of hearing) {
        if (path === "*") fence.drop()
        else fence.invalidate(path)
      }
    })
  })
})
