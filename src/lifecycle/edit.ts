import * as crypto from "node:crypto"
import { Effect, Option } from "effect"
import { Counters } from "../coordination/Counters.ts"
import type { Cause } from "../coordination/EventLog.ts"
import type { Change } from "../coordination/Generations.ts"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { CommitConflict, type DatabaseError, RealmNotFound, RealmNotWritable, RealmTooLarge } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { sha256 } from "../domain/sha256.ts"
import { type Operation, RealmFiles } from "../realms/RealmFiles.ts"
import { RealmFileTable, type Recording } from "../store/RealmFileTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { type Edit, WriteIntentTable } from "../store/WriteIntentTable.ts"
import { Invalidation, targetOf, type Wait } from "./Invalidation.ts"
import { RealmLimits } from "./RealmLimits.ts"

/**
 * Edits files of a source realm in one change, all or none of them, whatever crashes (S32, I4). Order: lock, finish what
 * others left, check and stage, decide (a logged intent), rename, move the generation with the intent's end, tell.
 *
 * Renames precede the new generation: what readers capture is never newer than the bytes that they read. Between two of
 * the renames they may see some files new and some old, under the old generation; nothing of that outlives the commit.
 */
export const editFiles = Effect.fnUntraced(function*<E, R>(
  realmUrl: RealmUrl,
  wait: Wait,
  choose: (realm: RealmRow) => Effect.Effect<ReadonlyArray<Operation>, E, R>
) {
  const invalidation = yield* Invalidation
  const edited = yield* withSource(realmUrl, (realm) =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const operations = yield* choose(realm)
      if (operations.length === 0) return { generation: realm.generation, outcomes: [], change: undefined }
      const batch = crypto.randomUUID()
      const edits = operations.map((operation): Edit =>
        operation.op === "remove"
          ? { path: operation.path, hash: null }
          : { path: operation.path, hash: sha256(operation.bytes), size: operation.bytes.length }
      )
      yield* checkSize(realmUrl, edits)
      const outcomes = yield* files.stage(realm, batch, operations)
      const change = yield* decide(realm, batch, edits)
      return { generation: change.generation, outcomes, change }
    }))
  const { change, generation, outcomes } = edited
  const replicas = change === undefined ? { live: 0, acked: 0 } : yield* invalidation.tell(change, wait)
  return { generation, outcomes, replicas }
})

/** Refuses what would make the realm larger than it may be. What makes it smaller is never refused. */
const checkSize = Effect.fnUntraced(function*(realmUrl: RealmUrl, edits: ReadonlyArray<Edit>) {
  const limits = yield* RealmLimits
  if (limits.bytes === Infinity && limits.files === Infinity) return
  const recorded = yield* RealmFileTable
  const { bytes, files, ofPaths } = yield* recorded.measure(realmUrl, edits.map(({ path }) => path))
  const kept = edits.filter(({ hash }) => hash !== null)
  const grownFiles = kept.length - ofPaths.files
  const grownBytes = kept.reduce((sum, { size = 0 }) => sum + size, 0) - ofPaths.bytes
  if (grownFiles > 0 && files + grownFiles > limits.files) {
    return yield* new RealmTooLarge({
      realmUrl,
      detail: `would have ${files + grownFiles} files, and may have ${limits.files}`
    })
  }
  if (grownBytes > 0 && bytes + grownBytes > limits.bytes) {
    return yield* new RealmTooLarge({
      realmUrl,
      detail: `would have ${bytes + grownBytes} bytes, and may have ${limits.bytes}`
    })
  }
})

/** Holds a live source realm that no earlier writer has left unfinished. */
export const withSource = Effect.fnUntraced(function*<A, E, R>(
  realmUrl: RealmUrl,
  work: (realm: RealmRow) => Effect.Effect<A, E, R>
) {
  const lock = yield* RealmWriteLock
  const realms = yield* RealmTable
  return yield* lock.withLock(realmUrl)(Effect.gen(function*() {
    const [realm] = (yield* realms.read([realmUrl])).realms
    if (realm?.state !== "live") return yield* new RealmNotFound({ realmUrl })
    if (realm.kind !== "source") return yield* new RealmNotWritable({ realmUrl })
    return yield* work(yield* settle(realm))
  }))
})

