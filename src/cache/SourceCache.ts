import { Context, Effect, Layer } from "effect"
import { LRUCache } from "lru-cache"
import type { Fence } from "../coordination/Fence.ts"
import type { RealmView } from "../coordination/Generations.ts"
import type { FileFailure, FileNotFound } from "../domain/errors.ts"
import { l1Bytes, l1MaxBytes, liveGauge } from "../domain/Metrics.ts"
import { aliasCandidates } from "../domain/ModulePath.ts"
import { sha256 } from "../domain/sha256.ts"
import { RealmFiles, type Stamp } from "../realms/RealmFiles.ts"

/** A file of a realm as it was read: immutable, and shared by everybody who asks. */
export interface SourceFile {
  /** Realm-relative path with its extension. */
  readonly canonicalPath: string
  readonly bytes: Uint8Array
  /** SHA-256 of the bytes, in base64url. */
  readonly hash: string
}

interface Entry {
  readonly fence: Fence
  readonly token: number
  readonly file: SourceFile
}

/**
 * The bytes of realms' files in memory (S1), by realm and by the name that was asked for: a path, or an alias (a path
 * without its extension). A read that was under way during an invalidation does not refill it.
 *
 * Source realms are edited in place by anyone, so a hit there is compared with the file's stamp on disk.
 */
export class SourceCache extends Context.Service<SourceCache, {
  /** Reads a file by its path, or a module by its alias. */
  readonly read: (view: RealmView, path: string) => Effect.Effect<SourceFile, FileNotFound | FileFailure>
  /** The same of a published realm, at once, if it is in memory. */
  readonly held: (view: RealmView, path: string) => SourceFile | undefined
  /** Asks the disk whether a file of a source realm is still the one that was read; published ones never change. */
  readonly unchanged: (
    view: RealmView,
    file: SourceFile
  ) => ((then: (isUnchanged: boolean) => void) => void) | undefined
}>()("lockstep/cache/SourceCache") {
  static readonly layer = (capacityBytes: number) =>
    Layer.effect(
      SourceCache,
      Effect.gen(function*() {
        const files = yield* RealmFiles
        const entries = new LRUCache<string, Entry>({
          maxSize: capacityBytes,
          sizeCalculation: (entry, id) => entry.file.bytes.length + 2 * id.length + 256
        })

        const stamps = new WeakMap<SourceFile, Stamp>()

        yield* liveGauge(l1Bytes({ cache: "source" }), () => entries.calculatedSize)
        yield* liveGauge(l1MaxBytes({ cache: "source" }), () => capacityBytes)

        const fromDisk = Effect.fn("SourceCache.fromDisk")(function*(view: RealmView, id: string, path: string) {
          const { canonicalPath, found } = yield* resolve(files, view, path)
          const hash = sha256(found.bytes)
          const file: SourceFile = { canonicalPath, bytes: found.bytes, hash }
          stamps.set(file, found.stamp)
          const { fence, token } = view
          if (fence.holds(token, path) && fence.holds(token, canonicalPath)) {
            entries.set(id, { fence, token, file })
          }
          return file
        })

        const find = (view: RealmView, id: string, path: string): Entry | undefined => {
          const entry = entries.get(id)
          const holds = entry !== undefined && entry.fence === view.fence &&
            view.fence.holds(entry.token, path) && view.fence.holds(entry.token, entry.file.canonicalPath)
          return holds ? entry : undefined
        }

        const read = (view: RealmView, path: string): Effect.Effect<SourceFile, FileNotFound | FileFailure> => {
          const id = idOf(view, path)
          const entry = find(view, id, path)
          if (entry === undefined) return fromDisk(view, id, path)
          if (view.row.kind === "published") return Effect.succeed(entry.file)
          return files.stamp(view.row, entry.file.canonicalPath).pipe(
            Effect.flatMap((stamp) =>
              stamp === stamps.get(entry.file) ? Effect.succeed(entry.file) : fromDisk(view, id, path)
            ),
            Effect.catchTag("FileNotFound", () => fromDisk(view, id, path))
          )
        }

        return SourceCache.of({
          read: (view, path) => Effect.suspend(() => read(view, path)),
          held: (view, path) => view.row.kind === "published" ? find(view, idOf(view, path), path)?.file : undefined,
          unchanged: ({ row }, file) =>
            row.kind === "published" ? undefined : files.unchanged(row, file.canonicalPath, stamps.get(file))
        })
      })
    )
}

const idOf = (view: RealmView, path: string) => `${view.row.realmUrl}\0${path}`

/** A file under its own name wins over the modules that the name may be an alias of. */
const resolve = Effect.fnUntraced(function*(files: RealmFiles["Service"], view: RealmView, path: string) {
  const missing = yield* Effect.result(files.read(view.row, path))
  if (missing._tag === "Success") return { canonicalPath: path, found: missing.success }
  if (missing.failure._tag !== "FileNotFound") return yield* missing.failure
  // Twice: a module that takes another extension between look and read is there all the while.
  for (let look = 0; look < 2; look++) {
    const there = yield* files.present(view.row, aliasCandidates(path))
    if (there.length === 0) break
    for (const canonicalPath of there) {
      const found = yield* Effect.result(files.read(view.row, canonicalPath))
      if (found._tag === "Success") return { canonicalPath, found: found.success }
      if (found.failure._tag !== "FileNotFound") return yield* found.failure
    }
  }
  return yield* missing.failure
})

/** What a name stands for in a realm, if anything. */
export const readIfThere = (sources: SourceCache["Service"], view: RealmView, name: string) =>
  Effect.catchTag(Effect.asSome(sources.read(view, name)), "FileNotFound", () => Effect.succeedNone)
