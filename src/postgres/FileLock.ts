import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import type { DatabaseSync } from "node:sqlite"
import { attempt, EmbeddedPostgresError, failure } from "./errors.ts"

/**
 * Locks between processes that the kernel itself gives back when their holder dies, however it dies: there is no stale
 * lock to recognise, no process id to mistake. Node has no call for them, but its SQLite takes them (`fcntl`) on the
 * empty file that it is given here and keeps several holders in one process apart. Child processes do not inherit them.
 *
 * Gotcha: POSIX drops a process's locks on a file when the process closes *any* descriptor of it. Nothing may open
 * these files except SQLite; creating them with O_EXCL keeps to that, since an existing file is then never opened.
 */
export type LockMode = "shared" | "exclusive"

const sqliteBusy = 5

/** Makes the lock's file, once; `owner` is who must be able to lock it later (see `ServerAccount`). */
export const create = (path: string, owner: { readonly uid: number; readonly gid: number } | undefined) =>
  attempt(`create ${path}`, async () => {
    const file = await Fs.open(path, "wx", 0o600).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return undefined
      throw error
    })
    if (file === undefined) return
    try {
      if (owner !== undefined) await file.chown(owner.uid, owner.gid)
    } finally {
      await file.close()
    }
  })

/** Takes the lock for as long as the scope is open, if that is possible at once; says whether it did. */
export const tryHold = Effect.fnUntraced(function*(path: string, mode: LockMode) {
  const sqlite = yield* attempt("load node:sqlite, which this build of Node lacks", () => import("node:sqlite"))
  const database = yield* Effect.acquireRelease(
    Effect.try({
      try: () => lock(new sqlite.DatabaseSync(path), mode),
      catch: (cause) =>
        new EmbeddedPostgresError({
          reason: `could not lock ${path} (is it another user's, or on a file system without locks?): ${String(cause)}`,
          serverLog: "",
          cause
        })
    }),
    (held) => Effect.sync(() => held?.close())
  )
  return database !== undefined
})

/** Takes the lock exclusively, as soon as the others let go of it, until the scope closes. */
export const hold = (path: string, deadlineSeconds: number) =>
  Effect.gen(function*() {
    while (!(yield* tryHold(path, "exclusive"))) yield* Effect.sleep("10 millis")
  }).pipe(Effect.timeoutOrElse({
    duration: `${deadlineSeconds} seconds`,
    orElse: () => Effect.fail(failure(`another process has held ${path} for ${deadlineSeconds} s (is it stopped?)`))
  }))

const lock = (database: DatabaseSync, mode: LockMode): DatabaseSync | undefined => {
  try {
    // A read transaction holds SQLite's shared lock until it ends, and nothing is ever written.
    database.exec(mode === "exclusive" ? "BEGIN EXCLUSIVE" : "BEGIN; SELECT count(*) FROM sqlite_schema")
    return database
  } catch (error) {
    database.close()
    if (error instanceof Error && "errcode" in error && error.errcode === sqliteBusy) return undefined
    throw error
  }
}
