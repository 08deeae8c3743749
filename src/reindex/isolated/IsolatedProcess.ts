import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmdirSync } from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { Cause, Data, type Duration, Effect, Option, Queue, Result, Schema, type Scope } from "effect"
import { makePatience, type Patience, timeoutAwake } from "../../domain/timeoutAwake.ts"
import { type LoadModule, type Renderable, RenderFailure, type RenderLimits } from "../Prerenderer.ts"
import { type Beginning, FromProcess, type ToProcess } from "./Messages.ts"

/** The process is gone, or says what it should not: what it wrote last tells why. */
class Ended extends Data.TaggedError("Ended")<{
  readonly detail: string
  readonly wrote: string
  readonly code?: string | undefined
}> {}

/** A rendering that has not begun is not to blame for what became of its process: another one before it is. */
export class NotBegun extends Data.TaggedError("NotBegun")<{
  readonly detail: string
  /** It might have at another time: it was late, or the machine was short of something. */
  readonly passing: boolean
}> {
  override get message() {
    return this.detail
  }
}

/** A process that renders one thing at a time. It is of no use after any failure but `error` and `output`. */
export interface IsolatedProcess {
  readonly render: (
    renderable: Renderable,
    load: LoadModule
  ) => Effect.Effect<Option.Option<string>, RenderFailure | NotBegun>
}

/** What runs in there, in JavaScript: the process can read no file. */
export interface Program {
  /** Runs in the main thread, from the command line. */
  readonly supervisor: string
  /** Runs in a thread for each rendering. */
  readonly thread: string
}

export interface IsolatedProcessOptions {
  /** What Node is run under. */
  readonly confinement: ReadonlyArray<string>
  readonly program: Program
  readonly limits: RenderLimits
}

const startMillis = 10_000

/** Processes, descriptors or memory that the machine was short of. */
const shortages: ReadonlySet<string> = new Set(["EAGAIN", "EMFILE", "ENFILE", "ENOMEM"])

const decode = Schema.decodeUnknownResult(FromProcess)

