import * as crypto from "node:crypto"
import { Clock, Effect, Exit, Option } from "effect"
import { EventLog } from "../coordination/EventLog.ts"
import type { Change } from "../coordination/Generations.ts"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { ReindexQueue } from "../coordination/ReindexQueue.ts"
import { CommitConflict, type DatabaseError, RealmConflict, RealmNotFound } from "../domain/errors.ts"
import { publishDuration, timed } from "../domain/Metrics.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { PermissionTable } from "../store/PermissionTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { RealmVersionTable } from "../store/RealmVersionTable.ts"
import { Transaction } from "../store/Transaction.ts"
import { WriteIntentTable } from "../store/WriteIntentTable.ts"
import { settle } from "./edit.ts"
import { requireOwner } from "./requireOwner.ts"
import { Invalidation } from "./Invalidation.ts"
import { holdUrl, refuseOverlap } from "./overlap.ts"

/** Which realm is copied, and under which URL it is served. */
export interface PublishRequest {
  readonly sourceRealmUrl: RealmUrl
  readonly publishedRealmUrl: RealmUrl
  /** Whether only who has permission may read it. By default it stays as it is, and is public where it is new. */
  readonly isPrivate?: boolean | undefined
  /** The user who publishes: who owns a published realm that is new from now on, and must own one that is there. */
  readonly owner?: string | undefined
}

/**
 * Publishes a snapshot of a source realm (S29). Order: lock, check, copy, commit, apply here, notify, barrier.
 *
 * A failure before the commit leaves the previous publication served; after it the new one stands. Publishes of one URL
 * take turns, and the source does not change while it is copied.
 */
export const publish = Effect.fn("publish")(
  function*(request: PublishRequest) {
    const { publishedRealmUrl, sourceRealmUrl } = request
    yield* Effect.annotateCurrentSpan({ "realm.url": publishedRealmUrl, "realm.source": sourceRealmUrl })
    const files = yield* RealmFiles
    const invalidation = yield* Invalidation
    const lock = yield* RealmWriteLock
    const versions = yield* RealmVersionTable
    const { record } = yield* EventLog
    const began = yield* monotonicMillis
    if (sourceRealmUrl === publishedRealmUrl) {
      return yield* new RealmConflict({ realmUrl: publishedRealmUrl, detail: "cannot be published onto itself" })
    }

    const published = yield* lock.withLock(publishedRealmUrl, sourceRealmUrl)(Effect.gen(function*() {
      const { source: found, target } = yield* check(sourceRealmUrl, publishedRealmUrl)
      // Here, where nobody can make a realm of that URL in between.
      if (target?.state === "live") yield* requireOwner(publishedRealmUrl, request.owner)
      // A batch that an earlier writer left half done must not be published.
      const source = yield* settle(found)
      const directory = crypto.randomUUID()
      yield* versions.begin(publishedRealmUrl, directory)
      return yield* files.snapshot(source, directory).pipe(
        Effect.andThen(commit(source, request, directory, target)),
        Effect.onError(() => removeUnlessCommitted(publishedRealmUrl, directory)),
        Effect.catchTag("DatabaseError", (error) => committedAfterAll(publishedRealmUrl, directory, error))
      )
    }))

    const committed = yield* monotonicMillis
    const change: Change = {
      realmUrl: publishedRealmUrl,
      generation: published.generation,
      paths: "*",
      cause: "publish"
    }
    yield* invalidation.clearLocalSourceCaches(change)
    const replicas = yield* invalidation.tell(
      change,
      "all",
      { channel: "realm_registry", payload: publishedRealmUrl },
      { channel: "lockstep_jobs", payload: publishedRealmUrl }
    )
    const ended = yield* monotonicMillis
    record({
      kind: "publish",
      realmUrl: publishedRealmUrl,
      generation: published.generation,
      millis: ended - began,
      barrierMillis: ended - committed,
      ...replicas,
      via: "own",
      detail: `of ${sourceRealmUrl}`
    })
    yield* Effect.annotateCurrentSpan({ "realm.generation": published.generation })
    return { ...published, replicas }
  },
  (program, { publishedRealmUrl }) =>
    Effect.tapError(
      timed<Effect.Success<typeof program>, Effect.Error<typeof program>>((exit) =>
        publishDuration({ outcome: Exit.isSuccess(exit) ? "ok" : "error" })
      )(program),
      ({ message }) =>
        Effect.map(EventLog, ({ record }) =>
          record({ kind: "failure", realmUrl: publishedRealmUrl, cause: "publish", detail: message }))
    )
)

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

