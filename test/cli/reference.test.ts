import { spawnSync } from "node:child_process"
import * as fs from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { entries, manual, markdown } from "../../src/cli/reference.ts"
import { runCommand } from "./runCommand.ts"

const kept = (name: string) => Effect.promise(() => fs.readFile(new URL(`../../${name}`, import.meta.url), "utf8"))

describe("what is written of the command line", () => {
  it.effect("is what its definitions say: npm run reference writes it anew", () =>
    Effect.gen(function*() {
      const all = yield* entries
      assert.strictEqual(yield* kept("docs/CLI.md"), markdown(all))
      assert.strictEqual(yield* kept("man/lockstep.1"), manual(all))
    }))

  it.effect("is offered by shells: every command has completions, which bash can read", () =>
    Effect.gen(function*() {
      const commands = (yield* entries).slice(1).map(({ name }) => name.replace("lockstep ", ""))
      for (const shell of ["bash", "zsh", "fish"]) {
        const { exitCode, stdout } = yield* runCommand(["--completions", shell])
        assert.strictEqual(exitCode, 0)
        for (const command of commands) assert.include(stdout, command, shell)
        if (shell !== "bash") continue
        const asked = spawnSync("bash", [
          "-c",
          `${stdout}
          COMP_WORDS=(lockstep unp); COMP_CWORD=1; COMP_LINE="lockstep unp"; COMP_POINT=12
          $(complete -p lockstep | sed 's/.*-F \\([^ ]*\\) .*/\\1/'); printf '%s' "\${COMPREPLY[*]}"`
        ])
        assert.strictEqual(asked.stdout.toString(), "unpublish", asked.stderr.toString())
      }
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
