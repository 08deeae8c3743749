import { Effect, Schema, type Scope } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { type Ask, type Answer, makeHttpClient, type NoAnswer } from "./httpClient.ts"

/** How a `lockstep serve` process is started. */
export interface ReplicaOptions {
  readonly replicaId: string
  readonly publicUrl: string
  readonly dataDir: string
  readonly realmsDir?: string
  /** Without it the replica uses the embedded server of its data directory. */
  readonly databaseUrl?: string
  /** A free one by default. */
  readonly port?: number
  readonly args?: ReadonlyArray<string>
  /** Another program that takes the same arguments. */
  readonly program?: string
  /** Arguments for Node, before the program. */
  readonly nodeArgs?: ReadonlyArray<string>
  /** Variables over the usual ones. */
  readonly environment?: Readonly<Record<string, string>>
  /** The account to run under, when this process is root's. */
  readonly account?: { readonly uid: number; readonly gid: number }
}

/** A process that ended, or did not do in time what it was to do; with what it wrote. */
export class ReplicaFailed extends Schema.TaggedError<ReplicaFailed>("lockstep/test/ReplicaFailed")("ReplicaFailed", {
  replicaId: Schema.String,
  detail: Schema.String,
  log: Schema.String
}) {
  override get message() {
    return `${this.replicaId} ${this.detail}; it wrote:\n${this.log}`
  }
}

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ReplicaProcess {
  readonly replicaId: string
  readonly pid: number
  /** The URL of its `listening on` line. */
  readonly listening: Effect.Effect<string, ReplicaFailed>
  /** How it ended; fails when it has not within the deadline. */
  readonly ended: (deadlineMillis?: number) => Effect.Effect<Ended, ReplicaFailed>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Sends the signal to every process of its group. */
  readonly killGroup: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** What it has written so far, both outputs. */
  readonly log: () => string
}

/** A replica that listens. */
export interface Replica extends ReplicaProcess {
  readonly url: string
  /** One request to this replica; its failures carry the end of the replica's log. */
  readonly ask: (path: string, ask?: Ask) => Effect.Effect<Answer, NoAnswer | ReplicaFailed>
  /** The counters of `/_status`. */
  readonly status: Effect.Effect<Readonly<Record<string, number>>, NoAnswer | ReplicaFailed>
}

export const lockstep = fileURLToPath(new URL("../../src/main.ts", import.meta.url))

/** Hundreds of processes start in a run of the suite: what the first has compiled, the others need not. */
const compileCache = fileURLToPath(new URL("../../node_modules/.cache/lockstep-tests", import.meta.url))

/** The environment of a child: ours, without what would configure Lockstep behind a test's back. */
export const childEnvironment = (): NodeJS.ProcessEnv => ({
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) =>
      name !== "DATABASE_URL" && name !== "NODE_OPTIONS" && !/^(LOCKSTEP|PG|VITEST)/.test(name)
    )
  ),
  NODE_COMPILE_CACHE: compileCache
})

/** Runs the program in a process group of its own, killed when the scope closes. */
export const spawnReplica = (options: ReplicaOptions): Effect.Effect<ReplicaProcess, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => launch(options)),
    (replica) => Effect.andThen(replica.killGroup("SIGKILL"), Effect.ignore(replica.ended()))
  )

/** Runs the program and waits until it listens. */
export const startReplica = Effect.fnUntraced(function*(
  options: ReplicaOptions
): Effect.fn.Return<Replica, ReplicaFailed, Scope.Scope> {
  const replica = yield* spawnReplica(options)
  const url = yield* replica.listening
  const client = yield* makeHttpClient(url)
  const ask = (path: string, ask?: Ask) =>
    client.ask(path, ask).pipe(
      Effect.mapError((error) =>
        new ReplicaFailed({ replicaId: replica.replicaId, detail: error.message, log: tail(replica.log()) })
      )
    )
  return {
    ...replica,
    url,
    ask,
    status: Effect.map(ask("/_status"), ({ json }) => json as Readonly<Record<string, number>>)
  }
})

const tail = (log: string) => log.length > 6000 ? `...${log.slice(-6000)}` : log

const launch = (options: ReplicaOptions): ReplicaProcess => {
  const { account, args = [], databaseUrl, dataDir, environment = {}, nodeArgs = [], port = 0, program = lockstep } =
    options
  const { publicUrl, realmsDir, replicaId } = options
  const child = spawn(
    process.execPath,
    [
      ...nodeArgs,
      program,
      "serve",
      ...realmsDir === undefined ? [] : [realmsDir],
      `--port=${port}`,
      `--public-url=${publicUrl}`,
      `--data-dir=${dataDir}`,
      `--replica-id=${replicaId}`,
      ...args
    ],
    {
      cwd: dataDir,
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...childEnvironment(),
        ...databaseUrl === undefined ? {} : { DATABASE_URL: databaseUrl },
        ...environment
      },
      ...account
    }
  )
  let log = ""
  const failed = (detail: string) => new ReplicaFailed({ replicaId, detail, log: tail(log) })
  const listening = new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      log += chunk.toString()
      const found = /^listening on (http:\/\/\S+)$/m.exec(log)
      if (found !== null) resolve(found[1] ?? "")
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.once("error", (error) => reject(failed(`could not be started: ${error.message}`)))
    child.once("close", (code, signal) => reject(failed(`ended (${signal ?? code}) before it listened`)))
  })
  const ended = new Promise<Ended>((resolve) => child.once("close", (code, signal) => resolve({ code, signal })))
  // Nobody may be waiting for it.
  listening.catch(() => {})
  const within = <A>(promise: Promise<A>, millis: number, what: string) =>
    Effect.tryPromise({
      try: () => promise,
      catch: (error) => error instanceof ReplicaFailed ? error : failed(String(error))
    }).pipe(Effect.timeoutOrElse({
      duration: millis,
      orElse: () => Effect.fail(failed(`did not ${what} within ${millis} ms`))
    }))
  // A process that has ended needs no signal; one that never started has no id, and 0 would be ourselves.
  const send = (target: number, signal: NodeJS.Signals) =>
    Effect.ignore(Effect.try(() => pid > 0 && process.kill(target, signal)))
  const pid = child.pid ?? 0
  return {
    replicaId,
    pid,
    listening: within(listening, 180_000, "listen"),
    ended: (deadlineMillis = 60_000) => within(ended, deadlineMillis, "end"),
    kill: (signal) => send(pid, signal),
    killGroup: (signal) => send(-pid, signal),
    log: () => log
  }
}
