import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import { CommandFailed, UsageError } from "../../src/cli/CommandFailed.ts"
import { teardown } from "../../src/cli/termination.ts"

const codeOf = (exit: Exit.Exit<unknown, unknown>) => {
  const codes: Array<number> = []
  teardown(exit, (code) => codes.push(code))
  return codes
}

describe("the exit code", () => {
  it("is 0 for success, 1 for failure and bugs, 2 for a wrong command line", () => {
    assert.deepStrictEqual(codeOf(Exit.void), [0])
    assert.deepStrictEqual(codeOf(Exit.fail(new CommandFailed({ message: "no" }))), [1])
    assert.deepStrictEqual(codeOf(Exit.die(new Error("bug"))), [1])
    assert.deepStrictEqual(codeOf(Exit.fail(new UsageError())), [2])
  })

  it("of an interrupted command is 130", () => {
    assert.deepStrictEqual(codeOf(Exit.interrupt(1)), [130])
  })
})
