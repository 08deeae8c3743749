import { spawn, spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Effect, type Scope } from "effect"
import { childEnvironment, lockstep } from "../../support/replica.ts"

/** `script` of util-linux gives a program a pseudo terminal; other systems' takes other arguments. */
export const hasTerminal = spawnSync("script", ["--version"]).stdout?.toString().includes("util-linux") === true

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  readonly millis: number
}

export interface Running {
  readonly kill: (signal: NodeJS.Signals) => void
  /** What it has written so far. */
  readonly stdout: () => string
  readonly ended: Effect.Effect<Ended>
}

const quoted = (word: string) => `'${word.replaceAll("'", "'\\''")}'`

/** The program with these arguments as a shell would start it. */
export const shellCommand = (args: ReadonlyArray<string>) => [process.execPath, lockstep, ...args].map(quoted).join(" ")

/** Runs a command, and kills it when the scope closes. Colours are the test's to ask for. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  environment: Readonly<Record<string, string>> = {}
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const env = childEnvironment()
      delete env["FORCE_COLOR"]
      delete env["NO_COLOR"]
      const child = spawn(command, [...args], {
        stdio: ["ignore", "pipe", "pipe"],
        env: { ...env, TERM: "xterm-256color", ...environment }
      })
      const began = performance.now()
      let stdout = ""
      let stderr = ""
      child.stdout.on("data", (chunk: Buffer) => stdout += chunk.toString())
      child.stderr.on("data", (chunk: Buffer) => stderr += chunk.toString())
      const ended = new Promise<Ended>((resolve) =>
        child.once("close", (code, signal) =>
          resolve({ code, signal, stdout, stderr, millis: performance.now() - began }))
      )
      return {
        kill: (signal: NodeJS.Signals) =>
          void child.kill(signal),
        stdout: () => stdout,
        ended: Effect.orDie(Effect.timeout(Effect.promise(() => ended), "90 seconds"))
      }
    }),
    (running) => Effect.sync(() => running.kill("SIGKILL"))
  )

/** Runs the program in a pseudo terminal of so many columns; both outputs are in `stdout`. */
export const runInTerminal = (
  args: ReadonlyArray<string>,
  { columns = 80, environment = {} }: {
    readonly columns?: number
    readonly environment?: Readonly<Record<string, string>>
  } = {}
) =>
  Effect.flatMap(
    run("script", ["-qec", `stty cols ${columns}; ${shellCommand(args)}`, "/dev/null"], environment),
    ({ ended }) => ended
  )

export const runPiped = (args: ReadonlyArray<string>, environment?: Readonly<Record<string, string>>) =>
  run(process.execPath, [lockstep, ...args], environment)

export const impatientProgram = fileURLToPath(new URL("./impatientProgram.ts", import.meta.url))
