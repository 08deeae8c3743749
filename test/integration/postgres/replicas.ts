import { PgClient } from "@effect/sql-pg"
import { Context, Effect, Layer, Redacted, Schedule } from "effect"
import { SqlClient } from "effect/sql"
import { spawn } from "node:child_process"
import * as Fs from "node:fs/promises"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { eventually as comesTrue } from "../../support/eventually.ts"

/** A data directory that the server's account can enter, gone at the end with any server that a test left in it. */
export const temporaryDataDir = Effect.acquireRelease(
  Effect.promise(async () => {
    const path = await Fs.mkdtemp(Path.join(await Fs.realpath(tmpdir()), "lockstep-data-"))
    await Fs.chmod(path, 0o755)
    return path
  }),
  (path) =>
    Effect.promise(async () => {
      const pid = await serverPid(path)
      if (pid !== undefined) process.kill(pid, "SIGKILL")
      const home = await Fs.realpath(Path.join(path, "postgres")).catch(() => path)
      await Fs.rm(home, { recursive: true, force: true, maxRetries: 10 })
      await Fs.rm(path, { recursive: true, force: true, maxRetries: 10 })
    }).pipe(Effect.ignoreCause)
)

/** One data directory for the tests of a file, which then pay for one initdb. */
export class DataDir extends Context.Service<DataDir, string>()("lockstep/test/DataDir") {
  static readonly layer = Layer.effect(DataDir, temporaryDataDir)
}

export interface Replica {
  readonly pid: number
  /** The server's URL, as soon as the replica has it; fails with what it wrote if it ends before. */
  readonly url: Effect.Effect<string, string>
  /** What it wrote to both outputs, when it has ended. */
  readonly ended: Effect.Effect<string>
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly signalGroup: (signal: NodeJS.Signals) => Effect.Effect<void>
}

const program = fileURLToPath(new URL("replica.ts", import.meta.url))

/** Runs `replica.ts`, in a process group of its own, until the scope closes. */
export const startReplica = (dataDir: string, account?: { readonly uid: number; readonly gid: number }) =>
  Effect.acquireRelease(
    Effect.sync((): Replica => {
      const child = spawn(process.execPath, [program, dataDir], {
        cwd: "/",
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
        ...account
      })
      const pid = child.pid ?? 0
      let output = ""
      const collect = (chunk: Buffer) => {
        output += chunk.toString()
      }
      child.stdout.on("data", collect)
      child.stderr.on("data", collect)
      const url = new Promise<string>((resolve, reject) => {
        child.stdout.on("data", () => {
          const found = /^postgres:.*(?=\n)/m.exec(output)
          if (found !== null) resolve(found[0])
        })
        child.once("close", () => reject(output))
      })
      // Nobody may be waiting for it.
      url.catch(() => {})
      const ended = new Promise<string>((resolve) => child.once("close", () => resolve(output)))
      return {
        pid,
        url: Effect.tryPromise({ try: () => url, catch: String }).pipe(
          Effect.timeout("120 seconds"),
          Effect.mapError(String)
        ),
        ended: Effect.promise(() => ended),
        signal: (signal) => Effect.sync(() => process.kill(pid, signal)),
        signalGroup: (signal) => Effect.sync(() => process.kill(-pid, signal))
      }
    }),
    (replica) => Effect.andThen(Effect.ignore(Effect.try(() => process.kill(-replica.pid, "SIGKILL"))), replica.ended)
  )

/** The process id in the cluster's `postmaster.pid`, if there is one. */
export const serverPid = async (dataDir: string) => {
  const text = await Fs.readFile(Path.join(dataDir, "postgres/cluster/postmaster.pid"), "utf8").catch(() => undefined)
  return text === undefined ? undefined : Number(text.split("\n")[0])
}

/** One statement on a connection of its own. */
export const query = (url: string, statement: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(statement)).pipe(
    Effect.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 1, connectTimeout: "5 seconds" }))
  )

/** Whether something listens at the URL's port. */
export const isListening = (url: string) =>
  Effect.callback<boolean>((resume) => {
    const socket = connect(Number(new URL(url).port), "127.0.0.1")
    socket.once("connect", () => resume(Effect.as(Effect.sync(() => socket.destroy()), true)))
    socket.once("error", () => resume(Effect.succeed(false)))
  })

/**
 * Waits until nothing listens at the URL's port, and the server has taken its `postmaster.pid` away: the last replica waits
 * for a few seconds only after it has asked it to stop.
 */
export const serverHasStopped = (url: string, dataDir: string) =>
  comesTrue(
    "the server's end",
    Effect.all({ isListening: isListening(url), pid: Effect.promise(() => serverPid(dataDir)) }),
    ({ isListening, pid }) => !isListening && pid === undefined,
    30_000
  )

/** Repeats the effect until it succeeds, for two minutes. */
export const eventually = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.retry(effect, { schedule: Schedule.spaced("10 millis") }).pipe(Effect.timeout("120 seconds"))
