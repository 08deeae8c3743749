import { assert, describe, it } from "@effect/vitest"
import { clockSkew } from "../../../src/cli/doctor/database.ts"

const statusOf = (...given: Parameters<typeof clockSkew>) => clockSkew(...given).status

describe("clocks that are compared over a network", () => {
  it("agree while one reading may lie between the two of the other, however long the answer took", () => {
    assert.strictEqual(statusOf("one", 5000, 1000, 9000), "ok")
    assert.strictEqual(statusOf("one", 1000, 1000, 1000), "ok")
  })

  it("differ by what no network explains, ahead or behind", () => {
    assert.strictEqual(statusOf("one", 12_000, 1000, 9000), "warn")
    assert.strictEqual(statusOf("one", 1000, 9000, 9100), "warn")
    assert.match(clockSkew("one", 12_000, 1000, 9000).detail, /differ by 3\.0 s/)
  })

  it("a clock that tells whole seconds is granted the second that it does not tell", () => {
    assert.strictEqual(statusOf("one", 7000, 9000, 9000, 1000), "ok")
    assert.strictEqual(statusOf("one", 6000, 9000, 9000, 1000), "warn")
  })
})
