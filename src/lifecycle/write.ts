import { Effect, Result } from "effect"
import { Barrier } from "../coordination/Barrier.ts"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { InvalidInput, RealmNotFound, RealmNotWritable } from "../domain/errors.ts"
import { isHidden, isReserved, parse } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { Invalidation } from "./Invalidation.ts"

/** Whether to return once the replicas that are well have applied a write (`soon`), or only when all of them have. */
export type Wait = "soon" | "all"

/** Replaces or creates a file of a source realm (S32). Rename precedes the bump: what readers capture is never newer. */
export const putFile = Effect.fn("putFile")(function*(
  realmUrl: RealmUrl,
  path: string,
  bytes: Uint8Array,
  wait: Wait = "soon"
) {
  const files = yield* RealmFiles
  return yield* change(realmUrl, path, wait, (realm) => files.write(realm, path, bytes))
})

/** Removes a file of a source realm (S32). */
export const deleteFile = Effect.fn("deleteFile")(function*(realmUrl: RealmUrl, path: string, wait: Wait = "soon") {
  const files = yield* RealmFiles
  return yield* change(realmUrl, path, wait, (realm) => Effect.as(files.remove(realm, path), "removed" as const))
})

const change = Effect.fnUntraced(function*<A, E>(
  realmUrl: RealmUrl,
  path: string,
  wait: Wait,
  edit: (realm: RealmRow) => Effect.Effect<A, E>
) {
  const barrier = yield* Barrier
  const invalidation = yield* Invalidation
  const lock = yield* RealmWriteLock
  const realms = yield* RealmTable
  yield* checkWritable(path)
  const { committed, outcome } = yield* lock.withLock(realmUrl)(Effect.gen(function*() {
    const [realm] = (yield* realms.read([realmUrl])).realms
    if (realm?.state !== "live") return yield* new RealmNotFound({ realmUrl })
    if (realm.kind !== "source") return yield* new RealmNotWritable({ realmUrl })
    const outcome = yield* edit(realm)
    return { outcome, committed: yield* invalidation.commit(realm, [path]) }
  }))
  const replicas = yield* wait === "all" ? barrier.confirm(committed) : barrier.announce(committed)
  return { outcome, generation: committed.generation, replicas }
})

const checkWritable = Effect.fnUntraced(function*(path: string) {
  const parsed = parse(path)
  if (Result.isFailure(parsed)) return yield* parsed.failure
  if (isReserved(path)) {
    return yield* new InvalidInput({ detail: `${path}: names that begin with _ or are @digits are reserved` })
  }
  if (isHidden(path)) return yield* new InvalidInput({ detail: `${path}: names that begin with a dot are not served` })
})
