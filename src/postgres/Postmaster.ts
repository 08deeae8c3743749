import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { attempt, failure } from "./errors.ts"
import { runProgram } from "./runProgram.ts"
import { readIfThere, type ServerHome } from "./ServerHome.ts"

/**
 * What is known of a cluster's server process.
 *
 * - `Absent`: no server, and nothing in a new one's way.
 * - `Stale`: no server, but its lock file stands and names a process that a new one could take for it.
 * - `Alive`: a server; it is `ready` for connections, or it is starting up or shutting down.
 */
export type Postmaster =
  | { readonly _tag: "Absent" }
  | { readonly _tag: "Stale" }
  | { readonly _tag: "Alive"; readonly pid: number; readonly port: number; readonly ready: boolean }

const absent: Postmaster = { _tag: "Absent" }
const stale: Postmaster = { _tag: "Stale" }

/** Looks at the cluster's `postmaster.pid`, and whether the process that it names is this cluster's server. */
export const inspect = Effect.fnUntraced(function*(cluster: string) {
  const lockFile = yield* readIfThere(lockFileOf(cluster))
  if (lockFile === undefined) return absent
  // pid, directory, start, port, socket directory, address, shared memory, status: a line each, added as it starts.
  const lines = lockFile.split("\n")
  const pid = Number(lines[0])
  if (!Number.isInteger(pid) || pid <= 0 || !(yield* serves(pid, cluster))) return stale
  const alive: Postmaster = { _tag: "Alive", pid, port: Number(lines[3]), ready: lines[7]?.trim() === "ready" }
  return alive
})

/**
 * Starts the server and waits until it is ready. It is nobody's child (pg_ctl sees to that), so neither a signal to the
 * starter's process group nor a walk over its descendants finds it.
 */
export const start = Effect.fnUntraced(function*(home: ServerHome, binaries: string, deadlineSeconds: number) {
  yield* prepareLog(home)
  const before = yield* attempt(`look at ${home.log}`, () => Fs.stat(home.log))
  const pgCtl = runProgram(Path.join(binaries, "bin/pg_ctl"), [
    "start",
    "--wait",
    `--timeout=${deadlineSeconds}`,
    "--silent",
    `--pgdata=${home.cluster}`,
    `--log=${home.log}`
  ], { account: home.account, deadlineSeconds: deadlineSeconds + 5 })
  const started = Effect.flatMap(
    pgCtl,
    ({ code, output }) =>
      code === 0 ? Effect.void : Effect.flatMap(logSince(home, before.size), (log) => Effect.fail(failure(output, log)))
  )
  // pg_ctl looks ten times a second, which is longer than the start takes.
  yield* Effect.raceFirst(started, until(home.cluster, (server) => server._tag === "Alive" && server.ready))
})

/** Ends the server in order, dropping its connections, as `pg_ctl stop -m fast` does. */
export const stop = Effect.fnUntraced(function*(home: ServerHome, deadlineSeconds: number) {
  const server = yield* inspect(home.cluster)
  if (server._tag !== "Alive") return
  yield* Effect.try({
    try: () => process.kill(server.pid, "SIGINT"),
    catch: (error) => failure(`could not stop the server, process ${server.pid}: ${String(error)}`)
  })
  yield* until(home.cluster, ({ _tag }) => _tag !== "Alive").pipe(Effect.timeoutOrElse({
    duration: `${deadlineSeconds} seconds`,
    orElse: () =>
      Effect.flatMap(
        logSince(home, 0),
        (log) =>
          Effect.fail(failure(`the server, process ${server.pid}, did not stop within ${deadlineSeconds} s`, log))
      )
  }))
})

/** Removes a `Stale` server's lock file. PostgreSQL itself refuses to start twice on one cluster's shared memory. */
export const removeLockFile = (cluster: string) =>
  attempt(`remove ${lockFileOf(cluster)}`, () => Fs.rm(lockFileOf(cluster), { force: true }))

/** Waits, without a deadline of its own, until the server is as wanted. */
export const until = Effect.fnUntraced(function*(cluster: string, wanted: (server: Postmaster) => boolean) {
  while (true) {
    const server = yield* inspect(cluster)
    if (wanted(server)) return server
    yield* Effect.sleep("5 millis")
  }
})

/** The end of what the server wrote to its log after the first `offset` bytes. */
export const logSince = Effect.fnUntraced(function*(home: ServerHome, offset: number) {
  const log = (yield* readIfThere(home.log)) ?? ""
  return Buffer.from(log).subarray(offset).toString().trimEnd().split("\n").slice(-20).join("\n")
})

const logLimit = 4 * 1024 * 1024

const prepareLog = (home: ServerHome) =>
  attempt(`prepare ${home.log}`, async () => {
    const before = await Fs.stat(home.log).catch(() => undefined)
    if (before !== undefined && before.size > logLimit) await Fs.rename(home.log, `${home.log}.old`)
    else if (before !== undefined) return
    // "wx": root must not give away a file that somebody linked here.
    const log = await Fs.open(home.log, "wx", 0o600)
    try {
      if (home.account !== undefined) await log.chown(home.account.uid, home.account.gid)
    } finally {
      await log.close()
    }
  })

const lockFileOf = (cluster: string) => Path.join(cluster, "postmaster.pid")

// A process id alone proves nothing: after a reboot, or just later, it may be anybody's. And a dead server that its
// parent has not buried yet still has one, but no command line.
const serves = Effect.fnUntraced(function*(pid: number, cluster: string) {
  const command = process.platform === "linux"
    ? yield* attempt(`look at process ${pid}`, () => readCommandLine(pid))
    : (yield* runProgram("ps", ["-ww", "-o", "command=", "-p", String(pid)], ownAccount)).output
  return process.platform === "linux"
    ? yield* attempt(`look at ${cluster}`, () => namesDirectory(command.split("\0"), cluster))
    : command.includes("postgres") && command.includes(cluster)
})

const ownAccount = { account: undefined, deadlineSeconds: 10 }

const readCommandLine = (pid: number) =>
  Fs.readFile(`/proc/${pid}/cmdline`, "utf8").catch((error: NodeJS.ErrnoException) => {
    // ESRCH: it ended while we were reading.
    if (error.code === "ENOENT" || error.code === "ESRCH") return ""
    throw error
  })

// Compared as directories, not as names: the same place can be mounted twice.
const namesDirectory = async ([program, ...args]: ReadonlyArray<string>, directory: string) => {
  if (Path.basename(program ?? "") !== "postgres") return false
  const wanted = await Fs.stat(directory)
  const found = await Promise.all(args.filter(Path.isAbsolute).map((arg) => Fs.stat(arg).catch(() => undefined)))
  return found.some((stats) => stats?.ino === wanted.ino && stats.dev === wanted.dev)
}
