import { Effect, Layer, Schedule } from "effect"
import { ofName, type RealmUrl } from "../domain/RealmUrl.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { Watcher } from "../realms/Watcher.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { noticeEdits } from "./notice.ts"

/** How often all source realms are compared whole: for edits that nobody told of. */
const unhurried = "5 minutes"

/** The same while the system does not tell of edits. */
const hurried = "10 seconds"

const notice = (realmUrl: RealmUrl, below?: ReadonlyArray<string>) =>
  noticeEdits(realmUrl, below).pipe(
    Effect.flatMap((paths) =>
      paths.length === 0
        ? Effect.void
        : Effect.logInfo(`${paths.length} file(s) of ${realmUrl} were edited on disk: ${paths.slice(0, 5).join(", ")}`)
    ),
    Effect.catchTags({ RealmNotFound: () => Effect.void, RealmNotWritable: () => Effect.void }),
    Effect.catch((error) => Effect.logWarning(`Edits of ${realmUrl} could not be followed; trying again later`, error)),
    Effect.as(undefined)
  )

/** Compares every source realm whose directory is here: what was edited while no replica ran is found at the start. */
const noticeAll = Effect.gen(function*() {
  const files = yield* RealmFiles
  const realms = yield* RealmTable
  const here = new Set(yield* files.sources)
  for (const { directory, kind, realmUrl } of yield* realms.list) {
    if (kind === "source" && here.has(directory)) yield* notice(realmUrl)
  }
}).pipe(Effect.catch((error) => Effect.logWarning("Edits could not be looked for; trying again later", error)))

/**
 * Makes invalidations of edits on disk, as the watcher tells of them, at the start, and from time to time. Every replica
 * of a fleet may do so.
 */
export const layerFollowEdits = (publicUrl: RealmUrl) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const watcher = yield* Watcher
    yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
      const hints = yield* watcher.take
      yield* Effect.forEach(
        hints,
        ([directory, paths]) => notice(ofName(publicUrl, directory), paths === "all" ? undefined : paths),
        { concurrency: 4, discard: true }
      )
    })))
    const untilNext = Effect.suspend(() => Effect.sleep(watcher.isWatching() ? unhurried : hurried))
    yield* Effect.forkScoped(Effect.repeat(
      Effect.andThen(noticeAll, untilNext),
      Schedule.jittered(Schedule.spaced("1 second"))
    ))
  }))
