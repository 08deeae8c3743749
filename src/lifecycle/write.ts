import { Effect, Result } from "effect"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { InvalidInput, RealmNotFound, RealmNotWritable } from "../domain/errors.ts"
import { isHidden, isReserved, parse } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { Invalidation } from "./Invalidation.ts"

/** Replaces or creates a file of a source realm (S32). Rename precedes the bump: what readers capture is never newer. */
export const putFile = Effect.fn("putFile")(function*(realmUrl: RealmUrl, path: string, bytes: Uint8Array) {
  const files = yield* RealmFiles
  return yield* change(realmUrl, path, (realm) => files.write(realm, path, bytes))
})

/** Removes a file of a source realm (S32). */
export const deleteFile = Effect.fn("deleteFile")(function*(realmUrl: RealmUrl, path: string) {
  const files = yield* RealmFiles
  return yield* change(realmUrl, path, (realm) => Effect.as(files.remove(realm, path), "removed" as const))
})

const change = Effect.fnUntraced(function*<A, E>(
  realmUrl: RealmUrl,
  path: string,
  edit: (realm: RealmRow) => Effect.Effect<A, E>
) {
  const invalidation = yield* Invalidation
  const lock = yield* RealmWriteLock
  const realms = yield* RealmTable
  yield* checkWritable(path)
  return yield* lock.withLock(realmUrl)(Effect.gen(function*() {
    const [realm] = (yield* realms.read([realmUrl])).realms
    if (realm?.state !== "live") return yield* new RealmNotFound({ realmUrl })
    if (realm.kind !== "source") return yield* new RealmNotWritable({ realmUrl })
    const outcome = yield* edit(realm)
    return { outcome, change: yield* invalidation.commit(realm, [path]) }
  }))
})

const checkWritable = Effect.fnUntraced(function*(path: string) {
  const parsed = parse(path)
  if (Result.isFailure(parsed)) return yield* parsed.failure
  if (isReserved(path)) {
    return yield* new InvalidInput({ detail: `${path}: names that begin with _ or are @digits are reserved` })
  }
  if (isHidden(path)) return yield* new InvalidInput({ detail: `${path}: names that begin with a dot are not served` })
})
