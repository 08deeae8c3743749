import * as fs from "node:fs/promises"
import { Config, Effect, Option, Redacted } from "effect"
import { Flag, GlobalFlag } from "effect/cli"
import { CommandFailed } from "./CommandFailed.ts"
import { rootMessage } from "./systemError.ts"

/** What `serve` lets everybody do everything with, and what the other commands send. */
export const tokenFlag = GlobalFlag.Setting("token")({
  flag: Flag.Redacted("token").pipe(
    Flag.withMetavar("TOKEN"),
    Flag.withDescription(
      "serve: the admin token; other commands: the token to send. Others on this machine see it: better a file, " +
        "or LOCKSTEP_TOKEN"
    ),
    Flag.optional
  )
})

/** The same, in a file. */
export const tokenFileFlag = GlobalFlag.Setting("token-file")({
  flag: Flag.String("token-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.withDescription("a file that holds the token (LOCKSTEP_TOKEN_FILE)"),
    Flag.optional
  )
})

/** The secret in a file, without the line's end that editors leave. */
export const secretIn = (file: string) =>
  Effect.tryPromise({
    try: async () => Redacted.make((await fs.readFile(file, "utf8")).trim()),
    catch: (cause) => new CommandFailed({ message: `the secret in ${file} cannot be read: ${rootMessage(cause)}` })
  })

const fromEnvironment = (name: string) => Effect.orElseSucceed(Config.option(Config.Redacted(name)), Option.none)

/** A flag, else the file that a flag names, else a variable, else the file that a variable names. */
export const secretFrom = Effect.fnUntraced(function*(
  given: Option.Option<Redacted.Redacted>,
  file: Option.Option<string>,
  variable: string
) {
  if (Option.isSome(given)) return given
  if (Option.isSome(file)) return Option.some(yield* secretIn(file.value))
  const set = yield* fromEnvironment(variable)
  if (Option.isSome(set)) return set
  const named = yield* fromEnvironment(`${variable}_FILE`)
  return Option.isSome(named) ? Option.some(yield* secretIn(Redacted.value(named.value))) : Option.none()
})

/** The token that the command was given, one way or another. */
export const givenToken = Effect.gen(function*() {
  const flag = Option.flatten(yield* Effect.serviceOption(tokenFlag))
  const file = Option.flatten(yield* Effect.serviceOption(tokenFileFlag))
  return yield* secretFrom(flag, file, "LOCKSTEP_TOKEN")
})
