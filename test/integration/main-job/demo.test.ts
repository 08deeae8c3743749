import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import * as Fs from "node:fs/promises"
import { temporaryDirectory } from "../../support/fleet.ts"
import { childEnvironment, lockstep } from "../../support/replica.ts"

it.live(
  "lockstep demo exits 0, having published twice without a stale byte, and leaves nothing behind",
  () =>
    Effect.gen(function*() {
      const directory = yield* temporaryDirectory("lockstep-demo-")
      yield* Effect.promise(() => Fs.chmod(directory, 0o777))
      const child = spawn(process.execPath, [lockstep, "demo"], {
        cwd: directory,
        env: { ...childEnvironment(), TMPDIR: directory },
        stdio: ["ignore", "pipe", "pipe"],
        detached: true
      })
      yield* Effect.addFinalizer(() =>
        Effect.ignore(Effect.try(() => child.exitCode === null && process.kill(-(child.pid ?? 0), "SIGKILL")))
      )
      let output = ""
      child.stdout.on("data", (chunk: Buffer) => output += chunk.toString())
      child.stderr.on("data", (chunk: Buffer) => output += chunk.toString())
      const code = yield* Effect.callback<number | null>((resume) => {
        child.once("close", (code) => resume(Effect.succeed(code)))
      }).pipe(Effect.timeoutOrElse({
        duration: "240 seconds",
        orElse: () => Effect.die(`the demonstration did not end; it wrote:\n${output}`)
      }))
      assert.strictEqual(code, 0, output)
      assert.match(output, /publish/i)
      assert.match(output, /transpile/i)
      assert.deepStrictEqual(yield* Effect.promise(() => Fs.readdir(directory)), [])
    })
)
