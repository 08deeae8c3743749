import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect } from "effect"
import { freePort } from "../../support/freePort.ts"
import { makeHttpClient } from "../../support/httpClient.ts"
import { childEnvironment } from "../../support/replica.ts"

const startDeadline = "120 seconds"

/** Runs a program of examples/embed as its reader would, until the scope closes: `ask` once it listens, and its log. */
export const startExample = Effect.fnUntraced(function*(name: string, environment: Readonly<Record<string, string>>) {
  const port = yield* freePort
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [
        "--conditions=lockstep-source",
        fileURLToPath(new URL(`../../../examples/embed/${name}`, import.meta.url))
      ], {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...childEnvironment(), ...environment, PORT: String(port) }
      })
    ),
    (child) =>
      Effect.promise(() =>
        new Promise<void>((resolve) => {
          if (child.exitCode !== null || child.signalCode !== null) return resolve()
          child.once("close", () => resolve())
          child.kill("SIGKILL")
        })
      )
  )
  let log = ""
  const listening = new Promise<void>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      log += chunk.toString()
      if (log.includes("listening on")) resolve()
    }
    child.stdout.on("data", read)
    child.stderr.on("data", read)
    child.once("close", () => reject(new Error(`${name} ended before it listened; it wrote:\n${log}`)))
  })
  yield* Effect.timeout(Effect.promise(() => listening), startDeadline)
  const { ask } = yield* makeHttpClient(`http://localhost:${port}`)
  return { ask, port, pid: child.pid ?? 0, log: () => log, kill: (signal: NodeJS.Signals) => child.kill(signal), child }
})
