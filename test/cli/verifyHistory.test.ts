import { assert, describe, it } from "vitest"
import { type Change, History, percentile, type Read } from "../../src/cli/verify/History.ts"

const read = (begun: number, version: number, generation = version): Read => ({
  server: "http://a",
  realm: "source",
  begun,
  ended: begun + 1,
  version,
  generation
})

const absent = (begun: number): Read => ({
  server: "http://a",
  realm: "source",
  begun,
  ended: begun + 1,
  version: "absent"
})

const change = (version: number, returned: number, promised: boolean, more: Partial<Change> = {}): Change => ({
  realm: "source",
  version,
  server: "http://w",
  begun: returned - 10,
  returned,
  promised,
  ...more
})

/** A change as the probe makes it: asked for, and confirmed. */
const make = (checked: History, made: Change) => {
  checked.begin(made)
  checked.changed(made)
}

const invariants = ({ violations }: History) => violations.map(({ invariant }) => invariant)

const history = () => {
  const made = new History(3000)
  made.changed(change(1, 0, true))
  return made
}

describe("the history that lockstep verify checks", () => {
  it("an answer that shows what was promised before it was asked is no violation", () => {
    const checked = history()
    checked.changed(change(2, 100, true))
    checked.read("r", read(50, 1))
    checked.read("r", read(101, 2))
    assert.deepStrictEqual([checked.violations, checked.stale], [[], 0])
  })

  it("an answer from before a promised version is a violation of I1", () => {
    const checked = history()
    checked.changed(change(2, 100, true))
    checked.read("r", read(101, 1))
    assert.deepStrictEqual(checked.violations.map(({ invariant }) => invariant), ["I1"])
  })

  it("an answer from before an unpromised version is measured, and a violation of I2 only past the lease", () => {
    const checked = history()
    checked.changed(change(2, 100, false))
    checked.read("r", read(600, 1))
    assert.deepStrictEqual([checked.violations, checked.stale], [[], 1])
    checked.read("r", read(3300, 1))
    assert.deepStrictEqual(checked.violations.map(({ invariant }) => invariant), ["I2"])
  })

  it("an answer that warns that it may be old breaks neither I1 nor I2, but may not go back", () => {
    const checked = history()
    checked.changed(change(2, 100, true))
    checked.read("r", { ...read(9000, 1, 7), warned: true })
    assert.deepStrictEqual([checked.violations, checked.stale], [[], 0])
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

  it("a 404 after a confirmed change is an answer from before it", () => {
    const checked = history()
    checked.read("r", absent(1))
    assert.deepStrictEqual(invariants(checked), ["I1"])
    const unpromised = new History(3000)
    unpromised.changed(change(1, 0, false))
    unpromised.read("r", absent(100))
    assert.deepStrictEqual(invariants(unpromised), [])
    unpromised.read("r", absent(3200))
    assert.deepStrictEqual(invariants(unpromised), ["I2"])
  })

  it("a 404 may be of a removal that is under way, and what was removed must not be shown after it", () => {
    const checked = history()
    const removal = change(2, 110, true, { removes: true })
    checked.begin(removal)
    checked.read("r", absent(105))
    checked.read("r", read(105, 1))
    checked.changed(removal)
    checked.read("r", absent(111))
    assert.deepStrictEqual(checked.violations, [])
    checked.read("r", read(111, 1))
    assert.deepStrictEqual(invariants(checked), ["I1"])
    make(checked, change(3, 200, true))
    checked.read("r", absent(201))
    assert.deepStrictEqual(invariants(checked), ["I1", "I1"])
  })

  it("a removal that was refused excuses no 404; one that nobody heard the end of does for a minute", () => {
    const checked = history()
    const removal = change(2, 110, true, { removes: true })
    checked.begin(removal)
    checked.doubted(removal, 110)
    make(checked, change(3, 200, true))
    checked.read("r", absent(300))
    assert.deepStrictEqual(checked.violations, [])
    checked.read("r", absent(60_200))
    assert.deepStrictEqual(invariants(checked), ["I1"])
    const refusing = history()
    refusing.begin(removal)
    refusing.refused(removal)
    refusing.read("r", absent(300))
    assert.deepStrictEqual(invariants(refusing), ["I1"])
  })

  it("a write that nobody heard the end of may land over newer ones", () => {
    const checked = history()
    const lost = change(2, 110, true)
    checked.begin(lost)
    checked.doubted(lost, 110)
    make(checked, change(3, 200, true))
    checked.read("r", read(300, 2))
    assert.deepStrictEqual(checked.violations, [])
    checked.read("r", read(300, 1, 3))
    assert.deepStrictEqual(invariants(checked), ["I1"])
  })

  it("who insists on a generation gets nothing older, whether others were promised it or not", () => {
    const checked = history()
    make(checked, change(2, 100, false, { generation: 7 }))
    const token = checked.token("source")
    assert.deepStrictEqual(token, { generation: 7, version: 2 })
    checked.read("r", { ...read(101, 2, 7), token })
    assert.deepStrictEqual([checked.violations, checked.withToken], [[], 1])
    checked.read("other", { ...read(101, 1, 6), token })
    checked.read("other", { ...absent(101), token })
    if (token !== undefined) checked.tokenRefused(read(101, 1, 6), token)
    assert.deepStrictEqual(invariants(checked), ["I1", "I1", "I1"])
  })

  it("a published generation keeps its bytes, until it is unpublished", () => {
    const checked = new History(3000)
    make(checked, change(1, 10, true, { realm: "published", generation: 5 }))
    make(checked, change(2, 20, true, { realm: "published", generation: 6 }))
    const [first] = checked.publications
    assert.deepStrictEqual(first, { generation: 5, version: 1 })
    if (first === undefined) return
    checked.publication("http://a", first, 30, 1)
    assert.deepStrictEqual(checked.violations, [])
    checked.publication("http://a", first, 30, 2)
    checked.publication("http://a", first, 30, "absent")
    assert.deepStrictEqual(invariants(checked), ["I1", "I1"])
    checked.begin(change(3, 40, true, { realm: "published", removes: true }))
    checked.publication("http://a", first, 35, "absent")
    assert.deepStrictEqual([checked.violations.length, checked.publications], [2, []])
  })

  it("staleness is how long another server was still asked in vain, since the change was seen and since its request", () => {
    const checked = new History(3000)
    const made = change(2, 100, false, { begun: 80 })
    checked.begin(made)
    checked.read("r", { ...read(84, 1), server: "http://b" })
    checked.read("r", { ...read(86, 2), server: "http://w" })
    checked.read("r", { ...read(90, 1), server: "http://b" })
    checked.read("r", { ...read(91, 2), server: "http://c" })
    checked.changed(made)
    checked.read("r", { ...read(105, 2), server: "http://b" })
    checked.read("r", { ...read(95, 1), server: "http://silent" })
    checked.staleness.settle()
    assert.deepStrictEqual(checked.staleness.lags, [
      { server: "http://c", promised: false, sinceSeen: 0, sinceRequest: 0 },
      { server: "http://b", promised: false, sinceSeen: 3, sinceRequest: 10 }
    ])
  })

  it("percentiles of nothing are nothing", () => {
    assert.strictEqual(percentile([], 0.5), 0)
    assert.strictEqual(percentile([3, 1, 2], 0.5), 2)
    assert.strictEqual(percentile([3, 1, 2], 1), 3)
  })
})
