import { flagsOf, UsageError, wholeNumber } from "../../support/commandLine.ts"
import { catalogue, type FaultTest } from "./catalogue.ts"

export const usage = `npm run chaos -- [options]
  --repeat N     how often each fault happens, one after the other (3)
  --only TEXT    only faults whose name, test or file contains the text, in whatever case
Exit code 1: something was violated, or no fault was run; 2: the options are wrong.`

/** What `npm run chaos` was asked to do. */
export type Asked =
  | { readonly _tag: "Help" }
  | { readonly _tag: "Run"; readonly repeat: number; readonly chosen: ReadonlyArray<FaultTest> }

/** Throws a UsageError for what it does not understand, and for a text that no fault has. */
export const askedOf = (args: ReadonlyArray<string>): Asked => {
  const flags = flagsOf(args, { repeat: { type: "string" }, only: { type: "string" }, help: { type: "boolean" } })
  const repeat = wholeNumber("repeat", flags.repeat, { least: 1, most: 1_000, otherwise: 3 })
  const chosen = flags.only === undefined ? catalogue : chosenBy(flags.only)
  return flags.help === true ? { _tag: "Help" } : { _tag: "Run", repeat, chosen }
}

const chosenBy = (only: string): ReadonlyArray<FaultTest> => {
  // The table adds to a fault's name how often it happened.
  const text = only.trim().replace(/ \(\d+ times\)$/, "").toLowerCase()
  if (text === "") throw new UsageError("--only needs a text")
  const chosen = catalogue.filter(({ fault, file, title }) =>
    [fault ?? "", title, file].some((name) => name.toLowerCase().includes(text))
  )
  if (chosen.length > 0) return chosen
  const names = catalogue.map(({ fault, file, title }) => `  ${file}: ${fault ?? title}`)
  throw new UsageError(`No fault, test or file has "${only}" in its name. There are:\n${names.join("\n")}`)
}
