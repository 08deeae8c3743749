import { transformSync } from "@babel/core"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { babelOptions } from "../../../src/transpile/babelOptions.ts"
import { expectExecutions } from "../../support/executions.ts"
import { Fleet, temporaryDirectory, writeFiles } from "../../support/fleet.ts"
import { childEnvironment } from "../../support/replica.ts"
import { expectStatus } from "./expectations.ts"

const nodeModules = fileURLToPath(new URL("../../../node_modules", import.meta.url))
const effectSource = Path.join(nodeModules, "effect/src")

layer(Fleet.layer({ args: [] }), { excludeTestServices: true })(
  "effect's own source, served by two replicas",
  (it) => {
    it.effect(
      "every module, asked of both at once, is transpiled once in all, as Babel would, and links in Node",
      () =>
        Effect.gen(function*() {
          const { all, first, second } = yield* Fleet
          const created = yield* first.ask("/_create-realm", {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ name: "effect", from: effectSource })
          })
          expectStatus(created, 201)
          const entries = yield* Effect.promise(() => Fs.readdir(effectSource, { recursive: true }))
          const modules = entries.filter((entry) => entry.endsWith(".ts")).sort()
          assert.isAbove(modules.length, 300)

          const served = yield* Effect.forEach(
            modules,
            (path) =>
              Effect.forEach([first, second], (replica) => replica.ask(`/effect/${path}`), {
                concurrency: "unbounded"
              }),
            { concurrency: "unbounded" }
          )
          for (const [one, other] of served) {
            assert.isDefined(one)
            assert.isDefined(other)
            expectStatus(one, 200)
            expectStatus(other, 200)
            assert.isTrue(one.body.equals(other.body), `the replicas differ:\n${one.shown}\n${other.shown}`)
            assert.strictEqual(one.headers.etag, other.headers.etag)
          }

          const counted = yield* Effect.forEach(all, (replica) => replica.status)
          const transpiles = counted.map((status) => status["transpiles"] ?? 0)
          const sum = transpiles.reduce((total, n) => total + n, 0)
          yield* expectExecutions(all, sum, modules.length, JSON.stringify(counted, undefined, 1))
          // Neither was idle: the work was shared.
          for (const n of transpiles) assert.isAbove(n, 0)

          const optionsFor = babelOptions()
          for (const [index, path] of modules.entries()) {
            const source = yield* Effect.promise(() => Fs.readFile(Path.join(effectSource, path), "utf8"))
            const expected = transformSync(source, optionsFor(path) ?? {})?.code
            assert.strictEqual(served[index]?.[0]?.text, expected, `${path} is not what Babel makes of it`)
          }

          const mirror = yield* temporaryDirectory("lockstep-mirror-")
          yield* writeFiles(mirror, Object.fromEntries(modules.map((path, n) => [path, served[n]?.[0]?.body ?? ""])))
          assert.strictEqual(yield* runMirrored(mirror, modules), `${modules.length} modules, 42\n`)
        })
    )
  }
)

/** Imports all of them in a process of its own, which takes the files for the JavaScript that they must be. */
const runMirrored = (directory: string, modules: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const script = `
      import { readFileSync } from "node:fs"
      import { registerHooks } from "node:module"
      import { fileURLToPath } from "node:url"
      registerHooks({
        load: (url, context, next) =>
          url.startsWith("file:") && url.endsWith(".ts")
            ? { format: "module", source: readFileSync(fileURLToPath(url)), shortCircuit: true }
            : next(url, context)
      })
      const modules = ${JSON.stringify(modules)}
      for (const path of modules) await import("./" + path)
      const Effect = await import("./Effect.ts")
      const answer = Effect.runSync(Effect.map(Effect.succeed(21), (n) => n * 2))
      console.log(modules.length + " modules, " + answer)
    `
    await Fs.writeFile(Path.join(directory, "run.mjs"), script)
    await Fs.symlink(nodeModules, Path.join(directory, "node_modules"))
    const { stdout } = await promisify(execFile)(process.execPath, ["run.mjs"], {
      cwd: directory,
      env: childEnvironment(),
      timeout: 60_000
    })
    return stdout
  })
