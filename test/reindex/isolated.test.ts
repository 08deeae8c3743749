import { assert, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { layerIsolated } from "../../src/reindex/isolated/layer.ts"
import { Prerenderer, RenderFailure } from "../../src/reindex/Prerenderer.ts"
import { prerenderer } from "./prerenderer.ts"

const timeoutMillis = 1500

prerenderer("in an isolated process", layerIsolated({ timeoutMillis }))

// Code that has got out of its context has the process: the system must hold it then.
const escaped = (body: string) => ({
  code: `export class Person {
    static async isolated() {
      const process = URL.constructor("return process")()
      const require = process.getBuiltinModule("module").createRequire("file:///x.js")
      ${body}
    }
  }`
})
const well = { code: "export class Person { static isolated() { return 'well' } }" }
const person = { module: "http://realm.test/r/person", name: "Person", model: undefined }

const rendering = (body: string) =>
  Effect.gen(function*() {
    const { open } = yield* Prerenderer
    const renderer = yield* open
    const outcome = yield* Effect.result(renderer.render(person, () => Effect.succeed(escaped(body))))
    assert.deepStrictEqual(yield* renderer.render(person, () => Effect.succeed(well)), Option.some("well"))
    return outcome._tag === "Success" ? Option.getOrUndefined(outcome.success) : outcome.failure
  }).pipe(Effect.scoped, Effect.provide(layerIsolated({ timeoutMillis })))

const secret = Effect.acquireRelease(
  Effect.sync(() => {
    const directory = fs.mkdtempSync(path.join(tmpdir(), "lockstep-secret-"))
    fs.chmodSync(directory, 0o777)
    fs.writeFileSync(path.join(directory, "secret"), "secret")
    return directory
  }),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
)

it.live(
  "code that has escaped reads and writes no file, and starts no program and no thread",
  () =>
    Effect.gen(function*() {
      const directory = yield* secret
      const denied = [
        `return require("fs").readFileSync(${JSON.stringify(`${directory}/secret`)}, "utf8")`,
        `require("fs").writeFileSync(${JSON.stringify(`${directory}/written`)}, "x"); return "written"`,
        `new (require("node:sqlite").DatabaseSync)(${JSON.stringify(`${directory}/written`)}); return "written"`,
        `return String(require("child_process").execSync("id"))`,
        `new (require("worker_threads").Worker)("", { eval: true }); return "started"`,
        `return String(require("inspector").open(0))`
      ]
      for (const body of denied) {
        const outcome = yield* rendering(body)
        assert.instanceOf(outcome, RenderFailure, `${body} -> ${String(outcome)}`)
      }
      assert.deepStrictEqual(fs.readdirSync(directory), ["secret"])
    }).pipe(Effect.scoped),
  120_000
)

it.live("code that has escaped reaches no server on this machine", () =>
  Effect.gen(function*() {
    let connections = 0
    const server = yield* Effect.acquireRelease(
      Effect.callback<net.Server>((resume) => {
        const server = net.createServer((socket) => {
          connections++
          socket.destroy()
        }).listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )
    const { port } = server.address() as net.AddressInfo
    yield* rendering(`return fetch("http://127.0.0.1:${port}/").then((response) => "reached")`)
    yield* rendering(`return await new Promise((resolve, reject) => require("net").connect(${port}, "127.0.0.1")
      .on("error", reject).on("connect", () => resolve("reached")))`)
    assert.strictEqual(connections, 0)
  }).pipe(Effect.scoped), 60_000)

it.live("code that has escaped sees no environment, and its signals reach nobody", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* rendering("return Object.keys(process.env).join()"), "")
    // The tests are still running after these.
    yield* rendering("process.kill(process.ppid, 'SIGKILL'); return ''")
    yield* rendering(`process.kill(${process.pid}, "SIGKILL"); return ""`)
    yield* rendering("process.kill(0, 'SIGKILL'); return ''")
  }), 60_000)

it.live(
  "code that has escaped is ended when it floods its output, hoards buffers, or says what it should not",
  () =>
    Effect.gen(function*() {
      for (
        const body of [
          "for (;;) process.stdout.write('x'.repeat(1e6))",
          "for (;;) process.getBuiltinModule('fs').writeSync(1, 'x'.repeat(1e6))",
          "for (;;) process.getBuiltinModule('fs').writeSync(1, '{\"need\":\"http://realm.test/r/person\"}\\n')",
          "process.stdout.write('nonsense\\n'); return new Promise(() => {})",
          "const all = []; for (;;) all.push(Buffer.alloc(1e8, 1))",
          "process.abort()",
          "process.exit(1)"
        ]
      ) {
        const began = performance.now()
        assert.instanceOf(yield* rendering(body), RenderFailure, body)
        assert.isBelow(performance.now() - began, 20_000, body)
      }
    }),
  120_000
)