/** Starts the process and waits until it is ready. Closing the scope kills it, whatever it is doing. */
export const start = Effect.fnUntraced(function*(
  options: IsolatedProcessOptions
): Effect.fn.Return<IsolatedProcess, RenderFailure | NotBegun, Scope.Scope> {
  const { limits } = options
  const inbox = yield* Queue.unbounded<FromProcess, Ended>()
  // A rendering may say as much as its HTML takes in JSON, and a line for each module. More is a flood.
  const allowance = 6 * limits.outputLength + 4096 * limits.modules
  let said = 0
  let wrote = ""
  // Node lets threads read the directory that the process runs in, whatever their permissions (26.10, 22.19): an empty one.
  const cwd = yield* Effect.acquireRelease(
    Effect.try({
      try: () => mkdtempSync(path.join(tmpdir(), "lockstep-rendering-")),
      catch: (cause) => new RenderFailure({ reason: "unavailable", detail: `no directory to run in: ${String(cause)}` })
    }),
    (cwd) => Effect.ignore(Effect.try(() => rmdirSync(cwd)))
  )
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => run(options, cwd)),
    (child) => Effect.sync(() => kill(child))
  )
  const end = (detail: string, code?: string) =>
    void Queue.failCauseUnsafe(inbox, Cause.fail(new Ended({ detail, wrote, code })))
  const expel = (detail: string) => {
    kill(child)
    end(detail)
  }
  const word = randomBytes(16).toString("hex")
  let rest = ""
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk.length
    if (said > allowance) return expel("it writes without end")
    const lines = (rest + chunk).split("\n")
    rest = lines.pop() ?? ""
    for (const line of lines) {
      const message = decode(line.startsWith(word) ? line.slice(word.length) : "")
      if (Result.isFailure(message)) return expel("something else wrote in its name")
      Queue.offerUnsafe(inbox, message.success)
    }
  })
  child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
    wrote = (wrote + chunk).slice(-4000)
  })
  // Written to a process that has just ended.
  child.stdin?.on("error", () => {})
  child.once("error", (error: NodeJS.ErrnoException) => end(error.message, error.code))
  child.once("close", (code, signal) => end(`it ended (${signal ?? `code ${code}`})`))

  const tell = (message: Beginning | ToProcess) =>
    Effect.sync(() => void child.stdin?.write(`${JSON.stringify(message)}\n`))

  // What was forced out must not be awaited, and an answer that comes too late must not be taken for the next one's.
  const take = (patience: Duration.Input | Patience, late: string) =>
    timeoutAwake(Queue.take(inbox), {
      patience,
      orElse: () =>
        Effect.suspend(() => {
          kill(child)
          return Effect.fail(new RenderFailure({ reason: "timeout", detail: late }))
        })
    })

  const answered = (expected: "ready" | "begun") =>
    take(startMillis, `it does not answer within ${startMillis} ms`).pipe(
      Effect.filterOrFail(
        (message) => expected in message,
        () => new Ended({ detail: "it does not begin well", wrote })
      ),
      Effect.mapError((failure) =>
        new NotBegun({
          detail: failure.detail,
          passing: failure._tag === "RenderFailure" || shortages.has(failure.code ?? "")
        })
      )
    )

  const render: IsolatedProcess["render"] = Effect.fnUntraced(function*({ model, module, name }, load) {
    said = 0
    yield* tell({
      render: {
        module,
        ...(name === undefined ? {} : { name }),
        ...(model === undefined ? {} : { model: JSON.stringify(model) })
      }
    })
    yield* answered("begun")
    // What it waits for, its modules, is not its own time.
    const patience = yield* makePatience(limits.timeoutMillis)
    for (let modules = 0;;) {
      const message = yield* Effect.catchTag(
        take(patience, `it took longer than ${limits.timeoutMillis} ms`),
        "Ended",
        ({ detail, wrote }) => Effect.fail(ending(detail, wrote))
      )
      if ("html" in message) return yield* bounded(message.html, limits)
      if ("none" in message) return Option.none()
      if ("failure" in message) {
        return yield* new RenderFailure({ reason: message.reason, detail: message.failure.slice(0, 4000) })
      }
      if ("need" in message) {
        if (++modules > limits.modules) {
          kill(child)
          return yield* new RenderFailure({
            reason: "output",
            detail: `it imports more than ${limits.modules} modules`
          })
        }
        const loaded = yield* Effect.result(load(message.need))
        yield* tell({
          module: Result.isSuccess(loaded)
            ? { url: message.need, code: loaded.success.code }
            : { url: message.need, failure: loaded.failure.detail }
        })
      }
    }
  }, Effect.onInterrupt(() => Effect.sync(() => kill(child))))

  const { heapMb, outputLength } = limits
  yield* tell({ word, thread: options.program.thread, heapMb, outputLength })
  yield* answered("ready")
  return { render }
})

const bounded = (html: string, { outputLength }: RenderLimits) =>
  html.length <= outputLength
    ? Effect.succeedSome(html)
    : Effect.fail(new RenderFailure({ reason: "output", detail: `the HTML has more than ${outputLength} characters` }))

const ending = (detail: string, wrote: string) =>
  /heap out of memory|Allocation failed|bad_alloc|OOM/i.test(wrote)
    ? new RenderFailure({ reason: "memory", detail: "it needed more memory than it may have" })
    : new RenderFailure({ reason: "crash", detail: `its process is gone: ${detail}` })

const run = ({ confinement, limits, program }: IsolatedProcessOptions, cwd: string): ChildProcess => {
  const [command, ...args] = [
    ...confinement.length === 0 ? [] : [...confinement, "env", "-i"],
    process.execPath,
    "--permission",
    // For the supervisor alone: its threads have permissions of their own, without this one.
    "--allow-worker",
    "--experimental-vm-modules",
    "--no-warnings",
    "--no-addons",
    "--no-experimental-sqlite",
    "--disable-wasm-trap-handler",
    // Threads share the process: its flags, and the memory that one of them has given back.
    "--freeze-flags-after-init",
    "--zero-fill-buffers",
    `--max-old-space-size=${limits.heapMb}`,
    "--input-type=module",
    "--eval",
    program.supervisor
  ]
  // A group of its own: signals that it sends to its group stay in it, and ours reach all of it.
  // The tools of the confinement are looked up in PATH. The program itself gets an empty environment.
  const env = confinement.length === 0 ? {} : { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" }
  return spawn(command, args, { cwd, env, stdio: "pipe", detached: true })
}

const kill = ({ pid }: ChildProcess) => {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL")
  } catch {
    // It has ended.
  }
}
