import { randomUUID } from "node:crypto"
import { Effect, Option } from "effect"
import { Notifications } from "../coordination/Notifications.ts"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { ReindexQueue } from "../coordination/ReindexQueue.ts"
import { CommitConflict, RealmConflict, RealmNotFound } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { ModuleTable } from "../store/ModuleTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { RealmVersionTable } from "../store/RealmVersionTable.ts"
import { Transaction } from "../store/Transaction.ts"
import { barrier } from "./barrier.ts"
import { Invalidation } from "./Invalidation.ts"
import { refuseOverlap } from "./overlap.ts"

export interface PublishRequest {
  readonly sourceRealmUrl: RealmUrl
  readonly publishedRealmUrl: RealmUrl
}

/**
 * Publishes a snapshot of a source realm (S29). Order: lock, check, copy, commit, apply here, notify, barrier.
 *
 * A failure before the commit leaves the previous publication served; after it the new one stands. Publishes of one URL
 * take turns, and the source does not change while it is copied.
 */
export const publish = Effect.fn("publish")(function*({ publishedRealmUrl, sourceRealmUrl }: PublishRequest) {
  const files = yield* RealmFiles
  const invalidation = yield* Invalidation
  const lock = yield* RealmWriteLock
  const notifications = yield* Notifications
  if (sourceRealmUrl === publishedRealmUrl) {
    return yield* new RealmConflict({ realmUrl: publishedRealmUrl, detail: "cannot be published onto itself" })
  }

  const published = yield* lock.withLock(publishedRealmUrl, sourceRealmUrl)(Effect.gen(function*() {
    const { source, target } = yield* check(sourceRealmUrl, publishedRealmUrl)
    const directory = randomUUID()
    return yield* files.snapshot(source, directory).pipe(
      Effect.andThen(commit(source, publishedRealmUrl, directory, target?.generation ?? 0)),
      // Whether the new version is in use cannot be told from how the commit ended: its reply may be lost.
      Effect.onError(() => removeUnlessCommitted(publishedRealmUrl, directory))
    )
  }))

  yield* invalidation.clearLocalSourceCachesAndBroadcast({
    realmUrl: publishedRealmUrl,
    generation: published.generation,
    paths: "*"
  })
  yield* Effect.ignore(notifications.notify([{ channel: "realm_registry", payload: publishedRealmUrl }]))
  return { ...published, replicas: yield* barrier }
})

const check = Effect.fnUntraced(function*(sourceRealmUrl: RealmUrl, publishedRealmUrl: RealmUrl) {
  const realms = yield* RealmTable
  const { realms: rows } = yield* realms.read([sourceRealmUrl, publishedRealmUrl])
  const source = rows.find((row) => row.realmUrl === sourceRealmUrl)
  const target = rows.find((row) => row.realmUrl === publishedRealmUrl)
  if (source?.state !== "live") return yield* new RealmNotFound({ realmUrl: sourceRealmUrl })
  if (source.kind !== "source") {
    return yield* new RealmConflict({
      realmUrl: sourceRealmUrl,
      detail: "is itself a published realm; publish its source realm instead"
    })
  }
  if (target?.state === "live" && target.kind === "source") {
    return yield* new RealmConflict({
      realmUrl: publishedRealmUrl,
      detail: "is a source realm and cannot be published onto; choose another URL"
    })
  }
  yield* refuseOverlap(publishedRealmUrl)
  return { source, target }
})

/** All or none: the pointer, the version, the definitions, the registry and the reindex (S29). */
const commit = Effect.fnUntraced(function*(
  source: RealmRow,
  publishedRealmUrl: RealmUrl,
  directory: string,
  expected: number
) {
  const definitions = yield* ModuleTable
  const queue = yield* ReindexQueue
  const realms = yield* RealmTable
  const transaction = yield* Transaction
  const versions = yield* RealmVersionTable
  return yield* transaction.run(Effect.gen(function*() {
    const generation = yield* realms.mount({
      realmUrl: publishedRealmUrl,
      kind: "published",
      directory,
      sourceUrl: source.realmUrl
    }, expected)
    if (Option.isNone(generation)) return yield* new CommitConflict({ realmUrl: publishedRealmUrl, expected })
    yield* versions.add(publishedRealmUrl, generation.value, directory)
    yield* definitions.clear(publishedRealmUrl)
    yield* queue.enqueue(publishedRealmUrl, generation.value)
    const { realms: [row] } = yield* realms.read([publishedRealmUrl])
    return { generation: generation.value, lastPublishedAt: row?.lastPublishedAt ?? null }
  }))
})

/** Removes what a failed publish copied, once it is certain that no commit points at it. Otherwise the sweeper will. */
const removeUnlessCommitted = (publishedRealmUrl: RealmUrl, directory: string) =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    const versions = yield* RealmVersionTable
    const known = yield* versions.list(publishedRealmUrl)
    if (!known.some((version) => version.directory === directory)) yield* files.removeVersion(directory)
  }).pipe(
    Effect.catch((error) => Effect.logWarning(`The version directory ${directory} was left behind`, error))
  )
