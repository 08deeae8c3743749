import { Context, Effect } from "effect"
import { TerminalCapabilities } from "effect/cli"

type Paint = (text: string) => string

export interface Colours {
  readonly bold: Paint
  readonly dim: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly red: Paint
}

const plain: Paint = (text) => text
const ansi = (code: number): Paint => (text) => text === "" ? "" : `\u001b[${code}m${text}\u001b[0m`

export const noColours: Colours = { bold: plain, dim: plain, green: plain, yellow: plain, red: plain }
const someColours: Colours = { bold: ansi(1), dim: ansi(2), green: ansi(32), yellow: ansi(33), red: ansi(31) }

/** For what goes to stdout: colours on a terminal, or where FORCE_COLOR asks for them, and never with NO_COLOR. */
export const colours: Effect.Effect<Colours> = Effect.map(
  Effect.context<never>(),
  (context) => Context.get(context, TerminalCapabilities.TerminalCapabilities).canColor ? someColours : noColours
)

/** The same for stderr, which may be a terminal where stdout is a pipe, and the other way round. */
export const stderrColours = (env: NodeJS.ProcessEnv, stderr: { readonly isTTY?: boolean }): Colours => {
  const { FORCE_COLOR: force, NO_COLOR: no, TERM: term } = env
  if (no !== undefined && no !== "") return noColours
  if (term === "dumb") return noColours
  const forced = force !== undefined && force !== "" && force !== "0" && force.toLowerCase() !== "false"
  return forced || stderr.isTTY === true ? someColours : noColours
}

/** Columns of the terminal that stdout is; without one, no bound. */
export const stdoutWidth = (): number => process.stdout.isTTY ? process.stdout.columns || 80 : Infinity
