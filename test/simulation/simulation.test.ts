import { assert, describe, it } from "vitest"
import { checkMutants } from "./mutate.ts"
import { batchesOf, runSeeds } from "./runSeeds.ts"
import seeds from "./seeds.json" with { type: "json" }
import type { Report } from "./worker.ts"

const fresh = 300
const twice = 30

/** The first of the fresh seeds: another one each day, and the same for everybody on that day. */
const first = Math.trunc(Date.now() / 86_400_000) * 10_000

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
  })

  // What can only ever pass proves nothing.
  for (const mutant of ["no-barrier", "notification-only", "stale-version-pointer", "hit-without-fence"]) {
    it(`the bug ${mutant} is caught`, async () => {
      let caught = 0
      await runSeeds(batchesOf(from(0, 200), mutant, 5), ({ violations }) => caught += violations.length, {
        isOver: () => caught > 0
      })
      assert.isAbove(caught, 0)
    })
  }
})
