import { Context, Effect, Layer, Option, type Scope } from "effect"
import { type ChildProcess, fork, spawn } from "node:child_process"
import { BenchFailed } from "./BenchFailed.ts"

/** A child that answers messages. */
export interface Helper<Request, Reply> {
  readonly pid: number
  /** One at a time. Fails when the child does, or does not answer within the deadline. */
  readonly ask: (request: Request, deadlineMillis: number) => Effect.Effect<Reply, BenchFailed>
  /** Lets it end by itself, as it must to write its profile, and waits until it has. */
  readonly end: Effect.Effect<void>
}

/** A server program that says where it listens. */
export interface Program {
  readonly pid: number
  readonly url: string
  /** Asks it to end, and waits until it has. */
  readonly stop: Effect.Effect<void>
}

/** The processes of the bench. Each ends with the scope it was started in. */
export class Children extends Context.Service<Children, {
  /** Starts a file of `processes/`: see `answerParent`. With arguments for Node, if any. */
  readonly helper: <Request, Reply>(
    entry: URL,
    nodeArgs?: ReadonlyArray<string>
  ) => Effect.Effect<Helper<Request, Reply>, BenchFailed, Scope.Scope>
  /** Runs Node with these arguments, and waits for its line `listening on URL`. */
  readonly program: (
    args: ReadonlyArray<string>,
    env: NodeJS.ProcessEnv
  ) => Effect.Effect<Program, BenchFailed, Scope.Scope>
}>()("lockstep/bench/Children") {
  static readonly layer = Layer.succeed(Children, {
    helper: (entry, nodeArgs = []) => startHelper(entry, nodeArgs),
    program: (args, env) => startProgram(args, env)
  })
}

const startMillis = 60_000
const stopMillis = 15_000

const startHelper = Effect.fnUntraced(function*<Request, Reply>(entry: URL, nodeArgs: ReadonlyArray<string>) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      fork(entry, {
        execArgv: [...nodeArgs],
        serialization: "advanced",
        stdio: ["ignore", "inherit", "inherit", "ipc"],
        env: cleanEnvironment()
      })
    ),
    stop
  )
  const next = (deadlineMillis: number, send: () => void) =>
    Effect.callback<Reply, BenchFailed>((resume) => {
      const forget = () => child.off("message", onMessage).off("exit", onExit)
      const settle = (answer: Effect.Effect<Reply, BenchFailed>) => {
        forget()
        resume(answer)
      }
      const failed = (detail: string) => Effect.fail(new BenchFailed({ detail: `${entry.pathname} ${detail}` }))
      const onMessage = (message: unknown) => {
        const { failure, reply } = message as { readonly reply?: Reply; readonly failure?: string }
        settle(failure === undefined ? Effect.succeed(reply as Reply) : failed(failure))
      }
      const onExit = (code: number | null, signal: string | null) => settle(failed(`ended (${signal ?? code})`))
      child.on("message", onMessage).on("exit", onExit)
      if (hasEnded(child)) onExit(child.exitCode, child.signalCode)
      else send()
      return Effect.sync(forget)
    }).pipe(Effect.timeoutOrElse({
      duration: deadlineMillis,
      orElse: () => Effect.fail(new BenchFailed({ detail: `${entry.pathname} did not answer` }))
    }))
  yield* next(startMillis, () => {})
  return {
    pid: child.pid ?? 0,
    ask: (request: Request, deadlineMillis: number) => next(deadlineMillis, () => child.send(request as object)),
    end: Effect.andThen(Effect.sync(() => child.connected && child.disconnect()), ending(child))
  }
})

const startProgram = Effect.fnUntraced(function*(args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) {
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], env: { ...cleanEnvironment(), ...env } })
    ),
    stop
  )
  let log = ""
  const url = yield* Effect.callback<string, BenchFailed>((resume) => {
    const read = (chunk: Buffer) => {
      // the last of it says why it ended
      log = (log + chunk.toString()).slice(-4000)
      const found = /^listening on (http:\/\/\S+)$/m.exec(log)
      if (found?.[1] !== undefined) resume(Effect.succeed(found[1]))
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.once(
      "close",
      (code, signal) =>
        resume(Effect.fail(new BenchFailed({ detail: `a replica ended (${signal ?? code}); it wrote:\n${log}` })))
    )
  }).pipe(Effect.timeoutOrElse({
    duration: startMillis,
    orElse: () => Effect.fail(new BenchFailed({ detail: `a replica did not listen; it wrote:\n${log}` }))
  }))
  return { pid: child.pid ?? 0, url, stop: stop(child) }
})

const hasEnded = (child: ChildProcess) => child.exitCode !== null || child.signalCode !== null

/** SIGTERM, and SIGKILL for one that does not end. */
const stop = (child: ChildProcess) =>
  Effect.andThen(Effect.sync(() => hasEnded(child) || child.kill("SIGTERM")), ending(child))

/** Waits, though not for ever. */
const ending = (child: ChildProcess) =>
  Effect.callback<void>((resume) => {
    if (hasEnded(child) || child.pid === undefined) return resume(Effect.void)
    child.once("exit", () => resume(Effect.void))
  }).pipe(
    Effect.timeoutOption(stopMillis),
    Effect.map((ended) => Option.isNone(ended) && child.kill("SIGKILL")),
    Effect.asVoid
  )

/** Ours, without what would configure a child behind our back. */
const cleanEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(([name]) =>
      name !== "DATABASE_URL" && name !== "NODE_OPTIONS" && !/^(LOCKSTEP|PG)/.test(name)
    )
  )
