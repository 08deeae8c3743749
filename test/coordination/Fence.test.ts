import { assert, describe, it } from "@effect/vitest"
import { Fence } from "../../src/coordination/Fence.ts"

describe("Fence", () => {
  it("a token holds for a path until that path is invalidated", () => {
    const fence = new Fence()
    const token = fence.capture()
    assert.isTrue(fence.holds(token, "a"))
    fence.invalidate("a")
    assert.isFalse(fence.holds(token, "a"))
    assert.isTrue(fence.holds(fence.capture(), "a"))
  })

  it("an invalidation leaves other paths alone (S2)", () => {
    const fence = new Fence()
    const token = fence.capture()
    fence.invalidate("a")
    assert.isTrue(fence.holds(token, "b"))
  })

  it("an older token does not hold again because of later ones", () => {
    const fence = new Fence()
    const first = fence.capture()
    fence.invalidate("a")
    const second = fence.capture()
    fence.invalidate("b")
    assert.isFalse(fence.holds(first, "a"))
    assert.isTrue(fence.holds(second, "a"))
    assert.isFalse(fence.holds(second, "b"))
    fence.invalidate("a")
    assert.isFalse(fence.holds(second, "a"))
  })

  it("a drop voids every path, named before or not", () => {
    const fence = new Fence()
    fence.invalidate("a")
    const token = fence.capture()
    fence.drop()
    assert.isFalse(fence.holds(token, "a"))
    assert.isFalse(fence.holds(token, "never named"))
    const after = fence.capture()
    assert.isTrue(fence.holds(after, "a"))
    assert.isTrue(fence.holds(after, "never named"))
  })

  it("more paths than it remembers void the whole realm, and none is forgotten", () => {
    const fence = new Fence(3)
    const token = fence.capture()
    for (const path of ["a", "b", "c"]) fence.invalidate(path)
    assert.isTrue(fence.holds(token, "d"))
    const later = fence.capture()
    fence.invalidate("b")
    assert.isTrue(fence.holds(later, "a"), "a path that is known takes no more room")
    fence.invalidate("d")
    for (const path of ["a", "b", "c", "d", "e"]) assert.isFalse(fence.holds(later, path), path)
    assert.isTrue(fence.holds(fence.capture(), "a"))
  })

  it("agrees with a fence that forgets nothing wherever it says that a token holds", () => {
    let seed = 7
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below
    for (let round = 0; round < 200; round++) {
      const fence = new Fence(2)
      const events: Array<string> = []
      const tokens: Array<{ readonly token: number; readonly at: number }> = []
      for (let step = 0; step < 20; step++) {
        const path = "abcd"[random(4)] ?? "a"
        const what = random(6)
        if (what < 3) tokens.push({ token: fence.capture(), at: events.length })
        else if (what < 5) {
          fence.invalidate(path)
          events.push(path)
        } else {
          fence.drop()
          events.push("*")
        }
        for (const { at, token } of tokens) {
          for (const each of "abcd") {
            const since = events.slice(at)
            if (since.includes(each) || since.includes("*")) assert.isFalse(fence.holds(token, each))
          }
        }
        assert.isTrue(fence.holds(fence.capture(), path))
      }
    }
  })
})
