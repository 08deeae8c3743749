import { parseArgs, type ParseArgsOptionsConfig } from "node:util"

/** What was asked cannot be done as it was written. The message is one line that says what to write instead. */
export class UsageError extends Error {
  override readonly name = "UsageError"
}

/**
 * The flags of a command that `npm run` starts. Throws a UsageError for a flag it does not have, one without its value,
 * and for words beside the flags.
 */
export const flagsOf = <const Options extends ParseArgsOptionsConfig>(
  args: ReadonlyArray<string>,
  options: Options
) => {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // What follows the first sentence is advice on words beside flags, which these commands do not have.
    const [sentence = error.message] = error.message.split(/\.\s|\n/)
    throw new UsageError(`${sentence}; --help lists the options`)
  }
}

/** The whole number that a flag was given, in decimal digits and in range, both ends included. */
export const wholeNumber = (
  flag: string,
  text: string | undefined,
  { least, most, otherwise }: { readonly least: number; readonly most: number; readonly otherwise: number }
): number => {
  if (text === undefined) return otherwise
  const number = /^\d+$/.test(text) ? Number(text) : NaN
  if (number >= least && number <= most) return number
  throw new UsageError(`--${flag} must be a whole number from ${least} to ${most}, not "${text}"`)
}

/** Runs a command with what it was asked; a UsageError is one line on stderr and exit code 2. */
export const runCommand = async <Asked>(
  ask: (args: ReadonlyArray<string>) => Asked,
  run: (asked: Asked) => Promise<void>
): Promise<void> => {
  let asked: Asked
  try {
    asked = ask(process.argv.slice(2))
  } catch (error) {
    if (!(error instanceof UsageError)) throw error
    console.error(error.message)
    process.exitCode = 2
    return
  }
  await run(asked)
}
