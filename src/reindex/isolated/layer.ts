import { execFile } from "node:child_process"
import * as fs from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { Duration, Effect, Exit, Layer, Scope } from "effect"
import { sha256 } from "../../domain/sha256.ts"
import { defaultLimits, Prerenderer, type Renderer, RenderFailure, type RenderLimits } from "../Prerenderer.ts"
import { findConfinement } from "./findConfinement.ts"
import { type IsolatedProcess, type Program, start } from "./IsolatedProcess.ts"

/**
 * Renders in Node processes of their own, under Node's permission model and as little of the system as it lets us take
 * away. A process serves one realm's renderings, each in a thread of its own; after a timeout or a crash it is replaced.
 */
export const layerIsolated = (given: Partial<RenderLimits> = {}) =>
  Layer.effect(
    Prerenderer,
    Effect.gen(function*() {
      const limits = { ...defaultLimits, ...given }
      const program = yield* readProgram()
      // Found at the first rendering, and once: a replica that renders nothing starts nothing.
      // What kept it from starting, a full disk or process table, may be over at the next.
      const confinement = yield* Effect.cachedWithTTL(
        findConfinement(({ command }) => Effect.scoped(start({ confinement: command, program, limits }))),
        (exit) => Exit.isSuccess(exit) ? Duration.infinity : Duration.zero
      )
      return Prerenderer.of({
        fingerprint: sha256(`isolated ${JSON.stringify(limits)} ${program.supervisor} ${program.thread}`),
        open: Effect.flatMap(confinement, ({ command }) => open({ confinement: command, program, limits }))
      })
    })
  )

const open = Effect.fnUntraced(function*(options: Parameters<typeof start>[0]) {
  const scope = yield* Effect.scope
  let running: { readonly process: IsolatedProcess; readonly scope: Scope.Closeable } | undefined
  const stop = Effect.suspend(() => {
    const ended = running
    running = undefined
    return ended === undefined ? Effect.void : Scope.close(ended.scope, Exit.void)
  })
  const current = Effect.gen(function*() {
    if (running !== undefined) return running.process
    const own = yield* Scope.fork(scope)
    const process = yield* Effect.onError(Scope.provide(start(options), own), () => Scope.close(own, Exit.void))
    running = { process, scope: own }
    return process
  })
  return {
    render: (renderable, load) =>
      Effect.gen(function*() {
        const process = yield* current
        return yield* process.render(renderable, load).pipe(
          Effect.tapError((error) => "reason" in error && error.reason === "error" ? Effect.void : stop),
          Effect.onInterrupt(() => stop)
        )
      }).pipe(
        Effect.retry({ times: 1, while: ({ _tag }) => _tag === "NotBegun" }),
        Effect.catchTag("NotBegun", ({ detail }) => Effect.fail(new RenderFailure({ reason: "unavailable", detail })))
      )
  } satisfies Renderer
})

const readProgram = Effect.fnUntraced(function*() {
  const isSource = import.meta.url.endsWith(".ts")
  const read = (name: string) =>
    Effect.promise(async () => {
      const file = fileURLToPath(new URL(`./${name}.${isSource ? "ts" : "js"}`, import.meta.url))
      return isSource ? await stripped(file) : await fs.readFile(file, "utf8")
    })
  return { supervisor: yield* read("supervisor"), thread: yield* read("thread") } satisfies Program
})

// Where Lockstep runs from its sources. Apart, as Node warns of it; and not in the isolated process, whose memory it fills.
const stripped = async (file: string) => {
  const program = `import * as fs from "node:fs"; import { stripTypeScriptTypes } from "node:module"
    process.stdout.write(stripTypeScriptTypes(fs.readFileSync(process.argv[1], "utf8")))`
  const args = ["--no-warnings", "--input-type=module", "--eval", program, file]
  return (await promisify(execFile)(process.execPath, args, { timeout: 30_000 })).stdout
}