const check = Effect.fn("publish.check")(function*(sourceRealmUrl: RealmUrl, publishedRealmUrl: RealmUrl) {
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

/**
 * All or none: the pointer, the version, the definitions, the registry and the reindex (S29). Definitions and transpiled
 * modules are voided by their floors, in the realm's own row, however many there are; the collector deletes them.
 */
const commit = Effect.fn("publish.commit")(function*(
  source: RealmRow,
  { isPrivate, owner, publishedRealmUrl }: PublishRequest,
  directory: string,
  target: RealmRow | undefined
) {
  const expected = target?.generation ?? 0
  const intents = yield* WriteIntentTable
  const permissions = yield* PermissionTable
  const queue = yield* ReindexQueue
  const realms = yield* RealmTable
  const transaction = yield* Transaction
  const versions = yield* RealmVersionTable
  return yield* transaction.run(Effect.gen(function*() {
    if (target?.state !== "live") yield* holdUrl(publishedRealmUrl)
    const generation = yield* realms.mount({
      realmUrl: publishedRealmUrl,
      kind: "published",
      directory,
      sourceUrl: source.realmUrl,
      isPrivate
    }, expected)
    if (Option.isNone(generation)) return yield* new CommitConflict({ realmUrl: publishedRealmUrl, expected })
    // The sweeper takes a copy that nobody seems to work at: then this publish was away too long to go on.
    const recorded = yield* versions.commit(publishedRealmUrl, generation.value, directory)
    if (!recorded) return yield* new CommitConflict({ realmUrl: publishedRealmUrl, expected })
    if (owner !== undefined && target?.state !== "live") {
      yield* permissions.grant({ realmUrl: publishedRealmUrl, user: owner, permission: "owner" })
    }
    yield* queue.enqueue(publishedRealmUrl, generation.value)
    // A publisher that was frozen may have lost its locks while it copied: then its copy may be of no one state of the
    // source, which has moved since, or is being moved by a writer whose intent was there before its first rename. The
    // intent is looked for first (I4): one that has ended by then has moved the generation, which is read after.
    const isBeingMoved = Option.isSome(yield* intents.find(source.realmUrl))
    const { realms: rows } = yield* realms.read([publishedRealmUrl, source.realmUrl])
    const moved = rows.find((row) => row.realmUrl === source.realmUrl)?.generation !== source.generation
    if (moved || isBeingMoved) {
      return yield* new CommitConflict({ realmUrl: source.realmUrl, expected: source.generation })
    }
    const published = rows.find((row) => row.realmUrl === publishedRealmUrl)
    return { generation: generation.value, lastPublishedAt: published?.lastPublishedAt ?? null }
  }))
})

/**
 * Removes what a failed publish copied. Once its announcement is gone, taken back here or swept before, no commit can make
 * it a version any more: what is none now will never be one.
 */
const removeUnlessCommitted = (realmUrl: RealmUrl, directory: string) =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    const versions = yield* RealmVersionTable
    const abandoned = yield* versions.abandon(directory)
    const kept = abandoned ? [] : yield* versions.list(realmUrl)
    if (!kept.some((version) => version.directory === directory)) yield* files.removeVersion(directory)
  }).pipe(
    Effect.catch((error) => Effect.logWarning(`The version directory ${directory} is left to the sweeper`, error))
  )

/** The reply to a COMMIT may be lost: what the row says decides whether the publish stands. */
const committedAfterAll = Effect.fnUntraced(function*(realmUrl: RealmUrl, directory: string, error: DatabaseError) {
  const realms = yield* RealmTable
  const { realms: [row] } = yield* realms.read([realmUrl])
  if (row?.state !== "live" || row.directory !== directory) return yield* error
  return { generation: row.generation, lastPublishedAt: row.lastPublishedAt }
})
