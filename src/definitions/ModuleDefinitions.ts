import { Clock, Context, Effect, Layer, Option } from "effect"
import { type CacheKey, make } from "../cache/CoherentCache.ts"
import { contentKey } from "../cache/contentKey.ts"
import type { SourceFile } from "../cache/SourceCache.ts"
import { Counters } from "../coordination/Counters.ts"
import type { RealmView } from "../coordination/Generations.ts"
import { PopulateCoordinator } from "../coordination/PopulateCoordinator.ts"
import type { DatabaseError, FileFailure } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { type DefinitionsRow, ModuleTable } from "../store/ModuleTable.ts"
import { type TranspileFailure, Transpiler } from "../transpile/Transpiler.ts"
import { assembleModule } from "./assembleModule.ts"
import { DefinitionGuard, type GuardToken } from "./DefinitionGuard.ts"
import { Dependencies } from "./Dependencies.ts"
import { ModuleAnalyses } from "./ModuleAnalyses.ts"

/** A module whose source was read under `view`, and whose view of the realms it was. */
export interface ModuleInView {
  readonly view: RealmView
  readonly source: SourceFile
  readonly scope: string
}

interface Key extends CacheKey, ModuleInView {
  readonly scope: string
}

/** A row, and the state of the guard before anything of it was read. */
interface Made {
  readonly row: DefinitionsRow
  readonly guard: GuardToken
}

/** What goes wrong on the way, and is not kept. */
export type DefinitionFailure = TranspileFailure | DatabaseError | FileFailure

/** Part of the content key: rows of another version are not read. Raised whenever what is assembled changes. */
const version = "definitions 3"

/** How often a value that turns out void is asked for again before it is made aside from the cache. */
const attempts = 10

/**
 * Assembled definitions, module by module: the second instance of the engine. Beyond what the engine checks, a value is
 * an answer only while every module that it was made from is what it was (rule 12), while no message voided it (S21), and
 * with errors in it, for 30 seconds (S25).
 */
