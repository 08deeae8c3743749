import { Clock, Effect, Option } from "effect"
import type { SourceFile } from "../cache/SourceCache.ts"
import type { RealmView } from "../coordination/Generations.ts"
import { type DefinitionFault, type Dependency, isFault } from "../domain/Definition.ts"
import { isExecutable } from "../domain/ModulePath.ts"
import { type DefinitionsRow, emptyRow } from "../store/ModuleTable.ts"
import type { TranspileError } from "../transpile/Transpiler.ts"
import { assemble } from "./assemble.ts"
import { Dependencies, type Found, urlsOf } from "./Dependencies.ts"
import { ModuleAnalyses } from "./ModuleAnalyses.ts"
import { type GraphNode, ModuleGraph, type ModuleNode } from "./ModuleGraph.ts"
import { moduleUrl } from "./ModuleLocator.ts"

/** How long an error is believed (S25), in milliseconds. */
export const errorLifetime = 30_000

/** Modules that one module's definitions may be made from. */
const maxModules = 2_000

/** How many modules are read and analysed at once for one assembly. */
const concurrency = 16

/**
 * Puts a module's definitions together: analyses it, then follows re-exports and super classes, round by round, until no
 * module is wanted any more. Only those are followed: what a module merely imports does not change what it exports.
 */
export const assembleModule = Effect.fn("assembleModule")(function*(
  view: RealmView,
  source: SourceFile,
  scope: string
) {
  const analyses = yield* ModuleAnalyses
  const dependencies = yield* Dependencies
  const expires_at = (yield* Clock.currentTimeMillis) + errorLifetime
  const row = (made: Partial<DefinitionsRow>): DefinitionsRow => ({ ...emptyRow, scope, ...made })
  const failed = (error: DefinitionFault, made: Partial<DefinitionsRow> = {}) => row({ ...made, error, expires_at })

  const analysed = yield* Effect.result(analyses.get(view, source))
  if (analysed._tag === "Failure") {
    return analysed.failure._tag === "TranspileError" ? failed(faultOf(analysed.failure)) : yield* analysed.failure
  }
  const root: ModuleNode = {
    _tag: "Module",
    url: moduleUrl(view.row.realmUrl, source.canonicalPath),
    analysis: analysed.success
  }
  const graph = new ModuleGraph()
  // One node a file, whatever names it is imported by.
  const byUrl = new Map<string, GraphNode>([[root.url, root]])
  const records: Array<Dependency> = []
  const { dependencies: dependency_keys } = root.analysis

  const load = Effect.fnUntraced(function*(url: string) {
    const found = yield* dependencies.read(url, view.row.realmUrl)
    const { path, realm } = found.dependency
    const canonicalUrl = realm === null || path === null ? url : moduleUrl(realm, path)
    const node = byUrl.get(canonicalUrl) ?? (yield* nodeOf(analyses, found, canonicalUrl))
    return { url, canonicalUrl, node, dependency: found.dependency }
  })

  for (;;) {
    const definitions = assemble(graph, root)
    const wanted = [...graph.wanted]
    const made = { dependency_keys, ...edgesOf(records) }
    if (wanted.length === 0) {
      return row({ definitions, ...made, expires_at: definitions.some(isFault) ? expires_at : null })
    }
    if (graph.size + wanted.length > maxModules) {
      return failed({ detail: `depends on more than ${maxModules} modules`, line: null, column: null }, made)
    }
    for (const { canonicalUrl, dependency, node, url } of yield* Effect.forEach(wanted, load, { concurrency })) {
      const known = byUrl.get(canonicalUrl) ?? node
      byUrl.set(canonicalUrl, known)
      graph.add(url, known)
      records.push(dependency)
    }
  }
})

const nodeOf = Effect.fnUntraced(function*(
  analyses: ModuleAnalyses["Service"],
  { dependency, file }: Found,
  url: string
) {
  if (dependency.realm === null) return { _tag: "Outside" } as const
  const faulty = (detail: string): GraphNode => ({ _tag: "Faulty", url, detail: `${url} ${detail}` })
  if (Option.isNone(file)) return faulty("does not exist")
  const { source, view } = file.value
  if (!isExecutable(source.canonicalPath)) return faulty("is not a module")
  return yield* analyses.get(view, source).pipe(
    Effect.map((analysis): GraphNode => ({ _tag: "Module", url, analysis })),
    Effect.catchTag(
      "TranspileError",
      ({ detail, line }) =>
        Effect.succeed(faulty(`cannot be analysed: ${detail}${line === undefined ? "" : ` (line ${line})`}`))
    )
  )
})

const edgesOf = (records: ReadonlyArray<Dependency>) => {
  const dependencies = records.toSorted((a, b) => a.url < b.url ? -1 : 1)
  return {
    dependencies,
    depends_on: [...new Set(dependencies.flatMap(urlsOf))],
    depends_on_realms: [...new Set(dependencies.flatMap(({ realm }) => realm ?? []))]
  }
}

const faultOf = ({ column, detail, line }: TranspileError): DefinitionFault => ({
  detail,
  line: line ?? null,
  column: column ?? null
})
