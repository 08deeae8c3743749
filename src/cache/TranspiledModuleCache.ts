import { Clock, Context, Effect, Layer, Option } from "effect"
import { Counters } from "../coordination/Counters.ts"
import { EventLog } from "../coordination/EventLog.ts"
import type { RealmView } from "../coordination/Generations.ts"
import { PopulateCoordinator } from "../coordination/PopulateCoordinator.ts"
import { sha256 } from "../domain/sha256.ts"
import { ModuleTranspileTable, type TranspiledRow } from "../store/ModuleTranspileTable.ts"
import { type TranspileFailure, Transpiler } from "../transpile/Transpiler.ts"
import { type Answer, type CacheKey, idOf, make } from "./CoherentCache.ts"
import { contentKey } from "./contentKey.ts"
import type { SourceFile } from "./SourceCache.ts"

/** A module as it is served. */
export interface TranspiledModule {
  /** JavaScript, UTF-8. */
  readonly body: Uint8Array
  /** Response headers that belong to the representation: `content-type` and a strong `etag`. */
  readonly headers: Readonly<Record<string, string>>
  /** Import specifiers, as written. */
  readonly dependencyKeys: ReadonlyArray<string>
}

interface Key extends CacheKey {
  readonly id: string
  readonly source: SourceFile
}

/** Rows larger than this stay out of L2: a database is no place for them. */
const maxSharedBytes = 8 * 1024 * 1024

/** Transpiled modules (S2 to S11), the first instance of the engine. */
export class TranspiledModuleCache extends Context.Service<TranspiledModuleCache, {
  /** The JavaScript of a module whose source was read under `view`. */
  readonly get: (view: RealmView, source: SourceFile) => Effect.Effect<Answer<TranspiledModule>, TranspileFailure>
  /** A hit in L1, counted like any other, at once. */
  readonly held: (view: RealmView, source: SourceFile) => Answer<TranspiledModule> | undefined
  /** What L1 holds, without a trace. */
  readonly peek: (view: RealmView, source: SourceFile) => Option.Option<TranspiledModule>
  /** Bytes in L1. */
  readonly bytes: () => number
  /** Transpiles under way here, those that wait for a worker included. */
  readonly making: () => number
}>()("lockstep/cache/TranspiledModuleCache") {
  static readonly layer = (capacityBytes: number) =>
    Layer.effect(
      TranspiledModuleCache,
      Effect.gen(function*() {
        const transpiler = yield* Transpiler
        const table = yield* ModuleTranspileTable
        const coordinator = yield* PopulateCoordinator
        const counters = yield* Counters
        const { record } = yield* EventLog
        let making = 0

        const transpile = ({ source, view }: Key) =>
          Effect.suspend(() => {
            counters.transpiles++
            making++
            return transpiler.transpile({
              group: view.row.realmUrl,
              path: source.canonicalPath,
              bytes: source.bytes
            })
          }).pipe(Effect.ensuring(Effect.sync(() => making--)))

        const compute = Effect.fnUntraced(
          function*(key: Key) {
            const began = yield* Clock.monotonicTimeNanos
            const told = (millis: number) => ({
              realmUrl: key.view.row.realmUrl,
              path: key.source.canonicalPath,
              generation: key.view.row.generation,
              millis
            })
            const elapsed = Effect.map(Clock.monotonicTimeNanos, (now) => Number(now - began) / 1e6)
            const made = yield* Effect.tapError(
              transpile(key),
              ({ message }) =>
                Effect.map(elapsed, (millis) => record({ kind: "failure", ...told(millis), detail: message }))
            )
            record({ kind: "transpile", ...told(yield* elapsed), via: "own" })
            return made
          },
          Effect.map(({ code, dependencies }): TranspiledModule => {
            const body = Buffer.from(code)
            return { body, headers: headersOf(body), dependencyKeys: dependencies }
          })
        )

        const engine = yield* make<Key, TranspiledModule, TranspileFailure, never>({
          flow: "transpile",
          capacityBytes,
          sizeOf: (module) => module.body.length + 512,
          coordinator,
          counters,
          compute,
          shared: {
            read: (realmUrl, path, key) => Effect.map(table.read(realmUrl, path, key), Option.map(fromRow)),
            write: (realmUrl, path, key, token, module) =>
              module.body.length > maxSharedBytes
                ? Effect.succeed(true)
                : table.writeAndKeep(realmUrl, path, key, token, toRow(module)),
            adopt: (realmUrl, path, key, token) =>
              table.adoptContent(realmUrl, path, key, token).pipe(
                Effect.map(Option.map(({ accepted, row }) => ({ accepted, value: fromRow(row) })))
              )
          }
        })

        // Files are immutable, of one realm, and shared by their readers: making these again would be most of what a hit costs.
        const known = new WeakMap<SourceFile, Omit<Key, "view">>()
        const keyOf = (view: RealmView, source: SourceFile): Key => {
          let key = known.get(source)
          if (key === undefined) {
            const path = source.canonicalPath
            key = {
              source,
              path,
              contentKey: contentKey(transpiler.fingerprint, path, source.hash),
              id: idOf({ view, path })
            }
            known.set(source, key)
          }
          return { view, ...key }
        }

        return TranspiledModuleCache.of({
          get: (view, source) => engine.get(keyOf(view, source)),
          held: (view, source) => engine.held(keyOf(view, source)),
          peek: (view, source) => engine.peek(keyOf(view, source)),
          bytes: engine.bytes,
          making: () => making
        })
      })
    )
}

const headersOf = (body: Uint8Array) => ({
  "content-type": "text/javascript; charset=utf-8",
  etag: `"js-${sha256(body).slice(0, 32)}"`
})

const fromRow = (row: TranspiledRow): TranspiledModule => ({
  body: Buffer.from(row.body),
  headers: row.headers,
  dependencyKeys: row.dependency_keys
})

const toRow = (module: TranspiledModule): TranspiledRow => ({
  body: Buffer.from(module.body.buffer, module.body.byteOffset, module.body.byteLength).toString("utf8"),
  headers: module.headers,
  dependency_keys: module.dependencyKeys
})
