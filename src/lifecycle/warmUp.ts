import { Effect, Latch, Layer, Queue, Result } from "effect"
import { SourceCache } from "../cache/SourceCache.ts"
import { TranspiledModuleCache } from "../cache/TranspiledModuleCache.ts"
import { Generations } from "../coordination/Generations.ts"
import { Background } from "../domain/Background.ts"
import { importedPaths } from "../domain/imports.ts"
import { isExecutable } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { ModuleTranspileTable } from "../store/ModuleTranspileTable.ts"
import { Invalidation } from "./Invalidation.ts"

/** Modules of one publication that are made ahead. */
const maxModules = 10_000

/** Realms whose turn has not come; more are not taken: a warm-up only saves time. */
const maxRealms = 100

const pause = "100 millis"

const atATime = 4

/**
 * Makes the modules of a publication before they are asked for: those that had been asked for before, of it or of its
 * source, and what they import, along the graph. Ends when the realm moves on.
 */
export const warmUp = Effect.fn("warmUp")(function*(realmUrl: RealmUrl) {
  const generations = yield* Generations
  const modules = yield* TranspiledModuleCache
  const sources = yield* SourceCache
  const table = yield* ModuleTranspileTable

  const [published] = yield* generations.view([realmUrl])
  if (published?.row.kind !== "published") return
  const { generation, sourceUrl } = published.row

  /** What the module imports; nothing where it cannot be had, or is another generation's by now. */
  const make = Effect.fnUntraced(function*(path: string) {
    const [view] = yield* generations.view([realmUrl])
    if (view?.row.generation !== generation) return []
    const source = yield* Effect.result(sources.read(view, path))
    if (Result.isFailure(source) || !isExecutable(source.success.canonicalPath)) return []
    const made = yield* Effect.result(modules.get(view, source.success))
    if (Result.isFailure(made)) return []
    return importedPaths(realmUrl, source.success.canonicalPath, made.success.value.dependencyKeys)
  })

  const seen = new Set(yield* table.used(sourceUrl === null ? [realmUrl] : [realmUrl, sourceUrl], maxModules))
  let wave: ReadonlyArray<string> = Array.from(seen)
  while (wave.length > 0) {
    const imported = yield* Effect.forEach(wave, (path) =>
      // A latch each: a reader who joins in hurries that module only.
      Effect.suspend(() => Effect.provideService(make(path), Background, Latch.makeUnsafe(false))), {
      concurrency: atATime
    })
    wave = Array.from(new Set(imported.flat())).filter((path) => !seen.has(path)).slice(0, maxModules - seen.size)
    for (const path of wave) seen.add(path)
  }
})

/** Warms up what this replica has published, one realm after the other, when the publish itself is over. */
export const layerWarmUp = Layer.effectDiscard(Effect.gen(function*() {
  const invalidation = yield* Invalidation
  const published = new Set<RealmUrl>()
  const signals = yield* Queue.dropping<void>(1)
  yield* invalidation.subscribe(({ paths, realmUrl }) => {
    if (paths !== "*" || published.size >= maxRealms) return
    published.add(realmUrl)
    Queue.offerUnsafe(signals, undefined)
  })
  const warmUpAll = Effect.gen(function*() {
    yield* Queue.take(signals)
    // The publisher waits for acknowledgements now, and another publish may follow at once.
    yield* Effect.sleep(pause)
    for (const realmUrl of published) {
      published.delete(realmUrl)
      // A defect too: what only saves time must not stop for good.
      yield* Effect.catchCause(
        warmUp(realmUrl),
        (cause) => Effect.logWarning(`${realmUrl} was not warmed up; its readers do it`, cause)
      )
    }
  })
  yield* Effect.forkScoped(Effect.forever(warmUpAll))
}))
