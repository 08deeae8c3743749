import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { CliOutput } from "effect/cli"
import { stubServer } from "../../cli/stubServer.ts"
import { eventually } from "../../support/eventually.ts"
import { hasTerminal, impatientProgram, run, runInTerminal, runPiped, shellCommand } from "./runInTerminal.ts"

const longName = "a-realm-whose-name-is-much-too-long-for-any-terminal-of-eighty-columns"

const realms = (count: number) => ({
  status: 200,
  body: {
    realms: Array.from(
      { length: count },
      (_, at) => ({ url: `http://realms.test/${longName}-${at}/`, kind: "source", generation: at })
    )
  }
})

// oxlint-disable-next-line no-control-regex
const escapes = /\u001b\[[0-9;]*m/

describe.skipIf(!hasTerminal)("in a terminal (util-linux's script gives one)", () => {
  it.live("tables fit it, with colours unless NO_COLOR is set", () =>
    Effect.gen(function*() {
      const server = yield* stubServer(() => realms(3))
      const args = ["realms", "--server", server.url]
      const [wide, bare] = yield* Effect.all([
        runInTerminal(args, { columns: 70 }),
        runInTerminal(args, { columns: 70, environment: { NO_COLOR: "1" } })
      ], { concurrency: 2 })
      assert.strictEqual(wide.code, 0)
      assert.match(wide.stdout, escapes)
      assert.include(wide.stdout, "…")
      assert.notMatch(bare.stdout, escapes)
      for (const line of bare.stdout.trimEnd().split("\r\n")) assert.isAtMost(CliOutput.displayWidth(line), 70)
    }).pipe(Effect.scoped))

  it.live(
    "progress is shown while modules are made, on one line that is gone in the end",
    () =>
      Effect.gen(function*() {
        const files = Array.from({ length: 12 }, (_, at) => ({ name: `m${at}.ts`, kind: "file" }))
        const server = yield* stubServer(({ path }) =>
          path.endsWith("/")
            ? { status: 200, body: { entries: files } }
            : { status: 200, body: "", headers: { "x-lockstep-cache": "l1" } }
        )
        const { code, stdout } = yield* runInTerminal(["warm", "http://realms.test/notes/", "--server", server.url])
        assert.strictEqual(code, 0)
        assert.match(stdout, /\r\u001b\[2K█+░* 12 of 12 modules warm\r\u001b\[2K/)
        assert.match(stdout.slice(stdout.lastIndexOf("\u001b[2K")), /^\S+12 of 12 modules of \S+ are warm/)
      }).pipe(Effect.scoped)
  )

  it.live("an error is red, with what to do next; a command's own help is in colour too", () =>
    Effect.gen(function*() {
      const [error, help] = yield* Effect.all([
        runInTerminal(["realms", "--server", "http://127.0.0.1:1"]),
        runInTerminal(["publish", "--help"])
      ], { concurrency: 2 })
      assert.strictEqual(error.code, 1)
      assert.include(error.stdout, "\u001b[31merror:\u001b[0m cannot reach a Lockstep server at http://127.0.0.1:1")
      assert.include(error.stdout, "lockstep serve")
      assert.match(help.stdout, escapes)
      assert.include(help.stdout, "EXAMPLES")
    }).pipe(Effect.scoped))
})

describe("in a pipe", () => {
  it.live("nothing is cut or coloured, and FORCE_COLOR is obeyed", () =>
    Effect.gen(function*() {
      const server = yield* stubServer(() => realms(2))
      const args = ["realms", "--server", server.url]
      const [plain, forced] = yield* Effect.all([
        Effect.flatMap(runPiped(args), ({ ended }) => ended),
        Effect.flatMap(runPiped(args, { FORCE_COLOR: "1" }), ({ ended }) => ended)
      ], { concurrency: 2 })
      assert.notMatch(plain.stdout, escapes)
      assert.include(plain.stdout, `${longName}-1/`)
      assert.match(forced.stdout, escapes)
    }).pipe(Effect.scoped))

  it.live("a reader that goes away is no failure", () =>
    Effect.gen(function*() {
      const server = yield* stubServer(() => realms(20_000))
      const command = `set -o pipefail; ${shellCommand(["realms", "--server", server.url])} | head -1`
      const { code, stderr, stdout } = yield* Effect.flatMap(run("bash", ["-c", command]), ({ ended }) => ended)
      assert.deepStrictEqual({ code, stderr }, { code: 0, stderr: "" })
      assert.match(stdout, /^URL +KIND/)
    }).pipe(Effect.scoped))
})

describe("a signal", () => {
  it.live("ends a client command at once, and its shell hears which one it was", () =>
    Effect.gen(function*() {
      for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
        let asked = 0
        // It takes the job, and is never ready.
        const server = yield* stubServer(({ method }) => {
          if (method === "POST") return { status: 202, body: { realmURL: "http://realms.test/notes/", generation: 1 } }
          asked++
          return { status: 503, body: { indexed: 0, total: 1 } }
        })
        const command = yield* runPiped(["reindex", "http://realms.test/notes/", "--wait", "--server", server.url])
        yield* eventually("the command asks", Effect.sync(() => asked), (count) => count > 0)
        command.kill(signal)
        const ended = yield* command.ended
        assert.strictEqual(ended.code, code, ended.stderr)
        assert.strictEqual(ended.stdout, "")
      }
    }).pipe(Effect.scoped))

  it.live(
    "a second one ends what is still ending; of a server, only when it is no echo of the first",
    () =>
      Effect.gen(function*() {
        const twice = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
          const program = yield* run(process.execPath, [impatientProgram, ...args])
          yield* eventually("it runs", Effect.sync(program.stdout), (text) => text.includes("running"))
          const began = performance.now()
          program.kill("SIGINT")
          yield* Effect.sleep("100 millis")
          program.kill("SIGINT")
          // A program that stood still took this one for the echo of the first: it is said again.
          const again = Effect.andThen(Effect.sleep("1200 millis"), Effect.sync(() => program.kill("SIGINT")))
          const { code } = yield* Effect.raceFirst(program.ended, Effect.forever(again))
          return { code, millis: performance.now() - began }
        })
        const [client, server] = yield* Effect.all([twice(), twice("serving")], { concurrency: 2 })
        assert.deepStrictEqual([client.code, server.code], [130, 130])
        assert.isAbove(server.millis, 1000)
      }).pipe(Effect.scoped)
  )
})
