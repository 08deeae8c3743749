import { Console, Effect, Runtime } from "effect"
import { inspect } from "node:util"
import { program } from "../../src/cli/program.ts"

export interface Outcome {
  /** What the process would exit with. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line with this environment and no other, and keeps what it prints. */
export const runCommand = Effect.fnUntraced(function*(
  args: ReadonlyArray<string>,
  env: NodeJS.ProcessEnv = {}
) {
  const stdout: Array<string> = []
  const stderr: Array<string> = []
  const into = (lines: Array<string>) => (...values: ReadonlyArray<unknown>) => {
    lines.push(values.map((value) => typeof value === "string" ? value : inspect(value)).join(" "))
  }
  const console: Console.Console = { ...globalThis.console, log: into(stdout), error: into(stderr) }
  const exit = yield* Effect.exit(program("1.2.3", args, env)).pipe(
    Effect.provideService(Console.Console, console)
  )
  let exitCode = -1
  Runtime.defaultTeardown(exit, (code) => {
    exitCode = code
  })
  return { exitCode, stdout: stdout.join("\n"), stderr: stderr.join("\n") } satisfies Outcome
})