/**
 * Finishes the batch that an earlier writer decided on and did not commit, because it died, was frozen, or met a disk or a
 * database that failed it. The caller holds the realm; answers it at its generation after that.
 */
export const settle = Effect.fnUntraced(function*(realm: RealmRow) {
  const counters = yield* Counters
  const invalidation = yield* Invalidation
  const intents = yield* WriteIntentTable
  const found = yield* intents.find(realm.realmUrl)
  if (Option.isNone(found)) return realm
  const { batch, edits } = found.value
  const change = yield* carryOut(realm, batch, edits, "recovery")
  counters.batchesFinished++
  yield* Effect.logInfo(`Finished a batch of ${edits.length} edits that was left in ${realm.realmUrl}`)
  yield* invalidation.tell(change, "soon")
  return { ...realm, generation: change.generation }
})

/** From the decision on the batch will be done: an interruption must not leave that to others. */
const decide = Effect.fnUntraced(function*(realm: RealmRow, batch: string, edits: ReadonlyArray<Edit>) {
  const files = yield* RealmFiles
  const intents = yield* WriteIntentTable
  const { generation, realmUrl } = realm
  // Where the reply is lost, the intent may stand: what is staged stays, until somebody who holds the realm knows.
  const begun = yield* intents.begin(realmUrl, generation, batch, edits)
  if (!begun) {
    yield* Effect.ignore(files.discard(realm, batch))
    return yield* new CommitConflict({ realmUrl, expected: generation })
  }
  return yield* Effect.catchTags(carryOut(realm, batch, edits, "write"), {
    CommitConflict: (error) => doneAfterAll(realm, batch, edits, error),
    DatabaseError: (error) => doneAfterAll(realm, batch, edits, error)
  })
}, Effect.uninterruptible)

const carryOut = Effect.fnUntraced(function*(
  realm: RealmRow,
  batch: string,
  edits: ReadonlyArray<Edit>,
  cause: Cause
) {
  const { realmUrl } = realm
  const files = yield* RealmFiles
  const intents = yield* WriteIntentTable
  const invalidation = yield* Invalidation
  const recorded = yield* RealmFileTable
  yield* files.apply(realm, batch, edits)
  const change = yield* invalidation.commit(
    realm,
    targetOf(edits.map(({ path }) => path)),
    cause,
    Effect.gen(function*() {
      if (!(yield* intents.finish(realmUrl, batch))) {
        return yield* new CommitConflict({ realmUrl, expected: realm.generation })
      }
      yield* recorded.record(realmUrl, recordingOf(edits))
    })
  )
  // Before the realm is let go: a writer that wakes late must find nothing to move.
  yield* Effect.catch(
    files.discard(realm, batch),
    (error) => Effect.logWarning(`The staged files of a batch in ${realmUrl} were left behind`, error)
  )
  // A directory is what its files make of it. One that a crash leaves behind says nothing.
  yield* files.pruneAbove(realm, edits.flatMap(({ hash, path }) => hash === null ? [path] : []))
  return change
}, Effect.uninterruptible)

/** Whoever took the realm from a frozen writer has done its work, and the reply of a commit may only be lost. */
const doneAfterAll = Effect.fnUntraced(function*(
  realm: RealmRow,
  batch: string,
  edits: ReadonlyArray<Edit>,
  error: CommitConflict | DatabaseError
) {
  const { realmUrl } = realm
  const intents = yield* WriteIntentTable
  const invalidation = yield* Invalidation
  const realms = yield* RealmTable
  const open = yield* intents.find(realmUrl)
  const [row] = (yield* realms.read([realmUrl])).realms
  if ((Option.isSome(open) && open.value.batch === batch) || row?.state !== "live") return yield* error
  // Only the next generation is surely this batch's: a later one may be of other paths, or of all.
  const paths = row.generation === realm.generation + 1 ? edits.map(({ path }) => path) : "*"
  const change: Change = { realmUrl, generation: row.generation, paths, cause: "write" }
  yield* invalidation.clearLocalSourceCaches(change)
  return change
})

// Too young for their stamps to be trusted.
const recordingOf = (edits: ReadonlyArray<Edit>): Recording =>
  new Map(edits.map(({ hash, path, size = 0 }) => [path, hash === null ? null : { hash, stamp: "", size }]))
