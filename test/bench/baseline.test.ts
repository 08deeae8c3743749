import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { compare } from "../../bench/harness/baseline.ts"
import type { Line } from "../../bench/Row.ts"

const measured = (...lines: ReadonlyArray<Partial<Line>>) => [{
  row: { name: "row", title: "", run: Effect.succeed([]) },
  lines: lines.map((line): Line => ({ name: "line", lockstep: "", also: {}, ...line }))
}]

const baseline = { full: {}, quick: { row: { line: { ratio: 0.8, counts: { executions: 1 } } } } }

const ratio = (median: number) => ({ ratio: { median, min: median, max: median }, steady: true })

const lost = (line: Partial<Line>, margin = 0.25) =>
  compare("quick", measured(line), margin, baseline).filter((each) => each.lost).map(({ what }) => what)

describe("a check against the baseline", () => {
  it("lets a ratio lose as much as the margin, and no more", () => {
    assert.deepStrictEqual(lost({ ...ratio(0.61), counts: { executions: 1 } }), [])
    assert.deepStrictEqual(lost({ ...ratio(0.59), counts: { executions: 1 } }), ["ratio"])
    assert.deepStrictEqual(lost({ ...ratio(0.59), counts: { executions: 1 } }, 0.6), [])
  })

  it("lets a count be no other, neither more nor less", () => {
    assert.deepStrictEqual(lost({ ...ratio(2), counts: { executions: 2 } }), ["executions"])
    assert.deepStrictEqual(lost({ ...ratio(2), counts: { executions: 0 } }), ["executions"])
  })

  it("calls lost what is not measured any more, or measured nothing", () => {
    assert.deepStrictEqual(lost({ name: "renamed", ...ratio(1), counts: { executions: 1 } }), ["ratio", "executions"])
    assert.deepStrictEqual(lost({ ...ratio(NaN), counts: { executions: 1 } }), ["ratio"])
  })

  it("passes over what the baseline does not have", () => {
    assert.deepStrictEqual(compare("full", measured(ratio(0.1)), 0.25, baseline), [])
  })
})
