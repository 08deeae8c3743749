import { Effect } from "effect"
import { flagsOf, runCommand, wholeNumber } from "../support/commandLine.ts"
import { fuzz } from "./fuzz.ts"

const asked = (args: ReadonlyArray<string>) => {
  const flags = flagsOf(args, { cases: { type: "string" }, seed: { type: "string" } })
  return {
    cases: wholeNumber("cases", flags.cases, { least: 1, most: 10_000_000, otherwise: 50_000 }),
    seed: wholeNumber("seed", flags.seed, { least: 0, most: 2 ** 32 - 1, otherwise: Date.now() % 2 ** 32 })
  }
}

// `npm run fuzz -- --cases 50000 --seed S`
await runCommand(asked, async (options) => {
  console.log(`${options.cases} cases from seed ${options.seed}`)
  const started = performance.now()
  const { failure, statuses } = await Effect.runPromise(fuzz(options))
  console.log(
    Object.entries(statuses).map(([status, count]) => `${status === "0" ? "none" : status}: ${count}`).join(", ")
  )
  console.log(`${((performance.now() - started) / 1000).toFixed(1)} s`)
  if (failure === undefined) return
  console.error(failure)
  process.exitCode = 1
})
