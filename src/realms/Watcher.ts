import * as path from "node:path"
import { Worker } from "node:worker_threads"
import { Context, Effect, Layer, Queue, Schedule } from "effect"
import { isPassing } from "./scanTree.ts"
import type { WatchMessage } from "./watchThread.ts"

const entry = new URL(import.meta.url.endsWith(".ts") ? "./watchThread.ts" : "./watchThread.js", import.meta.url)

/** What may have changed in one source realm: these paths and what lies below them, or anything. */
export type Hint = ReadonlyArray<string> | "all"

/** Hints by the realm's directory, or anything in any of them. */
export type Hints = ReadonlyMap<string, Hint> | "all"

/** Longest list of paths for a realm: beyond it one look at all of it is cheaper, and surer. */
const maxPaths = 200

/** A save is over when nothing has happened for this long, in milliseconds. */
const quiet = 30

/** What goes on for long, such as a checkout on a busy machine, has pauses that are longer: up to a quarter of its time. */
const longestQuiet = 300

/** However busy the disk is, a hint is given after this time. */
const longest = 2000

/** After so many events the system may have lost some, of new directories too: its queue has 16,384. */
const maxEvents = 4096

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
  /**
   * Watches every directory of the realms directory: one descriptor a directory, none a file. The first hint says "all" once
   * everything is watched; one that does so later says that edits may have been lost in between.
   */
  static readonly layer = ({ realmsDir }: { readonly realmsDir: string }) =>
    Layer.effect(Watcher, make(path.resolve(realmsDir)))
}

const make = Effect.fnUntraced(function*(realmsDir: string) {
  const pending = new Map<string, Set<string> | "all">()
  let everything = false
  const signals = yield* Queue.dropping<void>(1)
  let events = 0
  let sinceAnew = 0
  let watching = false
  let watchAnew = () => {}

  const hint = (name: string | null) => {
    events++
    sinceAnew++
    const [directory = "", ...rest] = (name ?? "").split(path.sep)
    if (directory === "") everything = true
    else if (!directory.startsWith(".")) {
      const file = rest.join("/")
      if (file !== "" && isPassing(file)) return
      const paths = pending.get(directory) ?? new Set<string>()
      if (paths !== "all") pending.set(directory, file === "" || paths.size >= maxPaths ? "all" : paths.add(file))
    }
    Queue.offerUnsafe(signals, undefined)
  }

  // Ends when the system says that it cannot go on.
  const watchOnce = Effect.callback<never, string>((resume) => {
    const thread = new Worker(entry, { workerData: { root: realmsDir }, env: {}, argv: [], execArgv: [] })
    thread.unref()
    watchAnew = () => thread.postMessage(null)
    thread.on("message", (message: WatchMessage) => {
      if ("name" in message) return hint(message.name)
      watching = true
      // Whatever happened before it was watched.
      hint(null)
    })
    const ended = (reason: string) => {
      watching = false
      watchAnew = () => {}
      resume(Effect.fail(reason))
    }
    thread.on("error", (error) => ended(String(error)))
    thread.on("exit", () => ended("the watching thread ended"))
    return Effect.promise(() => thread.terminate())
  })

  yield* Effect.forkScoped(
    Effect.retry(
      Effect.tapError(watchOnce, (reason) =>
        Effect.logWarning(
          `Edits in ${realmsDir} cannot be watched (${reason}); they are looked for from time to time. ` +
            "On Linux, ENOSPC asks for more fs.inotify.max_user_watches, EMFILE for more max_user_instances"
        )),
      Schedule.min([Schedule.exponential("200 millis"), Schedule.spaced("30 seconds")])
    ),
    { startImmediately: true }
  )

  const settled = Effect.gen(function*() {
    let seen = events
    let last = 0
    for (let waited = quiet; waited <= longest; waited += quiet) {
      yield* Effect.sleep(quiet)
      if (events !== seen) [seen, last] = [events, waited]
      else if (waited - last >= Math.min(last / 4, longestQuiet)) return
    }
  })

  return Watcher.of({
    take: Effect.gen(function*() {
      // A signal may be left over from hints that were taken already.
      while (pending.size === 0 && !everything) yield* Queue.take(signals)
      yield* settled
      if (sinceAnew > maxEvents) {
        sinceAnew = 0
        watchAnew()
      }
      if (everything) {
        everything = false
        pending.clear()
        return "all"
      }
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
