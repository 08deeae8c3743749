import { SourceTextModule, type Module } from "node:vm"
import { assemble } from "../../../src/definitions/assemble.ts"
import { type GraphNode, ModuleGraph } from "../../../src/definitions/ModuleGraph.ts"
import { isFault } from "../../../src/domain/Definition.ts"
import { defaultPipelineOptions } from "../../../src/transpile/babelOptions.ts"
import { makePipeline } from "../../../src/transpile/pipeline.ts"
import { type Program, render } from "./Program.ts"

const pipeline = makePipeline(defaultPipelineOptions)
const encoder = new TextEncoder()

/** How many modules were compared with Node's own import, how many Node refused, and names that only V8 finds clear. */
export const seen = { modules: 0, compared: 0, refused: 0, broken: 0, ambiguous: 0 }

const realm = "http://realm.example/"

/** What is wrong with the analysis of a program; undefined if nothing is. */
export const checkProgram = async (program: Program): Promise<string | undefined> => {
  const files = render(program)
  const nodes = new Map<string, GraphNode>()
  const runnable = new Map<string, string>()
  for (const { path, text } of files) {
    seen.modules++
    const bytes = encoder.encode(text)
    const analysis = pipeline.analyze(path, bytes)
    if (analysis._tag === "Rejected") {
      seen.broken++
      // Said by the code, and not by a bug of ours.
      if (analysis.problem.detail.startsWith("Babel failed")) return `${path}: ${analysis.problem.detail}`
      nodes.set(path, { _tag: "Faulty", url: realm + path, detail: analysis.problem.detail })
      continue
    }
    nodes.set(path, { _tag: "Module", url: realm + path, analysis: analysis.value })
    // Node runs what is JavaScript as it is: an oracle that knows nothing of Babel.
    const code = path.endsWith(".js")
      ? { _tag: "Done" as const, value: { code: text } }
      : pipeline.transpile(path, bytes)
    if (code._tag === "Done") runnable.set(path, code.value.code)
  }
  const resolve = (specifier: string) => files.find(({ path }) => path.startsWith(specifier.slice(2)))?.path ?? ""

  const linked = new Linked(runnable, (path) => {
    const node = nodes.get(path)
    return node?._tag === "Module" ? node.analysis.dependencies.map(resolve) : []
  })
  const hasTypeStar = files.some(({ text }) => text.includes("export type *"))

  for (const { path } of files) {
    const root = nodes.get(path)
    if (root?._tag !== "Module") continue
    const graph = new ModuleGraph()
    let results = assemble(graph, root)
    while (graph.wanted.size > 0) {
      for (const url of graph.wanted) {
        graph.add(url, nodes.get(resolve(`./${url.slice(realm.length)}`)) ?? { _tag: "Outside" })
      }
      results = assemble(graph, root)
    }
    // Names are there once modules are linked; a fault must show when they are run, at the latest.
    const imported = await linked.names(path, results.some(isFault))
    if (imported === undefined) {
      seen.refused++
      continue
    }
    seen.compared++
    const found = results.flatMap((each) => {
      if (each.name === "*" && hasTypeStar) return []
      if (isFault(each)) return graph.resolve(root, each.name).erased ? [] : [`${each.name} (${each.error.detail})`]
      return each.kind === "type" ? [] : [each.name]
    })
    // Behind a star, V8 forgets that a name is ambiguous; the specification does not (`ResolveExport` passes it on).
    const ambiguous = imported.filter((name) => graph.resolve(root, name)._tag === "Ambiguous")
    seen.ambiguous += ambiguous.length
    const difference = differenceOf(found, imported.filter((name) => !ambiguous.includes(name)))
    if (difference !== "") {
      return `${path}: ${difference}\n${files.map((file) => `// ${file.path}\n${file.text}`).join("\n")}`
    }
  }
  return undefined
}

const differenceOf = (found: ReadonlyArray<string>, imported: ReadonlyArray<string>): string => {
  const extra = found.filter((name) => !imported.includes(name))
  const missing = imported.filter((name) => !found.includes(name))
  return [
    ...extra.map((name) => `${name} is not exported for Node`),
    ...missing.map((name) => `${name} was not found`)
  ].join(", ")
}

/** A program's modules in Node, linked with each other as they are asked for. */
class Linked {
  #modules = new Map<string, Module>()
  readonly #code: ReadonlyMap<string, string>
  readonly #imports: (path: string) => ReadonlyArray<string>

  constructor(code: ReadonlyMap<string, string>, imports: (path: string) => ReadonlyArray<string>) {
    this.#code = code
    this.#imports = imports
  }

  /** The export names that Node gives a module; undefined where Node refuses it, or one that it imports. */
  async names(path: string, run: boolean): Promise<ReadonlyArray<string> | undefined> {
    const reachable = [...this.#reachable(path)]
    if (!reachable.every((each) => this.#code.has(each))) return undefined
    try {
      // Parsed before they are linked: a linker that throws leaves rejections that nobody waits for.
      for (const each of reachable) this.#load(each)
      const module = this.#load(path)
      if (module.status === "unlinked") await module.link((specifier) => this.#load(specifier.slice(2)))
      if (run) await module.evaluate({ timeout: 60_000 })
      return Reflect.ownKeys(module.namespace).filter((key) => typeof key === "string")
    } catch (refused) {
      // What was linked in part is of no use to the others.
      this.#modules = new Map()
      if (refused instanceof Error && /^(?:Syntax|Reference|Type)Error$/.test(refused.name)) return undefined
      throw refused
    }
  }

  #reachable(path: string): ReadonlySet<string> {
    const found = new Set([path])
    for (const each of found) for (const next of this.#imports(each)) found.add(next)
    return found
  }

  #load(name: string): Module {
    const path = [...this.#code.keys()].find((each) => each.startsWith(name)) ?? name
    const module = this.#modules.get(path) ?? new SourceTextModule(this.#code.get(path) ?? "", { identifier: path })
    this.#modules.set(path, module)
    return module
  }
}
