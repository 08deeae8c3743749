import type { Outcome } from "./trial.ts"
import { hookMutants } from "./mutate.ts"

/** What a worker is asked: these seeds of the code as it is, or with a mutant's bug. */
export interface Batch {
  readonly mutant: string | undefined
  readonly seeds: ReadonlyArray<number>
}

/** One seed's outcome without its history, unless it violates something. */
export type Report = Omit<Outcome, "lines"> & {
  readonly mutant: string | undefined
  readonly lines: ReadonlyArray<string>
}

// Effect keeps the async context of each suspended fiber for what listens to it. Nothing does here, and it costs a third.
const builtin = process.getBuiltinModule.bind(process)
Object.defineProperty(process, "getBuiltinModule", {
  value: (name: string) => name === "node:async_hooks" ? undefined : builtin(name)
})
hookMutants()

type Trial = typeof import("./trial.ts")
const trials = new Map<string, Promise<Trial>>()
const trialOf = (mutant: string | undefined): Promise<Trial> => {
  const specifier = mutant === undefined ? "./trial.ts" : `./trial.ts?mutant=${mutant}`
  const known = trials.get(specifier) ?? import(specifier) as Promise<Trial>
  trials.set(specifier, known)
  return known
}

const run = async ({ mutant, seeds }: Batch) => {
  const { runTrial } = await trialOf(mutant)
  for (const seed of seeds) {
    const outcome = runTrial(seed)
    const report: Report = { ...outcome, mutant, lines: outcome.violations.length > 0 ? outcome.lines : [] }
    process.send?.(report)
    // Lets it be heard that whoever asked is gone.
    await new Promise(setImmediate)
  }
  process.send?.("done")
}

process.on("disconnect", () => process.exit())
process.on("message", (batch: Batch) => {
  run(batch).catch((error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`)
    process.exit(1)
  })
})
