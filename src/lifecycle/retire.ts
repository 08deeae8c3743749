import { Effect, Option } from "effect"
import type { Change } from "../coordination/Generations.ts"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { ReindexQueue } from "../coordination/ReindexQueue.ts"
import { CommitConflict, RealmConflict, RealmNotFound } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { ModuleTable } from "../store/ModuleTable.ts"
import { ModuleTranspileTable } from "../store/ModuleTranspileTable.ts"
import { PermissionTable } from "../store/PermissionTable.ts"
import { RealmFileTable } from "../store/RealmFileTable.ts"
import { RealmIndexTable } from "../store/RealmIndexTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { RealmVersionTable } from "../store/RealmVersionTable.ts"
import { Transaction } from "../store/Transaction.ts"
import { WriteIntentTable } from "../store/WriteIntentTable.ts"
import { Invalidation } from "./Invalidation.ts"
import { requireOwner } from "./requireOwner.ts"

/** Takes a published realm down; its source stays (S30). A user who does this must own it. */
export const unpublish = Effect.fn("unpublish")(function*(realmUrl: RealmUrl, owner?: string) {
  return yield* retire(
    realmUrl,
    "unpublish",
    Effect.fnUntraced(function*(realm) {
      if (realm.kind !== "published") {
        return yield* new RealmConflict({
          realmUrl,
          detail: "is a source realm, not a published one; use delete to remove it"
        })
      }
      yield* requireOwner(realmUrl, owner)
    })
  )
})

/** Removes a realm of either kind, with its files (S30). A user who does this must own it. */
export const deleteRealm = Effect.fn("deleteRealm")(function*(realmUrl: RealmUrl, owner?: string) {
  return yield* retire(realmUrl, "delete", () => requireOwner(realmUrl, owner))
})

/**
 * The registry row and the rows of the realm go in one transaction, then the other replicas hear of it, and the files go
 * last, when nobody can be reading them. The realm's generation lives on, so nothing from before can come back.
 */
const retire = Effect.fnUntraced(function*<E, R>(
  realmUrl: RealmUrl,
  cause: "unpublish" | "delete",
  allow: (realm: RealmRow) => Effect.Effect<void, E, R>
) {
  const invalidation = yield* Invalidation
  const lock = yield* RealmWriteLock
  const realms = yield* RealmTable
  return yield* lock.withLock(realmUrl)(Effect.gen(function*() {
    const [realm] = (yield* realms.read([realmUrl])).realms
    if (realm?.state !== "live") return yield* new RealmNotFound({ realmUrl })
    yield* allow(realm)
    const { directories, generation } = yield* commit(realm)
    const change: Change = { realmUrl, generation, paths: "*", cause }
    yield* invalidation.clearLocalSourceCaches(change)
    // The realm stays locked until its files are gone: a realm of the same name must not be created over them.
    const replicas = yield* invalidation.tell(change, "all", { channel: "realm_registry", payload: realmUrl })
    yield* removeFiles(realm, directories)
    return { generation, replicas }
  }))
})

const commit = Effect.fnUntraced(function*(realm: RealmRow) {
  const { realmUrl } = realm
  const definitions = yield* ModuleTable
  const intents = yield* WriteIntentTable
  const index = yield* RealmIndexTable
  const permissions = yield* PermissionTable
  const queue = yield* ReindexQueue
  const realms = yield* RealmTable
  const recorded = yield* RealmFileTable
  const transaction = yield* Transaction
  const transpiled = yield* ModuleTranspileTable
  const versions = yield* RealmVersionTable
  return yield* transaction.run(Effect.gen(function*() {
    const generation = yield* realms.retire(realmUrl, realm.generation)
    if (Option.isNone(generation)) return yield* new CommitConflict({ realmUrl, expected: realm.generation })
    const kept = yield* versions.list(realmUrl)
    yield* Effect.forEach(kept, (version) => versions.remove(realmUrl, version.generation), { discard: true })
    yield* transpiled.clear(realmUrl)
    yield* definitions.clear(realmUrl)
    yield* intents.withdraw(realmUrl)
    yield* recorded.clear(realmUrl)
    yield* queue.withdraw(realmUrl)
    yield* index.clear(realmUrl)
    yield* permissions.clear(realmUrl)
    return { generation: generation.value, directories: kept.map((version) => version.directory) }
  }))
})

/** A file that cannot be removed is no reason to fail: the realm is gone, and the leftover does not bring it back. */
const removeFiles = Effect.fnUntraced(function*(realm: RealmRow, versions: ReadonlyArray<string>) {
  const files = yield* RealmFiles
  const removals = realm.kind === "source"
    ? [files.removeSource(realm.directory)]
    : versions.map((directory) => files.removeVersion(directory))
  yield* Effect.forEach(
    removals,
    (removal) =>
      Effect.catch(removal, (error) => Effect.logWarning(`Files of ${realm.realmUrl} were left behind`, error))
  )
})
