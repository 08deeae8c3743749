import { transformSync } from "@babel/core"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { globSync, mkdtempSync } from "node:fs"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assemble } from "../../src/definitions/assemble.ts"
import { ModuleGraph, type ModuleNode } from "../../src/definitions/ModuleGraph.ts"
import { isFault } from "../../src/domain/Definition.ts"
import { babelOptions } from "../../src/transpile/babelOptions.ts"
import { type ModuleAnalysis, type ModuleSource, Transpiler } from "../../src/transpile/Transpiler.ts"
import { realm } from "./moduleSource.ts"

const packages = fileURLToPath(new URL("../../node_modules", import.meta.url))
const root = path.join(packages, "effect/src")

const readSources = Effect.promise(async (): Promise<ReadonlyArray<ModuleSource>> => {
  const files = globSync("**/*.ts", { cwd: root }).sort()
  return Promise.all(
    files.map(async (file) => ({
      group: realm,
      path: file,
      bytes: await fs.readFile(path.join(root, file))
    }))
  )
})

/** Export names of every module as Node reports them, in a process of its own. */
const namesByImport = async (
  directory: string,
  files: ReadonlyArray<string>
): Promise<Record<string, Array<string>>> => {
  const script = `
    const names = {}
    for (const file of ${JSON.stringify(files)}) names[file] = Object.keys(await import("./" + file))
    require("node:fs").writeFileSync("names.json", JSON.stringify(names))`
  await fs.writeFile(path.join(directory, "import.cjs"), `(async () => {${script}})()`)
  await promisify(execFile)(process.execPath, ["import.cjs"], { cwd: directory, timeout: 120_000 })
  return JSON.parse(await fs.readFile(path.join(directory, "names.json"), "utf8"))
}

const base = "http://effect.example/src/"

/** Definitions of every module, by its path: what `DefinitionLookup` puts together, without its caches. */
const assembleAll = (analyses: ReadonlyMap<string, ModuleAnalysis>) => {
  const nodes = new Map(Array.from(analyses, ([file, analysis]) => {
    const node: ModuleNode = { _tag: "Module", url: base + file, analysis }
    return [node.url, node] as const
  }))
  return new Map(Array.from(analyses.keys(), (file) => {
    const graph = new ModuleGraph()
    for (const [url, node] of nodes) graph.add(url, node)
    return [file, assemble(graph, nodes.get(base + file)!)] as const
  }))
}

/** Classes and what they extend: their ancestors, or what is called to make the super class. */
const spots = [
  ["http/HttpBody.ts", "Empty", ["http/HttpBody.ts Proto"], "Proto"],
  ["internal/core.ts", "Fail", ["internal/core.ts ReasonBase"], "ReasonBase"],
  ["internal/effect.ts", "Interrupt", ["internal/core.ts ReasonBase"], "ReasonBase"],
  ["Schema.ts", "SchemaError", [], "Data.ts TaggedError()"],
  ["http/HttpClientError.ts", "StatusCodeError", [], "Data.ts TaggedError()"],
  ["sql/SqlError.ts", "ConnectionError", [], "Schema.ts TaggedError()"],
  ["ai/McpServer.ts", "McpServer", [], "Context.ts Service()"]
] as const

layer(Transpiler.layer({ workers: 2, timeout: "120 seconds" }), { excludeTestServices: true })(
  "the source of effect",
  (it) => {
    it.effect(
      "is transpiled to Babel's own bytes, links and runs in Node, and is analysed as Node sees it",
      () =>
        Effect.gen(function*() {
          const { analyze, transpile } = yield* Transpiler
          const sources = yield* readSources
          assert.isAbove(sources.length, 500)
          const outputs = yield* Effect.forEach(sources, transpile, { concurrency: "unbounded" })
          const analyses = yield* Effect.forEach(sources, analyze, { concurrency: "unbounded" })

          const optionsFor = babelOptions()
          sources.forEach((source, i) => {
            const own = transformSync(Buffer.from(source.bytes).toString(), optionsFor(source.path))
            assert.strictEqual(outputs[i]?.code, own?.code, source.path)
          })

          const directory = yield* Effect.acquireRelease(
            Effect.sync(() => mkdtempSync(path.join(tmpdir(), "lockstep-effect-"))),
            (directory) => Effect.promise(() => fs.rm(directory, { recursive: true }))
          )
          const files = sources.map((source) => source.path)
          const imported = yield* Effect.promise(async () => {
            await fs.symlink(packages, path.join(directory, "node_modules"))
            await fs.writeFile(path.join(directory, "package.json"), `{"type":"module"}`)
            for (const [i, file] of files.entries()) {
              await fs.mkdir(path.join(directory, path.dirname(file)), { recursive: true })
              await fs.writeFile(path.join(directory, file), outputs[i]!.code)
            }
            return namesByImport(directory, files)
          })
          const byPath = new Map(files.map((file, i) => [file, analyses[i]!]))
          const definitions = assembleAll(byPath)
          for (const [file, results] of definitions) {
            assert.deepStrictEqual(results.filter(isFault), [], file)
            const names = results.flatMap((each) => isFault(each) || each.kind === "type" ? [] : [each.name])
            assert.deepStrictEqual(names.sort(), imported[file]?.sort(), file)
          }

          for (const [file, name, ancestors, extended] of spots) {
            const found = definitions.get(file)?.find((each) => each.name === name)
            assert.isDefined(found, name)
            if (found === undefined || isFault(found)) continue
            const shown = found.ancestors?.map((each) => `${each.module.slice(base.length)} ${each.name}`)
            assert.deepStrictEqual(shown?.slice(0, 1), ancestors.slice(0, 1), name)
            const { called, ref } = found.superClass ?? {}
            const text = called ? `${ref?.module.slice(base.length)} ${ref?.name}()` : ref?.name
            assert.strictEqual(text, extended, name)
          }
        }),
      300_000
    )
  }
)
