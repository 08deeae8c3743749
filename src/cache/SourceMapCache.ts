import { Context, Effect, Layer } from "effect"
import { Counters } from "../coordination/Counters.ts"
import type { RealmView } from "../coordination/Generations.ts"
import { PopulateCoordinator } from "../coordination/PopulateCoordinator.ts"
import { sha256 } from "../domain/sha256.ts"
import { type TranspileFailure, Transpiler } from "../transpile/Transpiler.ts"
import { type Answer, type CacheKey, make } from "./CoherentCache.ts"
import { contentKey } from "./contentKey.ts"
import type { SourceFile } from "./SourceCache.ts"

/** A module's source map as it is served. */
export interface ModuleSourceMap {
  /** JSON, UTF-8. */
  readonly body: Uint8Array
  /** Strong. */
  readonly etag: string
}

interface Key extends CacheKey {
  readonly source: SourceFile
}

/**
 * Source maps, the engine's third instance: made when they are asked for, from the same bytes by the same pipeline as the
 * module (the content key says so), and fenced like it. Who debugs asks for few, and once: they stay in this process.
 */
export class SourceMapCache extends Context.Service<SourceMapCache, {
  /** The map of a module whose source was read under `view`. */
  readonly get: (view: RealmView, source: SourceFile) => Effect.Effect<Answer<ModuleSourceMap>, TranspileFailure>
}>()("lockstep/cache/SourceMapCache") {
  static readonly layer = (capacityBytes: number) =>
    Layer.effect(
      SourceMapCache,
      Effect.gen(function*() {
        const transpiler = yield* Transpiler
        const engine = yield* make<Key, ModuleSourceMap, TranspileFailure, never>({
          flow: "map",
          capacityBytes,
          sizeOf: ({ body }) => body.length + 256,
          coordinator: yield* PopulateCoordinator,
          counters: yield* Counters,
          compute: ({ source: { bytes, canonicalPath }, view }) =>
            Effect.map(
              transpiler.map({ group: view.row.realmUrl, path: canonicalPath, bytes }),
              ({ map }): ModuleSourceMap => {
                const body = Buffer.from(map)
                return { body, etag: `"map-${sha256(body).slice(0, 32)}"` }
              }
            ),
          shared: { read: () => Effect.succeedNone, write: () => Effect.succeed(true) }
        })
        return SourceMapCache.of({
          get: (view, source) =>
            engine.get({
              view,
              source,
              path: source.canonicalPath,
              contentKey: contentKey(transpiler.fingerprint, source.canonicalPath, source.hash)
            })
        })
      })
    ).pipe(
      // Nothing is shared with other replicas, so there is nothing to wait for; and readers of maps are no hits of modules.
      Layer.provide(Layer.merge(PopulateCoordinator.layerNone, Layer.fresh(Counters.layerApart)))
    )
}