export class ModuleDefinitions extends Context.Service<ModuleDefinitions, {
  readonly get: (module: ModuleInView) => Effect.Effect<DefinitionsRow, DefinitionFailure>
  /** What this replica's memory has, if it is valid. Nothing is made, counted or kept. */
  readonly peek: (module: ModuleInView) => Effect.Effect<Option.Option<DefinitionsRow>, DatabaseError | FileFailure>
  /** The same of rows in the shared table, all by one query, in order. */
  readonly shared: (
    modules: ReadonlyArray<ModuleInView>
  ) => Effect.Effect<ReadonlyArray<Option.Option<DefinitionsRow>>, DatabaseError | FileFailure>
}>()("lockstep/definitions/ModuleDefinitions") {
  static readonly layer = (capacityBytes: number) =>
    Layer.effect(
      ModuleDefinitions,
      Effect.gen(function*() {
        const analyses = yield* ModuleAnalyses
        const coordinator = yield* PopulateCoordinator
        const counters = yield* Counters
        const dependencies = yield* Dependencies
        const guard = yield* DefinitionGuard
        const table = yield* ModuleTable
        const transpiler = yield* Transpiler

        const holds = Effect.fnUntraced(function*(row: DefinitionsRow, realmUrl: RealmUrl) {
          if (row.expires_at !== null && (yield* Clock.currentTimeMillis) >= row.expires_at) return false
          return yield* dependencies.hold(row.dependencies, realmUrl)
        })
        const stillHolds = ({ path, view }: Key, made: Made) =>
          guard.holds(made.guard, view.row.realmUrl, path) ? holds(made.row, view.row.realmUrl) : Effect.succeed(false)

        const compute = ({ scope, source, view }: Key) =>
          Effect.suspend(() => {
            counters.definitionsComputed++
            const token = guard.capture(view.row.realmUrl)
            return Effect.map(assembleModule(view, source, scope), (row): Made => ({ row, guard: token }))
          }).pipe(
            Effect.provideService(ModuleAnalyses, analyses),
            Effect.provideService(Dependencies, dependencies)
          )

        const engine = yield* make<Key, Made, DefinitionFailure, never>({
          flow: "definitions",
          capacityBytes,
          sizeOf: ({ row }) => sizeOf(row),
          coordinator,
          counters: countedApart(counters),
          compute,
          shared: {
            read: Effect.fnUntraced(function*(realmUrl, path, key) {
              const token = guard.capture(realmUrl)
              const row = yield* table.read(realmUrl, path, key)
              if (Option.isNone(row)) return Option.none<Made>()
              // A dependency that cannot be read now makes no row wrong; it is read again where it is needed.
              const valid = yield* Effect.catchTag(
                holds(row.value, realmUrl as RealmUrl),
                "FileFailure",
                () => Effect.succeed(false)
              )
              return valid ? Option.some<Made>({ row: row.value, guard: token }) : Option.none<Made>()
            }),
            write: (realmUrl, path, key, token, made) => table.write(realmUrl, path, key, token, made.row)
          }
        })

        const keyOf = ({ scope, source, view }: ModuleInView): Key => ({
          view,
          source,
          scope,
          path: source.canonicalPath,
          // The scope is part of what the row is made from: one user's row is no hit for another.
          contentKey: contentKey(
            `${version} ${transpiler.fingerprint} ${scope}`,
            source.canonicalPath,
            source.hash
          )
        })

        const get = Effect.fn("ModuleDefinitions.get")(function*(module: ModuleInView) {
          const key = keyOf(module)
          for (let attempt = 0; attempt < attempts; attempt++) {
            const { origin, value } = yield* engine.get(key)
            // Made for this reader, or compared with the present a moment ago.
            if (origin === "computed" || origin === "l2") return value.row
            if (yield* stillHolds(key, value)) {
              if (origin === "l1") counters.definitionHits++
              return value.row
            }
            if (origin === "l1") counters.definitionsInvalidated++
            engine.discard(key, value)
          }
          return (yield* compute(key)).row
        })

        const peek = Effect.fnUntraced(function*(module: ModuleInView) {
          const key = keyOf(module)
          const made = engine.peek(key)
          return Option.isSome(made) && (yield* stillHolds(key, made.value))
            ? Option.some(made.value.row)
            : Option.none<DefinitionsRow>()
        })

        const shared = Effect.fnUntraced(function*(modules: ReadonlyArray<ModuleInView>) {
          const keys = modules.map((module) => {
            const { contentKey, path, view } = keyOf(module)
            return { realmUrl: view.row.realmUrl, path, contentKey }
          })
          const rows = yield* table.readMany(keys)
          const valid: Array<Option.Option<DefinitionsRow>> = []
          for (const [index, row] of rows.entries()) {
            const realmUrl = keys[index]?.realmUrl
            const holding = Option.isSome(row) && realmUrl !== undefined && (yield* holds(row.value, realmUrl))
            valid.push(holding ? row : Option.none())
          }
          return valid
        })

        return ModuleDefinitions.of({ get, peek, shared })
      })
    )
}

/** The engine's hits are those of modules in `/_status`; what concerns the shared table is told of both. */
const countedApart = (counters: Counters["Service"]): Counters["Service"] => ({
  ...counters,
  get l2Errors() {
    return counters.l2Errors
  },
  set l2Errors(count) {
    counters.l2Errors = count
  },
  get l2WriteRejected() {
    return counters.l2WriteRejected
  },
  set l2WriteRejected(count) {
    counters.l2WriteRejected = count
  }
})

/** About what it takes in memory: objects of a few short strings. */
const sizeOf = ({ definitions, dependencies, dependency_keys }: DefinitionsRow): number =>
  definitions.reduce(
    (bytes, each) => bytes + 256 + ("members" in each ? 320 * (each.members?.length ?? 0) : 0),
    512 + 384 * dependencies.length + 64 * dependency_keys.length
  )
