import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Result } from "effect"
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { startWorker } from "../../src/transpile/FarmWorker.ts"
import { Transpiler } from "../../src/transpile/Transpiler.ts"
import { eventually } from "../support/eventually.ts"
import { compilers } from "./compilers.ts"
import { moduleSource } from "./moduleSource.ts"
import { outputDigest, samples } from "./samples.ts"

/** Nested so deeply that native code overflows its stack, and takes its process along. */
const deadly = moduleSource("deep.ts", `export const a = ${"[".repeat(200_000)}`)

const isAlive = (pid: number) => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe("oxc in worker processes", () => {
  layer(Transpiler.layerOxc({ workers: 1, timeout: "120 seconds" }), { excludeTestServices: true })(
    "of one farm",
    (it) => {
      it.effect("gives the bytes, maps, analyses and errors of its pipeline", () =>
        Effect.gen(function*() {
          const farm = yield* Transpiler
          for (const source of [...samples, moduleSource("bad.ts", "let = 1"), moduleSource("card.gts", "")]) {
            for (const task of ["transpile", "analyze", "map"] as const) {
              const outcome = yield* Effect.result<unknown, object, never>(farm[task](source))
              const answer = compilers.oxc[task](source.path, source.bytes)
              if (Result.isSuccess(outcome)) {
                assert.deepStrictEqual<unknown>({ _tag: "Done", value: outcome.success }, answer)
              } else {
                const { _tag, path, ...problem } = { ...outcome.failure } as Record<string, unknown>
                assert.deepStrictEqual<unknown>({ _tag: "Rejected", problem }, answer)
                assert.deepStrictEqual([_tag, path], ["TranspileError", source.path])
              }
            }
          }
        }))

      it.effect("outlives a module that ends its process, tells of it in Babel's words, and goes on", () =>
        Effect.gen(function*() {
          const { transpile } = yield* Transpiler
          const failure = yield* Effect.flip(transpile(deadly))
          assert.deepInclude(failure, { _tag: "TranspileError", detail: "is nested too deeply to be transpiled" })
          assert.strictEqual((yield* transpile(moduleSource("a.ts", "export {}"))).code, "export {};\n")
        }))
    }
  )

  it.live("blames the code for memory that native code takes, and goes on", () =>
    Effect.gen(function*() {
      const { transpile } = yield* Transpiler
      // each line is indented by all braces around it: 400 KB of source, 800 MB of tabs
      const source = moduleSource("wide.ts", `${"{".repeat(4_000)}${"a;".repeat(200_000)}${"}".repeat(4_000)}`)
      // Its process looks at its memory from time to time: it may miss it once, when others have the machine to themselves.
      const watched = /needed more than 612 MB/
      const failure = yield* Effect.repeat(Effect.flip(transpile(source)), {
        until: ({ message }) => watched.test(message),
        times: 2
      })
      assert.deepInclude(failure, { _tag: "TranspileError", path: "wide.ts" })
      assert.match(failure.message, watched)
      assert.strictEqual((yield* transpile(moduleSource("a.ts", "export {}"))).code, "export {};\n")
    }).pipe(Effect.provide(Transpiler.layerOxc({ workers: 1, maxHeapMb: 100, timeout: "120 seconds" }))))

  it.live("has a process that ends with its scope", () =>
    Effect.gen(function*() {
      const entry = new URL("./pidWorker.ts", import.meta.url)
      const pid = yield* Effect.scoped(Effect.gen(function*() {
        const worker = yield* startWorker<string, number>({ entry, heapMb: 64, place: "process" })
        const pid = yield* worker.ask("who")
        assert.notStrictEqual(pid, process.pid)
        assert.isTrue(isAlive(pid))
        return pid
      }))
      assert.isFalse(isAlive(pid))
    }))

  it.live("has a process that ends with a replica that is killed", () =>
    Effect.gen(function*() {
      const owner = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, [fileURLToPath(new URL("./pidOwner.ts", import.meta.url))], {
            stdio: ["ignore", "pipe", "inherit"]
          })
        ),
        (owner) => Effect.sync(() => owner.kill("SIGKILL"))
      )
      const [said] = yield* Effect.promise(() => once(owner.stdout, "data"))
      const pid = Number(String(said))
      assert.isTrue(isAlive(pid))
      owner.kill("SIGKILL")
      yield* eventually("the worker's end", Effect.sync(() => isAlive(pid)), (alive) => !alive)
    }))

  it.live(
    "writes the same bytes in another directory and environment, prints nothing, and lets the process end",
    () =>
      Effect.gen(function*() {
        const here = yield* Effect.provide(outputDigest, Transpiler.layerOxc({ workers: 1 }))
        const there = yield* Effect.promise(() =>
          promisify(execFile)(process.execPath, [fileURLToPath(new URL("./otherProcess.ts", import.meta.url)), "oxc"], {
            cwd: tmpdir(),
            env: { NODE_ENV: "development", BABEL_ENV: "test", FORCE_COLOR: "3", NODE_OPTIONS: "--no-warnings" },
            timeout: 120_000
          })
        )
        assert.strictEqual(there.stdout, `${here}\n`)
        assert.strictEqual(there.stderr, "")
      })
  )

  it.live("has a fingerprint of its own, which follows the options", () =>
    Effect.gen(function*() {
      const of = (layer: Layer.Layer<Transpiler, unknown>) =>
        Effect.map(Effect.orDie(Effect.provide(Transpiler, layer)), ({ fingerprint }) => fingerprint)
      const oxc = yield* of(Transpiler.layerOxc({ workers: 1 }))
      assert.match(oxc, /^[0-9a-f]{32}$/)
      assert.notStrictEqual(oxc, yield* of(Transpiler.layerInline()))
      assert.notStrictEqual(oxc, yield* of(Transpiler.layerOxc({ workers: 1, jsxImportSource: "preact" })))
    }))
})
