import { availableParallelism } from "node:os"
import { flagsOf, UsageError, wholeNumber } from "../support/commandLine.ts"
import { type Mutant, mutants } from "./mutants.ts"

export const usage = `npm run simulate -- [options]
  --seeds N        how many seeds (1000; 200 with --mutants)
  --seed S         the first of them (drawn from the clock; 0 with --mutants)
  --mutant NAME    with this mutant's bug
  --mutants        every mutant, and a table of how many seeds catch each
  --only NAMES     with --mutants: these, by commas
  --until K        with --mutants: each until K seeds have caught it, or until it had all of --seeds (5)
  --workers N      processes (one a core)
  --list           the mutants
Exit code 1: an invariant was violated, a mutant was not caught, or not everything was run; 2: the options are wrong.`

/** What `npm run simulate` was asked to do. */
export type Asked =
  | { readonly _tag: "Help" }
  | { readonly _tag: "List" }
  | {
    readonly _tag: "Seeds"
    readonly first: number
    readonly count: number
    readonly mutant: string | undefined
    readonly workers: number
  }
  | {
    readonly _tag: "Mutants"
    readonly chosen: ReadonlyArray<Mutant>
    readonly first: number
    readonly count: number
    readonly enough: number
    readonly workers: number
  }

/** Throws a UsageError for what it does not understand, and for an option that would have no effect. */
export const askedOf = (args: ReadonlyArray<string>): Asked => {
  const flags = flagsOf(args, {
    seeds: { type: "string" },
    seed: { type: "string" },
    mutant: { type: "string" },
    mutants: { type: "boolean" },
    only: { type: "string" },
    until: { type: "string" },
    workers: { type: "string" },
    list: { type: "boolean" },
    help: { type: "boolean" }
  })
  const every = flags.mutants === true
  const count = wholeNumber("seeds", flags.seeds, { least: 1, most: 1e6, otherwise: every ? 200 : 1_000 })
  // A run is drawn from 32 bits: greater seeds would be others under another name.
  const first = wholeNumber("seed", flags.seed, { least: 0, most: 4e9, otherwise: every ? 0 : Date.now() % 1e9 })
  const workers = wholeNumber("workers", flags.workers, { least: 1, most: 256, otherwise: availableParallelism() })
  const enough = wholeNumber("until", flags.until, { least: 1, most: 1e6, otherwise: 5 })
  for (const flag of ["only", "until"] as const) {
    if (flags[flag] !== undefined && !every) throw new UsageError(`--${flag} needs --mutants`)
  }
  if (flags.mutant !== undefined && every) throw new UsageError("--mutant and --mutants exclude each other")
  const named = flags.only?.split(",").map(mutantOf)
  const mutant = flags.mutant === undefined ? undefined : mutantOf(flags.mutant).name
  if (flags.help === true) return { _tag: "Help" }
  if (flags.list === true) return { _tag: "List" }
  if (!every) return { _tag: "Seeds", first, count, mutant, workers }
  const chosen = named === undefined ? mutants : mutants.filter((each) => named.includes(each))
  return { _tag: "Mutants", chosen, first, count, enough, workers }
}

const mutantOf = (name: string): Mutant => {
  const found = mutants.find((each) => each.name === name.trim())
  if (found !== undefined) return found
  throw new UsageError(`There is no mutant "${name.trim()}"; --list names them`)
}
