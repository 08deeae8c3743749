import { assert, describe, it } from "vitest"
import { checkMutants } from "./mutate.ts"
import { mutants } from "./mutants.ts"
import { seedsWith } from "./Plan.ts"
import { batchesOf, runSeeds } from "./runSeeds.ts"
import { addTo, faults, noFaults } from "./Tally.ts"
import seeds from "./seeds.json" with { type: "json" }
import type { Report } from "./worker.ts"

const fresh = 1_000
const twice = 100

/** The first of the fresh seeds: another one each day, and the same for everybody on that day. */
const first = Math.trunc(Date.now() / 86_400_000) * 10_000

const quick = [
  "lease-not-checked",
  "lease-from-reply",
  "notification-only",
  "stale-version-pointer",
  "row-without-fence",
  "newest-for-any-version",
  "first-leaver-stops-all",
  "wipe-not-raised",
  "lock-kept"
]

const from = (start: number, count: number) => Array.from({ length: count }, (_, index) => start + index)

const violationsOf = (reports: ReadonlyArray<Report>) =>
  reports.flatMap(({ lines, seed, violations }) =>
    violations.length === 0
      ? []
      : [
        `${lines.slice(-60).join("\n")}\nreplay: npm run simulate -- --seeds 1 --seed ${seed}\n${violations.join("\n")}`
      ]
  ).slice(0, 3)

const run = async (all: ReadonlyArray<number>) => {
  const reports: Array<Report> = []
  await runSeeds(batchesOf(all), (report) => reports.push(report))
  return reports
}

describe("simulated fleets", { timeout: 900_000, concurrent: false }, () => {
  it("every mutant still fits the code", () => {
    assert.doesNotThrow(checkMutants)
  })

  it("no seed that ever caught something violates an invariant", async () => {
    assert.deepStrictEqual(violationsOf(await run(seeds.map(({ seed }) => seed))), [])
  })

  it(`${fresh} fresh seeds violate no invariant, and ${twice} of them run the same way again`, async () => {
    const reports = await run([...from(first, fresh), ...from(first, twice)])
    assert.deepStrictEqual(violationsOf(reports), [])
    const hashes = Map.groupBy(reports, ({ seed }) => seed)
    for (const [seed, runs] of hashes) {
      assert.strictEqual(new Set(runs.map(({ hash }) => hash)).size, 1, `seed ${seed} went two ways`)
    }
    assert.strictEqual(reports.length, fresh + twice)
    assert.strictEqual(new Set(reports.map(({ hash }) => hash)).size, fresh)
    const tally = noFaults()
    for (const report of reports) addTo(tally, report.tally)
    assert.deepStrictEqual(faults.filter((fault) => tally[fault] === 0), [], "faults that never happened")
  })

  // What can only ever pass proves nothing. All mutants take a while (`npm run simulate -- --mutants`); these are quick.
  it("bugs of every kind are caught within a few seeds", async () => {
    const chosen = mutants.filter(({ name }) => quick.includes(name))
    const caught = new Set<string | undefined>()
    await runSeeds(
      chosen.flatMap(({ name, under }) => batchesOf(seedsWith(under, 0, 40), name, 4)),
      ({ mutant, violations }) => {
        if (violations.length > 0) caught.add(mutant)
      },
      { isOver: ({ mutant }) => caught.has(mutant) }
    )
    assert.deepStrictEqual(quick.filter((name) => !caught.has(name)), [])
  })
})
