import { assert, describe, it } from "@effect/vitest"
import { Echoes } from "../../src/coordination/Echoes.ts"

describe("Echoes", () => {
  it("what was announced is an echo once, for its own sender", () => {
    const echoes = new Echoes()
    echoes.announce(1, ["a", "b"])
    assert.isFalse(echoes.hear(2, "a"))
    assert.isTrue(echoes.hear(1, "a"))
    assert.isFalse(echoes.hear(1, "a"))
    assert.isTrue(echoes.hear(1, "b"))
  })

  it("several announcements of one payload are several echoes", () => {
    const echoes = new Echoes()
    echoes.announce(1, ["a"])
    echoes.announce(1, ["a"])
    assert.deepStrictEqual([1, 2, 3].map(() => echoes.hear(1, "a")), [true, true, false])
  })

  it("an echo that came before its announcement leaves none behind that would swallow a raw message", () => {
    const echoes = new Echoes()
    assert.isFalse(echoes.hear(1, "a"))
    echoes.announce(1, ["a"])
    assert.isFalse(echoes.hear(1, "a"))
  })

  it("after a gap nothing is taken for an echo", () => {
    const echoes = new Echoes()
    echoes.announce(1, ["a"])
    echoes.clear()
    assert.isFalse(echoes.hear(1, "a"))
  })

  it("forgets rather than grows, and what it forgot is not an echo", () => {
    const echoes = new Echoes(10)
    echoes.announce(1, ["early"])
    echoes.announce(1, Array.from({ length: 10 }, (_, index) => `${index}`))
    assert.isFalse(echoes.hear(1, "early"))
  })
})
