import { runCommand } from "../support/commandLine.ts"
import { hashOf, shortcomings } from "./completeness.ts"
import { checkMutants } from "./mutate.ts"
import { mutants } from "./mutants.ts"
import { type Asked, askedOf, usage } from "./options.ts"
import { seedsWith } from "./Plan.ts"
import { batchesOf, runSeeds } from "./runSeeds.ts"
import { addTo, noFaults } from "./Tally.ts"
import type { Report } from "./worker.ts"

type AskedFor<Tag> = Extract<Asked, { readonly _tag: Tag }>

const seedsFrom = (first: number, count: number) => Array.from({ length: count }, (_, index) => first + index)

/** Runs seeds of one kind; prints each failure's history, and the figures of all. */
const simulate = async ({ count, first, mutant, workers }: AskedFor<"Seeds">) => {
  const started = performance.now()
  const failed: Array<Report> = []
  const tally: Record<string, number> = noFaults()
  const counters: Record<string, number> = {}
  const runs: Array<Pick<Report, "seed" | "hash" | "reads">> = []
  const totals = { reads: 0, failures: 0, steps: 0, stalest: 0, executions: 0 }
  await runSeeds(batchesOf(seedsFrom(first, count), mutant), (report) => {
    runs.push({ seed: report.seed, hash: report.hash, reads: report.reads })
    addTo(tally, report.tally)
    addTo(counters, report.counters)
    totals.reads += report.reads
    totals.failures += report.failures
    totals.steps += report.steps
    totals.executions += report.executions
    totals.stalest = Math.max(totals.stalest, report.stalest)
    // A long run says at once what it has found, and how far it is.
    if (report.violations.length > 0) {
      failed.push(report)
      console.error(`seed ${report.seed}: ${report.violations[0]}`)
    }
    if (runs.length % 500 === 0) console.error(`${runs.length} of ${count} seeds, ${failed.length} with violations`)
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
  console.log(
    `${runs.length} seeds from ${first}: ${failed.length} with violations; hash ${hashOf(runs)}; ` +
      `${(runs.length / seconds).toFixed(1)} seeds/s`
  )
  console.log(
    `${totals.reads} reads, ${
      (100 * totals.failures / Math.max(1, totals.reads)).toFixed(1)
    }% of them errors; ${totals.steps} steps; ` +
      `${totals.executions} executions; the stalest answer was superseded for ${totals.stalest.toFixed(0)} ms`
  )
  const list = (figures: Readonly<Record<string, number>>) =>
    Object.entries(figures).map(([name, figure]) => `${name} ${figure}`).join(", ")
  console.log(`What befell them: ${list(tally)}`)
  console.log(`What the replicas that lived at the end counted: ${list(counters)}`)
  const wanting = shortcomings(count, runs)
  for (const each of wanting) console.error(`This proves nothing: ${each}`)
  if (failed.length > 0 || wanting.length > 0) process.exitCode = 1
}

/** Runs mutants until enough seeds have caught each, and prints how many had to be tried. */
const simulateMutants = async ({ chosen, count, enough, first, workers }: AskedFor<"Mutants">) => {
  const found = new Map(
    chosen.map(({ name }) => [name, { tried: 0, caught: 0, first: Infinity, by: new Set<string>() }])
  )
  await runSeeds(
    // Mutant by mutant: a worker keeps one mutant's code warm.
    chosen.flatMap(({ name, under }) => batchesOf(seedsWith(under, first, count), name, 3)),
    ({ mutant = "", seed, violations }) => {
      const entry = found.get(mutant)
      if (entry === undefined) return
      entry.tried++
      if (violations.length === 0) return
      entry.caught++
      entry.first = Math.min(entry.first, seed)
      for (const violation of violations) entry.by.add(violation.slice(0, 2))
      if (entry.caught === enough) console.error(`${mutant}: ${enough} of ${entry.tried}`)
    },
    { isOver: ({ mutant = "" }) => (found.get(mutant)?.caught ?? 0) >= enough, workers }
  )
  const rows = chosen.map(({ bug, name, under = "" }) => {
    const { by, caught, first, tried } = found.get(name) ?? { by: new Set<string>(), caught: 0, first: 0, tried: 0 }
    const earliest = caught === 0 ? "none" : String(first)
    return [name, bug, under, String(tried), String(caught), earliest, Array.from(by).sort().join(" ")]
  })
  const table = [
    ["Mutant", "The bug", "Under", "Seeds tried", "caught it", "the first", "by"],
    ["---", "---", "---", "---:", "---:", "---:", "---"],
    ...rows
  ]
  console.log(table.map((row) => `| ${row.join(" | ")} |`).join("\n"))
  const survivors = rows.filter((row) => row[5] === "none").map(([name]) => name)
  console.log(`\n${chosen.length - survivors.length} of ${chosen.length} mutants were caught`)
  const cutShort = Array.from(found).filter(([, { caught, tried }]) => caught < enough && tried < count)
  for (const [name, { tried }] of cutShort) console.error(`${name}: only ${tried} of ${count} runs were made`)
  if (survivors.length > 0) console.log(`Not caught: ${survivors.join(", ")}`)
  if (survivors.length > 0 || cutShort.length > 0) process.exitCode = 1
}

await runCommand(askedOf, async (asked) => {
  switch (asked._tag) {
    case "Help":
      return console.log(usage)
    case "List":
      for (const { bug, name } of mutants) console.log(`${name.padEnd(28)} ${bug}`)
      return
    case "Seeds":
      checkMutants()
      return simulate(asked)
    case "Mutants":
      checkMutants()
      return simulateMutants(asked)
  }
})
