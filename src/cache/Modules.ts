import { Context, Effect, Layer } from "effect"
import { Generations } from "../coordination/Generations.ts"
import { type DatabaseError, type FileFailure, FileNotFound, RealmNotFound } from "../domain/errors.ts"
import { isExecutable, isHidden } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import type { TranspileFailure } from "../transpile/Transpiler.ts"
import type { Answer } from "./CoherentCache.ts"
import { SourceCache } from "./SourceCache.ts"
import { type TranspiledModule, TranspiledModuleCache } from "./TranspiledModuleCache.ts"

/** Why there is no JavaScript. */
export type ModuleFailure = RealmNotFound | FileNotFound | FileFailure | TranspileFailure | DatabaseError

/**
 * A realm's modules as JavaScript, for hosts that read them in the process: what a request over HTTP is answered with, under
 * the same promise. No answer is from before a publish that has returned (I1).
 */
export class Modules extends Context.Service<Modules, {
  /** Reads a module by its path in the realm, with or without its extension. A file that is no module is not found. */
  readonly read: (realmUrl: RealmUrl, path: string) => Effect.Effect<Answer<TranspiledModule>, ModuleFailure>
}>()("lockstep/cache/Modules") {
  static readonly layer = Layer.effect(
    Modules,
    Effect.gen(function*() {
      const generations = yield* Generations
      const sources = yield* SourceCache
      const modules = yield* TranspiledModuleCache

      const ask = Effect.fnUntraced(function*(realmUrl: RealmUrl, path: string) {
        const [view] = yield* generations.view([realmUrl])
        if (view === undefined) return yield* new RealmNotFound({ realmUrl })
        if (isHidden(path)) return yield* new FileNotFound({ realmUrl, path })
        const source = yield* sources.read(view, path)
        if (!isExecutable(source.canonicalPath)) return yield* new FileNotFound({ realmUrl, path })
        return yield* modules.get(view, source)
      })

      return Modules.of({
        // In memory all is known at once, and nothing can change between the three looks. What is there was allowed.
        read: (realmUrl, path) =>
          Effect.suspend((): Effect.Effect<Answer<TranspiledModule>, ModuleFailure> => {
            const view = generations.held(realmUrl)
            const source = view && sources.held(view, path)
            const hit = source && modules.held(view, source)
            return hit === undefined ? ask(realmUrl, path) : Effect.succeed(hit)
          })
      })
    })
  )
}
