import { Context, Effect, Layer } from "effect"
import { make, type CacheKey } from "../cache/CoherentCache.ts"
import { contentKey } from "../cache/contentKey.ts"
import type { SourceFile } from "../cache/SourceCache.ts"
import { Counters } from "../coordination/Counters.ts"
import type { RealmView } from "../coordination/Generations.ts"
import { PopulateCoordinator } from "../coordination/PopulateCoordinator.ts"
import { type DefinitionsRow, ModuleTable } from "../store/ModuleTable.ts"
import { type TranspileFailure, Transpiler } from "../transpile/Transpiler.ts"

interface Key extends CacheKey {
  readonly source: SourceFile
}

/** What modules' exports are, the second instance of the engine. */
export class DefinitionLookup extends Context.Service<DefinitionLookup, {
  /** The name and kind of each export of a module, and what it depends on. A module that does not parse has an error. */
  readonly getCachedDefinitions: (
    view: RealmView,
    source: SourceFile
  ) => Effect.Effect<DefinitionsRow, TranspileFailure>
}>()("lockstep/definitions/DefinitionLookup") {
  static readonly layer = (capacityBytes: number) =>
    Layer.effect(
      DefinitionLookup,
      Effect.gen(function*() {
        const transpiler = yield* Transpiler
        const shared = yield* ModuleTable
        const coordinator = yield* PopulateCoordinator
        // Counted apart from modules: `/_status` speaks of transpiles.
        const counters = yield* Effect.provide(Counters, Counters.layer)

        const compute = ({ source, view }: Key) =>
          transpiler.analyze({
            group: view.row.realmUrl,
            path: source.canonicalPath,
            bytes: source.bytes
          }).pipe(
            Effect.map((analysis): DefinitionsRow => ({
              definitions: analysis.exports.map(({ from, kind, name }) => ({
                name,
                kind,
                ...(from === undefined ? {} : { from })
              })),
              dependency_keys: analysis.dependencies,
              error: null
            })),
            Effect.catchTag("TranspileError", ({ column, detail, line }) =>
              Effect.succeed<DefinitionsRow>({
                definitions: [],
                dependency_keys: [],
                error: { detail, line: line ?? null, column: column ?? null }
              }))
          )

        const engine = yield* make<Key, DefinitionsRow, TranspileFailure, never>({
          flow: "definitions",
          capacityBytes,
          sizeOf: (row) => 64 * (row.definitions.length + row.dependency_keys.length) + 256,
          coordinator,
          counters,
          compute,
          shared
        })

        return DefinitionLookup.of({
          getCachedDefinitions: (view, source) =>
            Effect.map(
              engine.get({
                view,
                source,
                path: source.canonicalPath,
                contentKey: contentKey(`definitions ${transpiler.fingerprint}`, source.canonicalPath, source.hash)
              }),
              ({ value }) => value
            )
        })
      })
    )
}
