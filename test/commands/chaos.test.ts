import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { catalogue } from "../integration/faults/catalogue.ts"
import { askedOf } from "../integration/faults/options.ts"
import { UsageError } from "../support/commandLine.ts"

const folder = new URL("../integration/faults/", import.meta.url)

const chosen = (only: string) => {
  const asked = askedOf(["--only", only])
  return asked._tag === "Run" ? asked.chosen.map(({ title }) => title) : []
}

describe("npm run chaos", () => {
  it("knows every test of the suite and its fault, by the names that they have", () => {
    const written: Array<{ file: string; title: string; fault: string | undefined }> = []
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".test.ts")).sort()) {
      const text = readFileSync(new URL(file, folder), "utf8")
      for (const [, call, name = ""] of text.matchAll(/(it\.effect(?:\.runIf\([^)]*\))?|\btrial)\(\s*"([^"]*)"/g)) {
        const last = written.at(-1)
        if (call !== "trial") written.push({ file, title: name, fault: undefined })
        else if (last !== undefined) last.fault = name
      }
      const calls = text.match(/\bit\.\w|\btrial\(/g) ?? []
      const known = written.filter((each) => each.file === file)
      assert.lengthOf(calls, known.length + known.filter(({ fault }) => fault !== undefined).length, file)
    }
    assert.deepStrictEqual(catalogue.map(({ fault, file, title }) => ({ file, title, fault })), written)
    assert.strictEqual(new Set(written.map(({ title }) => title)).size, written.length, "titles are told apart")
  })

  it("finds each fault by the name that docs/COHERENCE.md prints", () => {
    const text = readFileSync(new URL("../../docs/COHERENCE.md", import.meta.url), "utf8")
    const [, table = ""] = text.split("| Fault |")
    const names = Array.from(table.matchAll(/^\| ([^-|][^|]*?) \|/gm), ([, name = ""]) => name)
    assert.isAbove(names.length, 10)
    for (const name of names) {
      assert.lengthOf(catalogue.filter(({ fault }) => fault === name), 1, name)
      assert.isNotEmpty(chosen(`${name} (3 times)`), name)
    }
  })

  it("chooses by a fault's name, a test's title or a file, in whatever case", () => {
    const stopped = ["for longer than its lease: what it answers when it goes on is not stale"]
    assert.deepStrictEqual(chosen("sigstop of a replica for two LEASES"), stopped)
    assert.deepStrictEqual(chosen("when it goes on is not stale"), stopped)
    const killed = catalogue.filter(({ file }) => file === "killed.test.ts").map(({ title }) => title)
    assert.deepStrictEqual(chosen("killed.test"), killed)
  })

  it("refuses a text that nothing has and says what there is, a repetition out of range, a flag it does not know", () => {
    assert.throws(() => askedOf(["--only", "nope"]), UsageError, "SIGSTOP of a replica for two leases")
    assert.throws(() => askedOf(["--only", ""]), UsageError, "--only needs a text")
    for (const text of ["0", "x", "1.5"]) {
      assert.throws(() => askedOf(["--repeat", text]), UsageError, "--repeat must be")
    }
    assert.throws(() => askedOf(["--onyl", "x"]), UsageError, "--onyl")
  })
})
