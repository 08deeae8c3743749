import * as fs from "node:fs"
import * as path from "node:path"
import { Context, Effect, Layer, Queue, Schedule } from "effect"
import { isPassing } from "./scanTree.ts"

/** What may have changed in one source realm: these paths and what lies below them, or anything. */
export type Hint = ReadonlyArray<string> | "all"

/** Hints by the realm's directory. */
export type Hints = ReadonlyMap<string, Hint>

/** Longest list of paths for a realm: beyond it one look at all of it is cheaper, and surer. */
const maxPaths = 200

/** A save is over when nothing has happened for this long, */
const quiet = 30

/** or after this much longer, in milliseconds, however busy the disk is. */
const longest = 300

/**
 * Notices edits of source realms on disk. What it says are hints: several edits of a path are one, an edit may have been
 * undone, and after a burst, in which the system loses names without a word, the hint is the whole realm. Whoever takes a
 * hint looks at the files.
 */
export class Watcher extends Context.Service<Watcher, {
  /** Waits for edits, then for the disk to be quiet for a moment. For one taker. */
  readonly take: Effect.Effect<Hints>
  /** Whether the system tells of edits now; if not, looking from time to time is all there is. */
  readonly isWatching: () => boolean
}>()("lockstep/realms/Watcher") {
  /** Watches every directory of the realms directory: one descriptor a directory, none a file. */
  static readonly layer = ({ realmsDir }: { readonly realmsDir: string }) =>
    Layer.effect(Watcher, make(path.resolve(realmsDir)))
}

const make = Effect.fnUntraced(function*(realmsDir: string) {
  const pending = new Map<string, Set<string> | "all">()
  const signals = yield* Queue.dropping<void>(1)
  let events = 0
  let watching = false

  const hint = (name: string | null) => {
    events++
    const [directory = "", ...rest] = (name ?? "").split(path.sep)
    if (directory === "") { for (const each of pending.keys()) pending.set(each, "all") }
    else if (!directory.startsWith(".")) {
      const file = rest.join("/")
      if (file !== "" && isPassing(file)) return
      const paths = pending.get(directory) ?? new Set<string>()
      if (paths !== "all") pending.set(directory, file === "" || paths.size >= maxPaths ? "all" : paths.add(file))
    }
    Queue.offerUnsafe(signals, undefined)
  }

  // Ends when the system says that it cannot go on.
  const watchOnce = Effect.callback<never, NodeJS.ErrnoException>((resume) => {
    let watcher: fs.FSWatcher
    try {
      watcher = fs.watch(
        realmsDir,
        { recursive: true, ignore: [/(?:^|[/\\])\.(?!well-known)/] },
        (_, name) => hint(name)
      )
    } catch (error) {
      return resume(Effect.fail(error as NodeJS.ErrnoException))
    }
    watching = true
    watcher.on("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => {
      watching = false
      watcher.close()
    })
  })

  yield* Effect.forkScoped(
    Effect.retry(
      Effect.tapError(watchOnce, (error) =>
        Effect.logWarning(
          `Edits in ${realmsDir} cannot be watched (${
            error.code ?? error.message
          }); they are looked for from time to time. ` +
            "On Linux, ENOSPC asks for more fs.inotify.max_user_watches, EMFILE for more max_user_instances"
        )),
      Schedule.spaced("30 seconds")
    ),
    { startImmediately: true }
  )

  const settled = Effect.gen(function*() {
    let seen = events
    for (let waited = 0; waited < longest; waited += quiet) {
      yield* Effect.sleep(quiet)
      if (events === seen) return
      seen = events
    }
  })

  return Watcher.of({
    take: Effect.gen(function*() {
      yield* Queue.take(signals)
      yield* settled
      const hints = new Map(Array.from(pending, ([directory, paths]): [string, Hint] => [
        directory,
        paths === "all" ? "all" : Array.from(paths)
      ]))
      pending.clear()
      return hints
    }),
    isWatching: () => watching
  })
})
