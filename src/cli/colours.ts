type Paint = (text: string) => string

export interface Colours {
  readonly bold: Paint
  readonly green: Paint
  readonly yellow: Paint
  readonly red: Paint
}

/** A standard stream, as far as it matters for how something looks there. */
export interface Screen {
  readonly isTTY?: boolean | undefined
  readonly columns?: number | undefined
}

const plain: Paint = (text) => text
const ansi = (code: number): Paint => (text) => text === "" ? "" : `\u001b[${code}m${text}\u001b[0m`

const none: Colours = { bold: plain, green: plain, yellow: plain, red: plain }
const some: Colours = { bold: ansi(1), green: ansi(32), yellow: ansi(33), red: ansi(31) }

const isSet = (value: string | undefined) => value !== undefined && value !== ""

/** Whether to colour what is written there: on a terminal, or where FORCE_COLOR asks for it, and never with NO_COLOR. */
export const canColour = (screen: Screen, env: NodeJS.ProcessEnv = process.env): boolean => {
  const { FORCE_COLOR: force, NO_COLOR: no, TERM: term } = env
  if (isSet(no) || term === "dumb") return false
  return (isSet(force) && force !== "0" && force?.toLowerCase() !== "false") || screen.isTTY === true
}

/** Each of the two outputs by itself: one may be a terminal where the other is a pipe. */
export const coloursFor = (screen: Screen, env?: NodeJS.ProcessEnv): Colours => canColour(screen, env) ? some : none

/** Columns of a terminal; elsewhere nothing has to fit. */
export const widthOf = ({ columns, isTTY }: Screen): number => isTTY === true ? columns || 80 : Infinity
