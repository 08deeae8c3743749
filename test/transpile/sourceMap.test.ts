import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync, writeFileSync } from "node:fs"
import * as fs from "node:fs/promises"
import { SourceMap } from "node:module"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { compiled, compilers, type CompilerName } from "./compilers.ts"
import { programs } from "./programs.ts"
import { tsxModules } from "./tsxModules.ts"

const mapped = (compiler: CompilerName, file: string, source: string) => {
  const answer = compilers[compiler].map(file, new TextEncoder().encode(source))
  if (answer._tag === "Rejected") throw new Error(JSON.stringify(answer.problem))
  return answer.value
}

const root = fileURLToPath(new URL("../../node_modules/effect/src/", import.meta.url))

const modules = [
  ...programs.map(({ path = "main.ts", source }) => [path, source] as const),
  ...Object.entries(tsxModules),
  ...globSync("*.ts", { cwd: root }).sort().filter((_, i) => i % 12 === 0).map((file) =>
    [file, readFileSync(path.join(root, file), "utf8")] as const
  )
]

describe.each(["babel", "oxc"] as const)("a source map by %s", (compiler) => {
  it("belongs to the very code that is served, whatever the module", () => {
    for (const [file, source] of modules) {
      const { code, map } = mapped(compiler, file, source)
      assert.strictEqual(code, compiled(compiler, file, source).code, file)
      assert.deepInclude(JSON.parse(map), { version: 3, sourcesContent: [source], sources: [path.basename(file)] })
    }
  })

  it.each([
    ["oxc's own", "type A = 1\n\nconst ü = '𝒳', b: A = 1; throwHere(b)\n"],
    ["with decorators", "type A = 1\n@dec class Q {}\nconst ü = '𝒳', b: A = 1; throwHere(b)\n"]
  ])("leads each place back to where it was written: %s", (_, source) => {
    const { code, map } = mapped(compiler, "deep/a.ts", source)
    const offset = code.indexOf("throwHere")
    const before = code.slice(0, offset).split("\n")
    const found = new SourceMap(JSON.parse(map)).findEntry(before.length - 1, before.at(-1)!.length)
    const originalColumn = source.split("\n")[2]!.indexOf("throwHere")
    assert.deepInclude(found, { originalLine: 2, originalColumn, originalSource: "a.ts" })
  })

  it("names its source by a relative URL, of this machine nothing, and never inside the code", () => {
    const { code, map } = mapped(compiler, "deep/down/a b:c.tsx", "export const a: number = 1")
    assert.deepInclude(JSON.parse(map), { file: "a%20b%3Ac.tsx", sources: ["a%20b%3Ac.tsx"] })
    assert.isUndefined(JSON.parse(map).sourceRoot)
    assert.notInclude(code, "sourceMappingURL")
  })

  it("is made of nothing but the source, whatever map the source names", async () => {
    const directory = await fs.mkdtemp(path.join(tmpdir(), "lockstep-map-"))
    try {
      const other = { version: 3, sources: ["secret.ts"], sourcesContent: ["secret"], names: [], mappings: "AAAA" }
      writeFileSync(path.join(directory, "a.js.map"), JSON.stringify(other))
      const inline = `data:application/json;base64,${Buffer.from(JSON.stringify(other)).toString("base64")}`
      for (const named of ["a.js.map", inline]) {
        const [own, plain] = ["sourceMappingURL", "somethingElseToo"].map((comment) =>
          mapped(compiler, `${directory.slice(1)}/a.js`, `export const a = f(1)\n//# ${comment}=${named}`)
        )
        assert.strictEqual(JSON.parse(own!.map).mappings, JSON.parse(plain!.map).mappings)
        assert.deepStrictEqual(JSON.parse(own!.map).sources, ["a.js"])
        assert.notInclude(own!.map, "\"secret")
      }
    } finally {
      await fs.rm(directory, { recursive: true })
    }
  })

  it("does not exist where the module does not compile, for the same reason", () => {
    const bytes = new TextEncoder().encode("const = 1")
    assert.deepStrictEqual<unknown>(
      compilers[compiler].map("a.ts", bytes),
      compilers[compiler].transpile("a.ts", bytes)
    )
  })
})
