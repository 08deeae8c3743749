import { assert, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as fs from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { layerIsolated } from "../../src/reindex/isolated/layer.ts"
import { Prerenderer, RenderFailure } from "../../src/reindex/Prerenderer.ts"
import { timedAwake } from "../support/awake.ts"
import { prerenderer } from "./prerenderer.ts"

// Innocent code is done long before, on a machine that stands still meanwhile as well.
const timeoutMillis = 10_000

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
        `return String(require("inspector").open(0))`,
        `new (require("inspector").Session)().connectToMainThread(); return "connected"`,
        `return require("fs").readFileSync("/proc/self/mem").toString()`,
        `return require("fs").readFileSync("/proc/self/environ", "utf8")`,
        `return String(process.binding("fs"))`
      ]
      for (const body of denied) {
        const outcome = yield* rendering(body)
        assert.instanceOf(outcome, RenderFailure, `${body} -> ${String(outcome)}`)
      }
      assert.deepStrictEqual(fs.readdirSync(directory), ["secret"])
    }).pipe(Effect.scoped)
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
  }).pipe(Effect.scoped))

it.live("code that has escaped sees no environment, and its signals reach nobody", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* rendering("return Object.keys(process.env).join()"), "")
    // The tests are still running after these.
    yield* rendering("process.kill(process.ppid, 'SIGKILL'); return ''")
    yield* rendering(`process.kill(${process.pid}, "SIGKILL"); return ""`)
    yield* rendering("process.kill(0, 'SIGKILL'); return ''")
  }))

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
          "const { Buffer } = require('buffer'); const all = []; for (;;) all.push(Buffer.alloc(1e8, 1))",
          "process.abort()",
          "process.exit(1)"
        ]
      ) {
        const [took, outcome] = yield* timedAwake(rendering(body))
        assert.instanceOf(outcome, RenderFailure, body)
        assert.isBelow(took, 60_000, body)
      }
    })
)

it.live(
  "code that has escaped breaks the process for no rendering but its own",
  () =>
    Effect.gen(function*() {
      const fs = `const fs = require("fs")`
      for (
        const body of [
          `${fs}; for (let fd = 0; fd < 3; fd++) fs.closeSync(fd); return ""`,
          `${fs}; for (let fd = 63; fd >= 0; fd--) try { fs.closeSync(fd) } catch {}; return ""`,
          // What it does as late as it can.
          `${fs}; for (let fd = 63; fd >= 0; fd--) fs.close(fd, () => {}); return ""`,
          `setInterval(() => process.exit(), 1); return ""`,
          `require("v8").setFlagsFromString("--stack-size=50"); return ""`,
          `require("os").setPriority(process.pid, 19); return ""`,
          `process.title = "x"; return ""`,
          `new BroadcastChannel("x").postMessage({ html: "HACKED" }); return ""`,
          `for (let i = 0; i < 8; i++) require("crypto").scrypt("a", "b", 64, { N: 2 ** 17, maxmem: 2 ** 30 }, () => {}); return ""`
        ]
      ) {
        // The next one is well: `rendering` sees to that.
        yield* rendering(body)
      }
    })
)

it.live(
  "a rendering finds no trace of another in the process, even where it has escaped",
  () =>
    // None of this is meant to take too long, not even with the lowest priority on a busy machine.
    Effect.gen(function*() {
      const { open } = yield* Prerenderer
      const renderer = yield* open
      const left = {
        title: "process.title = 'secret'",
        priority: "require('os').setPriority(process.pid, 19)",
        memory: `const { Buffer } = require("buffer")
          globalThis.kept = Array.from({ length: 100 }, () => Buffer.alloc(70_000, "secret"))`,
        flags: "require('v8').setFlagsFromString('--expose-gc')"
      }
      const looking = escaped(`
        const { Buffer } = require("buffer")
        const all = Array.from({ length: 300 }, () => Buffer.allocUnsafeSlow(70_000))
        return Object.entries({
          title: process.title.includes("secret"),
          priority: require("os").getPriority(process.pid) === 19,
          memory: all.some((buffer) => buffer.some((byte) => byte !== 0)),
          flags: typeof gc !== "undefined",
          arguments: process.argv.length > 2
        }).filter(([, found]) => found).map(([name]) => name).join()`)
      for (const [what, body] of Object.entries(left)) {
        const outcome = yield* Effect.result(
          renderer.render(person, () => Effect.succeed(escaped(`${body}; return "done"`)))
        )
        // V8's flags cannot be changed: who tries ends its process.
        assert.strictEqual(
          outcome._tag,
          what === "flags" ? "Failure" : "Success",
          `${what}: ${JSON.stringify(outcome)}`
        )
        const found = yield* renderer.render(person, () => Effect.succeed(looking))
        assert.deepStrictEqual(found, Option.some(""), what)
      }
    }).pipe(Effect.scoped, Effect.provide(layerIsolated({ timeoutMillis: 60_000 })))
)

it.live("the time that a rendering has is for all of its modules together", () =>
  Effect.gen(function*() {
    const { open } = yield* Prerenderer
    const renderer = yield* open
    const at = (index: number) => `http://realm.test/r/${index}`
    const spinning = (index: number) =>
      `for (const until = Date.now() + 900; Date.now() < until;);
        ${index < 6 ? `await import(${JSON.stringify(at(index + 1))})` : ""}
        export class Person { static isolated() { return "done" } }`
    const failure = yield* Effect.flip(
      renderer.render({ ...person, module: at(0) }, (url) =>
        Effect.succeed({ code: spinning(Number(url.split("/").at(-1))) }))
    )
    assert.instanceOf(failure, RenderFailure)
    assert.strictEqual(failure.reason, "timeout")
  }).pipe(Effect.scoped, Effect.provide(layerIsolated({ timeoutMillis: 2000 }))))
