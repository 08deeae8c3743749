import { Effect, Layer, Schedule } from "effect"
import { ofName, type RealmUrl } from "../domain/RealmUrl.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { Watcher } from "../realms/Watcher.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { noticeEdits } from "./notice.ts"

/** How often it is asked whether all source realms are to be compared whole. */
const round = "10 seconds"

/** In how many rounds they are, although the system tells of edits and nothing was missed. */
const unhurriedRounds = 30

/** Follows the edits of one realm; answers whether that failed, and must be done again. */
const follow = (realmUrl: RealmUrl, below?: ReadonlyArray<string>) =>
  noticeEdits(realmUrl, below).pipe(
    Effect.flatMap((paths) =>
      paths.length === 0
        ? Effect.void
        : Effect.logInfo(`${paths.length} file(s) of ${realmUrl} were edited on disk: ${paths.slice(0, 5).join(", ")}`)
    ),
    Effect.as(false),
    Effect.catchTags({ RealmNotFound: () => Effect.succeed(false), RealmNotWritable: () => Effect.succeed(false) }),
    Effect.catch((error) =>
      Effect.as(Effect.logWarning(`Edits of ${realmUrl} could not be followed; trying again`, error), true)
    )
  )

/** Compares every source realm whose directory is here: what was edited while no replica ran is found at the start. */
const followAll = Effect.gen(function*() {
  const files = yield* RealmFiles
  const realms = yield* RealmTable
  const here = new Set(yield* files.sources)
  const sources = (yield* realms.list).filter(({ directory, kind }) => kind === "source" && here.has(directory))
  const failed = yield* Effect.forEach(sources, ({ realmUrl }) => follow(realmUrl))
  return failed.includes(true)
}).pipe(
  Effect.catch((error) => Effect.as(Effect.logWarning("Edits could not be looked for; trying again", error), true))
)

/**
 * Makes invalidations of edits on disk, as the watcher tells of them, at the start, and from time to time: soon where the
 * watcher is blind or a realm could not be compared. Every replica of a fleet may do so.
 */
export const layerFollowEdits = (publicUrl: RealmUrl) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const watcher = yield* Watcher
    let missed = false
    yield* Effect.forkScoped(Effect.forever(Effect.gen(function*() {
      const hints = yield* watcher.take
      if (hints === "all") {
        if (yield* followAll) missed = true
        return
      }
      const failed = yield* Effect.forEach(
        hints,
        ([directory, paths]) => follow(ofName(publicUrl, directory), paths === "all" ? undefined : paths),
        { concurrency: 4 }
      )
      if (failed.includes(true)) missed = true
    })))
    let rounds = 0
    const compare = Effect.gen(function*() {
      if (rounds++ % unhurriedRounds > 0 && watcher.isWatching() && !missed) return
      missed = false
      if (yield* followAll) missed = true
    })
    yield* Effect.forkScoped(Effect.repeat(compare, Schedule.jittered(Schedule.spaced(round))))
  }))
