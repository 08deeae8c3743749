import { assert, describe, it } from "@effect/vitest"
import { makeBar } from "../../src/cli/progressBar.ts"

const terminal = (isTTY: boolean) => {
  const written: Array<string> = []
  return { isTTY, written, write: (text: string) => written.push(text) }
}

describe("the bar of a command that waits", () => {
  it("is one line of a terminal, and gone when the command has waited", () => {
    const screen = terminal(true)
    const bar = makeBar(screen, "rendered")
    bar.show(0, 4)
    bar.show(2, 4)
    bar.show(9, 4)
    bar.clear()
    assert.match(screen.written[1] ?? "", /^\r\S*█{15}░{15} 2 of 4 rendered$/)
    assert.match(screen.written[2] ?? "", /█{30} 9 of 4 rendered$/)
    assert.notInclude(screen.written.join(""), "\n")
    assert.match(screen.written[3] ?? "", /^\r\S+$/)
  })

  it("is not written to what is no terminal, nor before anything was counted", () => {
    const file = terminal(false)
    const bar = makeBar(file, "rendered")
    bar.show(1, 2)
    bar.clear()
    const screen = terminal(true)
    makeBar(screen, "rendered").show(0, 0)
    assert.deepStrictEqual([...file.written, ...screen.written], [])
  })
})
