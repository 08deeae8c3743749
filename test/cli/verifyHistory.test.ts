import { assert, describe, it } from "vitest"
import { History, percentile, type Read } from "../../src/cli/verify/History.ts"

const read = (begun: number, version: number, generation = version): Read => ({
  server: "http://a",
  realm: "source",
  begun,
  version,
  generation
})

const history = () => {
  const made = new History(3000)
  made.changed({ realm: "source", version: 1, returned: 0, promised: true })
  return made
}

describe("the history that lockstep verify checks", () => {
  it("an answer that shows what was promised before it was asked is no violation", () => {
    const checked = history()
    checked.changed({ realm: "source", version: 2, returned: 100, promised: true })
    checked.read("r", read(50, 1))
    checked.read("r", read(101, 2))
    assert.deepStrictEqual([checked.violations, checked.staleness], [[], []])
  })

  it("an answer from before a promised version is a violation of I1", () => {
    const checked = history()
    checked.changed({ realm: "source", version: 2, returned: 100, promised: true })
    checked.read("r", read(101, 1))
    assert.deepStrictEqual(checked.violations.map(({ invariant }) => invariant), ["I1"])
  })

  it("an answer from before an unpromised version is measured, and a violation of I2 only past the lease", () => {
    const checked = history()
    checked.changed({ realm: "source", version: 2, returned: 100, promised: false })
    checked.read("r", read(600, 1))
    assert.deepStrictEqual([checked.violations, checked.staleness], [[], [500]])
    checked.read("r", read(3300, 1))
    assert.deepStrictEqual(checked.violations.map(({ invariant }) => invariant), ["I2"])
  })

  it("an answer that warns that it may be old breaks neither I1 nor I2, but may not go back", () => {
    const checked = history()
    checked.changed({ realm: "source", version: 2, returned: 100, promised: true })
    checked.read("r", { ...read(9000, 1, 7), warned: true })
    assert.deepStrictEqual([checked.violations, checked.staleness], [[], []])
    checked.read("r", { ...read(9001, 1, 6), warned: true })
    assert.deepStrictEqual(checked.violations.map(({ invariant }) => invariant), ["I3"])
  })

  it("a generation that goes back on one replica is a violation of I3; another reader's are its own", () => {
    const checked = history()
    checked.read("r", read(1, 1, 5))
    checked.read("other", read(2, 1, 4))
    assert.deepStrictEqual(checked.violations, [])
    checked.read("r", read(3, 1, 4))
    assert.deepStrictEqual(checked.violations.map(({ invariant }) => invariant), ["I3"])
  })

  it("percentiles of nothing are nothing", () => {
    assert.strictEqual(percentile([], 0.5), 0)
    assert.strictEqual(percentile([3, 1, 2], 0.5), 2)
    assert.strictEqual(percentile([3, 1, 2], 1), 3)
  })
})
