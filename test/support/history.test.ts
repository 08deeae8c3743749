import { assert, describe, it } from "@effect/vitest"
import { History, type Reading } from "./history.ts"

const reading = (began: number, version: number | undefined, more: Partial<Reading> = {}): Reading => ({
  replica: "one",
  began,
  ended: began + 1,
  status: 200,
  generation: version ?? -1,
  version,
  ...more
})

const historyOf = (...readings: ReadonlyArray<Reading>) => {
  const history = new History()
  history.acknowledge(1, 0)
  history.acknowledge(2, 100)
  for (const each of readings) history.read(each)
  return history
}

describe("History", () => {
  it("finds nothing wrong with old bytes that were asked for before the publish returned", () => {
    assert.deepStrictEqual(historyOf(reading(50, 1, { ended: 150 }), reading(90, 2), reading(101, 2)).violations(), [])
  })

  it("reports old bytes in an answer that began after the publish returned", () => {
    assert.deepStrictEqual(historyOf(reading(101, 1)).violations(), [
      "one answered version 1 at 101.0, though 2 had been acknowledged"
    ])
  })

  it("reports an answer that is no version of the file", () => {
    assert.deepStrictEqual(historyOf(reading(5, undefined, { status: 503 })).violations(), [
      "one answered 503 without a version at 5.0"
    ])
  })

  it("reports a generation that was seen with the bytes of two versions", () => {
    assert.deepStrictEqual(historyOf(reading(5, 1, { generation: 7 }), reading(6, 2, { generation: 7 })).violations(), [
      "generation 7 had the bytes of versions 1 and 2"
    ])
  })

  it("reports a replica whose generation goes back, but not another replica's lower one", () => {
    assert.deepStrictEqual(
      historyOf(reading(5, 2), reading(10, 1), reading(10, 1, { replica: "two" })).violations(),
      ["one went back from generation 2 to 1"]
    )
  })
})
