import { fileURLToPath } from "node:url"
import { Deferred, Effect, Stream } from "effect"
import { ChildProcess } from "effect/process"
import { CommandFailed } from "../CommandFailed.ts"

/** A replica in a process of its own. */
export interface ReplicaProcess {
  readonly id: string
  readonly pid: number
  /** Its own address, without a slash at the end. */
  readonly url: string
  /** Asks it to end, and waits until it has: its exit code. */
  readonly stop: Effect.Effect<number, CommandFailed>
}

// .ts when run from source, .js when built: whatever this file is.
const entry = fileURLToPath(
  new URL(import.meta.url.endsWith(".ts") ? "../../main.ts" : "../../main.js", import.meta.url)
)

const startDeadline = "60 seconds"
const keptLogLines = 20

/**
 * Starts `lockstep serve` with these arguments and waits until it can answer. It ends with the scope. It leads a process
 * group, so that a Ctrl-C in the terminal reaches it once, from here, and not twice.
 */
export const startReplica = Effect.fnUntraced(function*(id: string, args: ReadonlyArray<string>) {
  const log: Array<string> = []
  const address = yield* Deferred.make<string, CommandFailed>()
  const process = yield* ChildProcess.make(globalThis.process.execPath, [
    entry,
    "serve",
    "--replica-id",
    id,
    "--port",
    "0",
    ...args
  ], { env: environment(), stdin: "ignore", killSignal: "SIGTERM", forceKillAfter: "12 seconds" })

  // Both pipes are read to their ends: a full one would stop the replica.
  yield* lines(process.stderr).pipe(
    Stream.runForEach((line) =>
      Effect.sync(() => {
        log.push(line)
        if (log.length > keptLogLines) log.shift()
      })
    ),
    Effect.ignore,
    Effect.forkScoped
  )
  yield* lines(process.stdout).pipe(
    Stream.runForEach((line) => {
      const [, url] = /^listening on (\S+)$/.exec(line) ?? []
      return url === undefined ? Effect.void : Deferred.succeed(address, url)
    }),
    Effect.ignore,
    Effect.andThen(Effect.suspend(() => Deferred.fail(address, failed(`the replica ${id} ended`, log)))),
    Effect.forkScoped
  )
  const url = yield* Deferred.await(address).pipe(
    Effect.timeoutOrElse({
      duration: startDeadline,
      orElse: () => Effect.fail(failed(`the replica ${id} did not start within ${startDeadline}`, log))
    })
  )
  return {
    id,
    pid: process.pid,
    url,
    stop: Effect.andThen(process.kill(), process.exitCode).pipe(
      Effect.mapError((error) => failed(`the replica ${id} did not end well: ${error.message}`, log))
    )
  } satisfies ReplicaProcess
}, Effect.catchTag("PlatformError", (error) => new CommandFailed({ message: error.message })))

const lines = <E>(output: Stream.Stream<Uint8Array, E>) => output.pipe(Stream.decodeText(), Stream.splitLines)

// The demo's replicas take nothing from the user's own set-up.
const environment = () =>
  Object.fromEntries(
    Object.entries(globalThis.process.env).filter(([name]) => name !== "DATABASE_URL" && !name.startsWith("LOCKSTEP_"))
  )

const failed = (what: string, log: ReadonlyArray<string>) =>
  new CommandFailed({ message: log.length === 0 ? what : `${what}; its log:\n${log.join("\n")}` })
