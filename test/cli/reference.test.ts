import * as fs from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { entries, manual, markdown } from "../../src/cli/reference.ts"

const kept = (name: string) => Effect.promise(() => fs.readFile(new URL(`../../${name}`, import.meta.url), "utf8"))

describe("what is written of the command line", () => {
  it.effect("is what its definitions say: npm run reference writes it anew", () =>
    Effect.gen(function*() {
      const all = yield* entries
      assert.strictEqual(yield* kept("docs/CLI.md"), markdown(all))
      assert.strictEqual(yield* kept("man/lockstep.1"), manual(all))
    }))

  it.effect("shows each command by example", () =>
    Effect.gen(function*() {
      const all = yield* entries
      assert.isAtLeast(all.length, 15)
      for (const { doc, name } of all) {
        assert.isNotEmpty(doc.examples ?? [], name)
        for (const { command } of doc.examples ?? []) assert.isTrue(command.startsWith("lockstep "), command)
      }
    }))
})
