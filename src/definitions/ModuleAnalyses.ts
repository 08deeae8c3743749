import { Context, Effect, Layer } from "effect"
import { type CacheKey, make } from "../cache/CoherentCache.ts"
import { contentKey } from "../cache/contentKey.ts"
import type { SourceFile } from "../cache/SourceCache.ts"
import { Counters } from "../coordination/Counters.ts"
import type { RealmView } from "../coordination/Generations.ts"
import { PopulateCoordinator } from "../coordination/PopulateCoordinator.ts"
import { type ModuleAnalysis, type TranspileFailure, Transpiler } from "../transpile/Transpiler.ts"

interface Key extends CacheKey {
  readonly source: SourceFile
}

/**
 * What single modules say of themselves, in this replica's memory: an instance of the engine without the shared tier. A
 * module is parsed again in milliseconds; what replicas share is the assembled result.
 */
export class ModuleAnalyses extends Context.Service<ModuleAnalyses, {
  readonly get: (view: RealmView, source: SourceFile) => Effect.Effect<ModuleAnalysis, TranspileFailure>
}>()("lockstep/definitions/ModuleAnalyses") {
  static readonly layer = (capacityBytes: number) =>
    Layer.effect(
      ModuleAnalyses,
      Effect.gen(function*() {
        const transpiler = yield* Transpiler
        const engine = yield* make<Key, ModuleAnalysis, TranspileFailure, never>({
          flow: "analyze",
          capacityBytes,
          sizeOf,
          // Nobody else's: neither its hits nor its runs are what `/_status` speaks of.
          counters: yield* Effect.provide(Counters, Layer.fresh(Counters.layerApart)),
          coordinator: yield* Effect.provide(PopulateCoordinator, PopulateCoordinator.layerNone),
          compute: ({ source, view }) =>
            transpiler.analyze({ group: view.row.realmUrl, path: source.canonicalPath, bytes: source.bytes }),
          shared: { read: () => Effect.succeedNone, write: () => Effect.succeed(true) }
        })
        return ModuleAnalyses.of({
          get: (view, source) =>
            Effect.map(
              engine.get({
                view,
                source,
                path: source.canonicalPath,
                contentKey: contentKey(`analysis ${transpiler.fingerprint}`, source.canonicalPath, source.hash)
              }),
              ({ value }) => value
            )
        })
      })
    )
}

/** About what it takes in memory: objects of a few short strings. */
const sizeOf = ({ classes, dependencies, exports }: ModuleAnalysis): number => {
  let members = 0
  for (const shape of classes.values()) members += 1 + shape.members.length
  return 512 + 256 * (exports.length + members) + 64 * dependencies.length
}
