import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { mutants } from "./mutants.ts"
import { checkMutants } from "./mutate.ts"
import { batchesOf, runSeeds } from "./runSeeds.ts"
import type { Report } from "./worker.ts"

const usage = `npm run simulate -- [options]
  --seeds N        how many seeds (1000)
  --seed S         the first of them (drawn from the clock)
  --mutant NAME    with this mutant's bug
  --mutants        every mutant, and a table of how many seeds catch each
  --workers N      processes (one a core)
  --list           the mutants`

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    mutant: { type: "string" },
    mutants: { type: "boolean" },
    workers: { type: "string" },
    list: { type: "boolean" },
    help: { type: "boolean" }
  }
})

const seedsFrom = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index)

const workers = Number(values.workers ?? availableParallelism())

/** Runs seeds of one kind; prints each failure's history, and the figures of all. */
const simulate = async (first: number, count: number, mutant: string | undefined) => {
  const started = performance.now()
  const failed: Array<Report> = []
  const totals = { reads: 0, failures: 0, steps: 0, stalest: 0, executions: 0 }
  await runSeeds(batchesOf(seedsFrom(first, count), mutant), (report) => {
    totals.reads += report.reads
    totals.failures += report.failures
    totals.steps += report.steps
    totals.executions += report.executions
    totals.stalest = Math.max(totals.stalest, report.stalest)
    if (report.violations.length > 0) failed.push(report)
  }, { workers })
  failed.sort((one, other) => one.seed - other.seed)
  const [shown] = failed
  if (shown !== undefined) {
    const replay = `npm run simulate -- --seeds 1 --seed ${shown.seed}${
      mutant === undefined ? "" : ` --mutant ${mutant}`
    }`
    console.log(shown.lines.join("\n"))
    console.log(`\nThis was seed ${shown.seed}, hash ${shown.hash}. To replay it: ${replay}\n`)
    for (const { seed, violations } of failed) console.log(`seed ${seed}: ${violations.length}, first ${violations[0]}`)
  }
  const seconds = (performance.now() - started) / 1000
  console.log(`${count} seeds from ${first}: ${failed.length} with violations; ${(count / seconds).toFixed(1)} seeds/s`)
  console.log(
    `${totals.reads} reads, ${
      (100 * totals.failures / totals.reads).toFixed(1)
    }% of them errors; ${totals.steps} steps; ` +
      `${totals.executions} executions; the stalest answer was superseded for ${totals.stalest.toFixed(0)} ms`
  )
  if (failed.length > 0) process.exitCode = 1
}

/** Runs every mutant, and prints how many seeds catch each. */
const simulateMutants = async (first: number, count: number) => {
  checkMutants()
  const caught = new Map(
    mutants.map(({ name }) => [name, { seeds: new Set<number>(), first: Infinity, by: new Set<string>() }])
  )
  // Mutant by mutant: a worker keeps one mutant's code warm.
  await runSeeds(
    mutants.flatMap(({ name }) => batchesOf(seedsFrom(first, count), name, 50)),
    ({ mutant = "", seed, violations }) => {
      const entry = caught.get(mutant)
      if (entry === undefined || violations.length === 0) return
      entry.seeds.add(seed)
      entry.first = Math.min(entry.first, seed)
      for (const violation of violations) entry.by.add(violation.slice(0, 2))
    },
    { workers }
  )
  const rows = mutants.map(({ bug, name }) => {
    const { by, first: seed, seeds } = caught.get(name) ?? { by: new Set<string>(), first: Infinity, seeds: new Set() }
    return [name, bug, String(seeds.size), seeds.size === 0 ? "none" : String(seed), Array.from(by).sort().join(" ")]
  })
  const table = [["Mutant", "Bug", `of ${count} seeds`, "first", "by"], ["---", "---", "---:", "---:", "---"], ...rows]
  console.log(table.map((row) => `| ${row.join(" | ")} |`).join("\n"))
  const survivors = rows.filter((row) => row[3] === "none")
  console.log(`\n${mutants.length - survivors.length} of ${mutants.length} mutants caught`)
  if (survivors.length > 0) process.exitCode = 1
}

if (values.help === true) console.log(usage)
else if (values.list === true) { for (const { bug, name } of mutants) console.log(`${name.padEnd(28)} ${bug}`) }
else if (values.mutants === true) await simulateMutants(Number(values.seed ?? 0), Number(values.seeds ?? 200))
else if (values.mutant !== undefined && !mutants.some(({ name }) => name === values.mutant)) {
  console.error(`There is no mutant ${values.mutant}; --list names them`)
  process.exitCode = 2
} else {
  checkMutants()
  await simulate(Number(values.seed ?? Date.now() % 1e9), Number(values.seeds ?? 1000), values.mutant)
}
