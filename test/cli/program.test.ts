import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { runCommand } from "./runCommand.ts"

describe("the command line", () => {
  const wrong: ReadonlyArray<readonly [args: string, message: string, env?: Record<string, string>]> = [
    ["frobnicate", "Unknown subcommand \"frobnicate\""],
    ["realms --frobnicate", "Unrecognized flag: --frobnicate"],
    ["publish http://a/b/", "Missing required argument: PUBLISHED_URL"],
    ["realms one too many", "Unexpected positional arguments"],
    ["realms --server localhost", "an http or https URL"],
    ["realms", "an http or https URL", { LOCKSTEP_SERVER: "localhost" }],
    ["publish nonsense http://localhost/live/", "an http or https URL"],
    ["publish http://localhost/draft/ ftp://localhost/", "an http or https URL"],
    ["unpublish nonsense", "an http or https URL"],
    ["delete nonsense", "an http or https URL"],
    ["reindex nonsense", "an http or https URL"],
    ["definitions notaurl", "an http or https URL"],
    ["warm http://localhost/notes", "it ends in a slash"],
    ["serve --port 70000", "a port from 0 to 65535"],
    ["serve", "a port from 0 to 65535", { LOCKSTEP_PORT: "all" }],
    ["serve --public-url modules.example", "an http or https URL"],
    ["serve --lease 0s", "a duration of at most a day"],
    ["serve --cache-bytes lots", "a size of at least 1KiB"],
    ["serve --workers 0", "a number from 1 to 256"],
    ["serve --replica-id é", "visible ASCII"],
    ["serve --on-partition panic", "refuse"]
  ]
  for (const [args, message, env] of wrong) {
    it.effect(`says what is wrong with "lockstep ${args}"${env === undefined ? "" : " and its environment"}`, () =>
      Effect.gen(function*() {
        const { exitCode, stderr, stdout } = yield* runCommand(args.split(" "), env)
        assert.strictEqual(exitCode, 2)
        assert.include(stderr, "error: ")
        assert.include(stderr, message)
        assert.include(stderr, "usage: lockstep")
        assert.strictEqual(stdout, "")
      }))
  }

  it.effect("does not repeat a database's password that it refuses", () =>
    Effect.gen(function*() {
      const { exitCode, stderr } = yield* runCommand(["serve", "--database-url", "mysql://me:secret@db/x"])
      assert.strictEqual(exitCode, 2)
      assert.notInclude(stderr, "secret")
    }))

  it.effect("prints its help and its version on stdout", () =>
    Effect.gen(function*() {
      const help = yield* runCommand(["serve", "--help"])
      assert.strictEqual(help.exitCode, 0)
      for (const flag of ["--port", "--public-url", "--database-url", "--data-dir", "--on-partition"]) {
        assert.include(help.stdout, flag)
      }
      assert.strictEqual(help.stderr, "")
      const version = yield* runCommand(["--version"])
      assert.deepStrictEqual([version.exitCode, version.stderr], [0, ""])
      assert.include(version.stdout, "1.2.3")
    }))

  it.effect("refuses to serve a realms directory that is not there", () =>
    Effect.gen(function*() {
      const { exitCode, stderr } = yield* runCommand(["serve", "/nowhere/at/all", "--data-dir", import.meta.dirname])
      assert.strictEqual(exitCode, 1)
      assert.match(stderr, /^error: cannot read the realms directory \/nowhere\/at\/all \(it does not exist\)/)
    }))

  it.effect("refuses to start a worker without a database of replicas, and makes none", () =>
    Effect.gen(function*() {
      const home = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(tmpdir(), "lockstep-worker-"))),
        (home) => Effect.sync(() => fs.rmSync(home, { recursive: true, force: true }))
      )
      for (const dataDir of [home, path.join(home, "mistyped")]) {
        const { exitCode, stderr, stdout } = yield* runCommand(["worker", "--data-dir", dataDir])
        assert.strictEqual(exitCode, 1)
        assert.include(stderr, `no database of replicas in the data directory ${dataDir}: give`)
        assert.include(stderr, "--database-url")
        assert.strictEqual(stdout, "")
      }
      assert.deepStrictEqual(fs.readdirSync(home), [])
    }).pipe(Effect.scoped))

  it.effect("refuses a data directory that is a file", () =>
    Effect.gen(function*() {
      const { exitCode, stderr } = yield* runCommand(["serve", "--data-dir", import.meta.filename])
      assert.strictEqual(exitCode, 1)
      assert.match(stderr, /^error: cannot write to the data directory .* \(it is not a directory\)/)
    }))
})
