import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { execFile } from "node:child_process"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { transpileJob } from "../../src/transpile/TranspileJob.ts"
import { type ModuleSource, Transpiler } from "../../src/transpile/Transpiler.ts"
import { moduleSource } from "./moduleSource.ts"
import { outputDigest, samples } from "./samples.ts"

/** A module that takes Babel more than ten seconds, and more than 500 MB. */
const enormous = moduleSource(
  "big.js",
  "export const f = (a, b) => [a ? b : { a, b }, `${a}`];\n".repeat(100_000).replaceAll(
    "export const f",
    "(0, g)(1)(2); x.f"
  )
)

describe("Transpiler", () => {
  layer(Transpiler.layer({ workers: 2, timeout: "120 seconds" }), { excludeTestServices: true })(
    "in worker threads",
    (it) => {
      it.effect("gives the bytes and errors that it gives in the calling thread", () =>
        Effect.gen(function*() {
          const farm = yield* Transpiler
          const inline = yield* Effect.provide(Transpiler, Transpiler.layerInline())
          for (const source of [...samples, moduleSource("bad.ts", "let = 1"), moduleSource("card.gts", "")]) {
            for (const task of ["transpile", "analyze"] as const) {
              const outcome = (transpiler: Transpiler["Service"]) =>
                Effect.result<unknown, unknown, never>(transpiler[task](source))
              assert.deepStrictEqual(yield* outcome(farm), yield* outcome(inline))
            }
          }
        }))

      it.effect("leaves the caller's bytes alone, and sends no more than them", () =>
        Effect.gen(function*() {
          const pool = Buffer.from("secret export const a = 1 secret")
          const source: ModuleSource = { group: "g", path: "a.ts", bytes: pool.subarray(7, 25) }
          const { transpile } = yield* Transpiler
          const [first, second] = yield* Effect.all([transpile(source), transpile(source)], { concurrency: 2 })
          assert.strictEqual(first.code, "export const a = 1;")
          assert.deepStrictEqual(second, first)
          assert.strictEqual(pool.toString(), "secret export const a = 1 secret")
          assert.strictEqual(transpileJob("transpile", source).bytes.buffer.byteLength, source.bytes.byteLength)
        }))

      it.effect("transpiles code that is nested deeper than the default stack allows", () =>
        Effect.gen(function*() {
          const { transpile } = yield* Transpiler
          const sum = Array.from({ length: 10_000 }, () => "a").join(" + ")
          assert.strictEqual((yield* transpile(moduleSource("sum.ts", sum))).code, `${sum};`)
        }))
    }
  )

  it.live("fails a module that takes too long with its limit, and goes on", () =>
    Effect.gen(function*() {
      const { transpile } = yield* Transpiler
      const failure = yield* Effect.flip(transpile(enormous))
      assert.deepInclude(failure, { _tag: "TranspileTimeout", path: "big.js", limit: 2_000 })
      assert.strictEqual(failure.message, "big.js: took longer than 2000 ms to transpile")
      // A machine that stands still may make it late as well, but not each time.
      const next = Effect.retry(transpile(moduleSource("a.ts", "export {}")), {
        times: 2,
        while: ({ _tag }) => _tag === "TranspileTimeout"
      })
      assert.strictEqual((yield* next).code, "export {};")
    }).pipe(Effect.provide(Transpiler.layer({ workers: 1, timeout: "2 seconds" }))))

  it.live("blames the code for the memory that it needs, and goes on", () =>
    Effect.gen(function*() {
      const { transpile } = yield* Transpiler
      const failure = yield* Effect.flip(transpile(enormous))
      assert.deepInclude(failure, {
        _tag: "TranspileError",
        path: "big.js",
        detail: "cannot be transpiled: a worker needed more than 100 MB"
      })
      assert.strictEqual((yield* transpile(moduleSource("a.ts", "export {}"))).code, "export {};")
    }).pipe(Effect.provide(Transpiler.layer({ workers: 1, maxHeapMb: 100, timeout: "120 seconds" }))))

  it.live("says that it is unavailable when too many wait, and when it is shut down", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const context = yield* Layer.buildWithScope(Transpiler.layer({ workers: 1, queueLimit: 0 }), scope)
      const attempt = Effect.flip(Effect.flatMap(Transpiler, ({ transpile }) => transpile(moduleSource("a.ts", ""))))
        .pipe(
          Effect.provideContext(context)
        )
      assert.deepInclude(yield* attempt, { _tag: "TranspilerUnavailable", reason: "full" })
      yield* Scope.close(scope, Exit.void)
      assert.deepInclude(yield* attempt, { _tag: "TranspilerUnavailable", reason: "closed" })
    }))

  it.live(
    "writes the same bytes in another directory and environment, prints nothing, and lets the process end",
    () =>
      Effect.gen(function*() {
        const here = yield* Effect.provide(outputDigest, Transpiler.layer({ workers: 1 }))
        const there = yield* Effect.promise(() =>
          promisify(execFile)(process.execPath, [fileURLToPath(new URL("./otherProcess.ts", import.meta.url))], {
            cwd: tmpdir(),
            env: {
              NODE_ENV: "development",
              BABEL_ENV: "test",
              BROWSERSLIST: "ie 6",
              FORCE_COLOR: "3",
              TZ: "Asia/Tokyo"
            },
            timeout: 120_000
          })
        )
        assert.strictEqual(there.stdout, `${here}\n`)
        assert.strictEqual(there.stderr, "")
      })
  )

  it.live("has a fingerprint that follows the options, and is the same in threads and inline", () =>
    Effect.gen(function*() {
      const of = (layer: Layer.Layer<Transpiler, unknown>) =>
        Effect.map(Effect.orDie(Effect.provide(Transpiler, layer)), ({ fingerprint }) => fingerprint)
      const inline = yield* of(Transpiler.layerInline())
      assert.match(inline, /^[0-9a-f]{32}$/)
      assert.strictEqual(yield* of(Transpiler.layer({ workers: 1, timeout: "1 second", maxHeapMb: 512 })), inline)
      assert.notStrictEqual(yield* of(Transpiler.layerInline({ jsxImportSource: "preact" })), inline)
    }))
})
