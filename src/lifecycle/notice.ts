import { Effect, Option } from "effect"
import { Counters } from "../coordination/Counters.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { isPassing } from "../realms/scanTree.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { RealmFileTable, type RecordedFile, type RecordedFiles, type Recording } from "../store/RealmFileTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { withSource } from "./edit.ts"
import { Invalidation, targetOf } from "./Invalidation.ts"

/**
 * Compares what is on disk with what was recorded, in a whole source realm or at and below some paths, and makes one
 * invalidation of what differs. Answers the paths that changed. The comparison is repeated under the realm's lock, so any
 * number of replicas that see one edit, or a write over HTTP, invalidate once.
 */
export const noticeEdits = Effect.fn("noticeEdits")(function*(
  realmUrl: RealmUrl,
  below?: ReadonlyArray<string>
) {
  const counters = yield* Counters
  const invalidation = yield* Invalidation
  const realms = yield* RealmTable
  const recorded = yield* RealmFileTable
  const [realm] = (yield* realms.read([realmUrl])).realms
  if (realm?.state !== "live" || realm.kind !== "source") return []
  // Most of what is seen was written over HTTP and recorded with its commit: no lock is taken for it.
  const seen = yield* compare(realm, below)
  if (seen.isBegun && seen.changed.size === 0) {
    if (seen.restamped.size > 0) yield* recorded.restamp(realmUrl, seen.restamped)
    return []
  }
  const noticed = yield* withSource(
    realmUrl,
    (held) => commit(held, seen.isBegun ? Array.from(seen.changed.keys()) : undefined)
  )
  if (noticed === undefined) return []
  counters.editsNoticed++
  yield* invalidation.tell(noticed.change, "soon")
  return noticed.paths
})

const commit = Effect.fnUntraced(function*(realm: RealmRow, below: ReadonlyArray<string> | undefined) {
  const invalidation = yield* Invalidation
  const recorded = yield* RealmFileTable
  const { realmUrl } = realm
  const { changed, found, isBegun } = yield* compare(realm, below)
  if (!isBegun) {
    // A realm from before files were recorded: nothing is known of what has changed.
    return {
      paths: Array.from(found.keys()),
      change: yield* invalidation.commit(realm, "realm", "edit", recorded.recordAll(realmUrl, found))
    }
  }
  if (changed.size === 0) return undefined
  const paths = Array.from(changed.keys())
  return {
    paths,
    change: yield* invalidation.commit(realm, targetOf(paths), "edit", recorded.record(realmUrl, changed))
  }
})

/** What a look at the disk gives beside what is recorded. */
interface Comparison {
  /** Whether the realm was ever looked at whole. */
  readonly isBegun: boolean
  readonly found: RecordedFiles
  /** Paths whose bytes differ. */
  readonly changed: Recording
  /** Paths whose bytes are the recorded ones, with a stamp that may be trusted from now on. */
  readonly restamped: RecordedFiles
}

const compare = Effect.fnUntraced(function*(
  realm: RealmRow,
  below: ReadonlyArray<string> | undefined
): Effect.fn.Return<
  Comparison,
  Effect.Error<ReturnType<RealmFiles["Service"]["scan"]>> | Effect.Error<ReturnType<RealmFileTable["Service"]["all"]>>,
  RealmFiles | RealmFileTable
> {
  const files = yield* RealmFiles
  const recorded = yield* RealmFileTable
  const known = below === undefined
    ? yield* recorded.all(realm.realmUrl)
    : Option.some(yield* recorded.at(realm.realmUrl, below))
  const before: RecordedFiles = Option.getOrElse(known, () => new Map())
  // Who names a path has seen it change: its bytes are read, whatever its stamp says.
  const found = yield* files.scan(realm, below, below === undefined ? before : new Map())
  const changed = new Map<string, RecordedFile | null>()
  const restamped = new Map<string, RecordedFile>()
  for (const [path, file] of found) {
    const old = before.get(path)
    if (old?.hash !== file.hash) changed.set(path, file)
    else if (below === undefined && file.stamp !== "" && old.stamp !== file.stamp) restamped.set(path, file)
  }
  for (const path of before.keys()) if (!found.has(path) && !isPassing(path)) changed.set(path, null)
  return { isBegun: Option.isSome(known), found, changed, restamped }
})
