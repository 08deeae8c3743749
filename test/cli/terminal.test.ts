import { assert, describe, it } from "@effect/vitest"
import { CliOutput } from "effect/cli"
import { canColour, coloursFor, widthOf } from "../../src/cli/colours.ts"
import { hintFor } from "../../src/cli/problem.ts"
import { makeBar } from "../../src/cli/progressBar.ts"
import { table } from "../../src/cli/table.ts"

const plain = coloursFor({}, {})

describe("what fits a terminal", () => {
  const rows = [
    [
      "http://localhost:4201/a-realm-with-quite-a-long-name/",
      "published",
      "12",
      "no replica could be asked by anybody"
    ],
    ["http://localhost:4201/日本語の名前をもつレルム/", "source", "3", "-"]
  ]
  const header = ["URL", "KIND", "GENERATION", "WHY"]

  it("a table gives way in its widest columns, and never wraps", () => {
    for (const width of [50, 60, 79, 80, 100]) {
      const lines = table(header, rows, width, plain).split("\n")
      for (const line of lines) assert.isAtMost(CliOutput.displayWidth(line), width)
      assert.match(lines[1] ?? "", /^…\S*long-name\/ /, "a URL is known by its end")
      if (width < 80) assert.match(lines[1] ?? "", /no r.*…$/, "and a reason by its beginning")
      assert.include(lines[1], "published")
    }
  })

  it("a table that goes to a pipe is whole", () => {
    assert.include(table(header, rows, Infinity, plain), "no replica could be asked by anybody")
    assert.strictEqual(widthOf({ columns: 10 }), Infinity)
    assert.strictEqual(widthOf({ isTTY: true, columns: 0 }), 80)
  })

  it("a bar is shorter on a narrow one, and is no bar where lines cannot be written again", () => {
    const written: Array<string> = []
    const narrow = { isTTY: true, columns: 30, write: (text: string) => written.push(text) }
    makeBar(narrow, "modules warm", "xterm").show(500, 1000)
    assert.lengthOf(written, 1)
    assert.isBelow(CliOutput.displayWidth((written[0] ?? "").replace(/^\r\u001b\[2K/, "")), 30)
    makeBar(narrow, "modules warm", "dumb").show(1, 2)
    assert.lengthOf(written, 1)
  })
})

describe("colours", () => {
  it("are for terminals, unless somebody says otherwise", () => {
    const terminal = { isTTY: true }
    assert.isTrue(canColour(terminal, {}))
    assert.isFalse(canColour({}, {}))
    assert.isFalse(canColour(terminal, { NO_COLOR: "1" }))
    assert.isTrue(canColour(terminal, { NO_COLOR: "" }))
    assert.isTrue(canColour({}, { FORCE_COLOR: "1" }))
    assert.isFalse(canColour({}, { FORCE_COLOR: "0" }))
    assert.isFalse(canColour({}, { FORCE_COLOR: "1", NO_COLOR: "1" }))
    assert.isFalse(canColour(terminal, { TERM: "dumb" }))
    assert.strictEqual(coloursFor(terminal, {}).red("no"), "\u001b[31mno\u001b[0m")
  })
})

describe("what to do next", () => {
  const problem = (type: string) => JSON.stringify({ type: `urn:lockstep:${type}`, title: "No" })

  it("is said by what is wrong, or else by the status", () => {
    assert.match(hintFor(404, problem("realm-not-found")) ?? "", /lockstep realms/)
    assert.match(hintFor(409, problem("realm-conflict")) ?? "", /lockstep realms/)
    assert.match(hintFor(409, problem("generation-ahead")) ?? "", /--min-generation/)
    assert.match(hintFor(503, problem("database-unavailable")) ?? "", /lockstep doctor/)
    assert.match(hintFor(401, problem("unauthorized")) ?? "", /--token-file FILE or LOCKSTEP_TOKEN/)
    assert.match(hintFor(401, "<h1>Login</h1>") ?? "", /--token-file FILE or LOCKSTEP_TOKEN/)
    assert.match(hintFor(404, "<h1>Not found</h1>") ?? "", /--server or LOCKSTEP_SERVER/)
    assert.match(hintFor(502, "Bad gateway") ?? "", /in front of the replicas/)
    assert.isUndefined(hintFor(422, problem("transpile-error")))
  })
})
