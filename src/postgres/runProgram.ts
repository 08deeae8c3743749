import { Effect } from "effect"
import { spawn } from "node:child_process"
import { type EmbeddedPostgresError, failure } from "./errors.ts"
import type { ServerAccount } from "./ServerAccount.ts"

/** What a program that ran to its end said. `code` is null when a signal ended it. */
export interface ProgramResult {
  readonly code: number | null
  readonly output: string
}

export interface RunOptions {
  readonly account: ServerAccount | undefined
  readonly deadlineSeconds: number
}

// The server's environment is readable by everything that runs under its account, so secrets stay out of it; and a
// PGPORT or a locale of whoever came first must not shape a server that others share.
const inherited = ["PATH", "LD_LIBRARY_PATH", "NIX_LD", "NIX_LD_LIBRARY_PATH"]

const environment = () => ({
  ...Object.fromEntries(inherited.flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value]]
  })),
  LC_ALL: "C"
})

const outputLimit = 8192

/**
 * Runs a program to its end, under another account if one is given. It is killed when the caller is interrupted or the
 * deadline passes, and it has its own session, so a Ctrl-C meant for a replica does not cut it short.
 */
export const runProgram = (
  file: string,
  args: ReadonlyArray<string>,
  options: RunOptions
): Effect.Effect<ProgramResult, EmbeddedPostgresError> =>
  Effect.callback<ProgramResult, EmbeddedPostgresError>((resume) => {
    const refused = (error: unknown) => resume(Effect.fail(failure(`could not run ${file}${whyNot(error, options)}`)))
    try {
      const child = spawn(file, args, {
        cwd: "/",
        env: environment(),
        stdio: ["ignore", "pipe", "pipe"],
        detached: true,
        ...options.account
      })
      let output = ""
      const collect = (chunk: Buffer) => {
        output = (output + chunk.toString()).slice(-outputLimit)
      }
      child.stdout.on("data", collect)
      child.stderr.on("data", collect)
      child.on("error", refused)
      child.on("close", (code) => resume(Effect.succeed({ code, output: output.trim() })))
      return Effect.sync(() => {
        child.kill("SIGKILL")
      })
    } catch (error) {
      // Node throws, rather than emits, what it does not expect of a spawn: EPERM from setuid is one.
      refused(error)
      return
    }
  }).pipe(Effect.timeoutOrElse({
    duration: `${options.deadlineSeconds} seconds`,
    orElse: () => Effect.fail(failure(`${file} did not end within ${options.deadlineSeconds} s`))
  }))

const whyNot = (error: unknown, { account }: RunOptions) => {
  const code = error instanceof Error && "code" in error ? String(error.code) : String(error)
  const as = account === undefined ? "" : ` as uid ${account.uid}`
  const hint = code === "ENOENT"
    ? " (the packaged PostgreSQL needs glibc)"
    : code === "EACCES"
    ? " (is that file system mounted noexec?)"
    : ""
  return `${as}: ${code}${hint}; another way is to set DATABASE_URL`
}
