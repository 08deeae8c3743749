import type { CodeRef } from "../domain/CodeRef.ts"
import type {
  Definition,
  DefinitionFault,
  ExportResult,
  InitialCall,
  Member,
  SourceRef,
  SuperClass
} from "../domain/Definition.ts"
import type { ClassMember, ClassShape, WrittenRef } from "../transpile/Transpiler.ts"
import {
  exportedName,
  identityOf,
  type ModuleGraph,
  type ModuleNode,
  resolveSpecifier,
  type Resolution,
  starsOf
} from "./ModuleGraph.ts"

/**
 * What a module exports, put together from the graph: one result a name, sorted by name, and one more `*` for each
 * `export *` that leads out of the realms or to a fault. While the graph wants modules, the results are preliminary.
 */
export const assemble = (graph: ModuleGraph, root: ModuleNode): ReadonlyArray<ExportResult> => {
  const results: Array<ExportResult> = []
  for (const name of graph.names(root)) {
    const result = resultOf(graph, root, name)
    if (result !== undefined) results.push(result)
  }
  return [...results.sort((a, b) => a.name < b.name ? -1 : 1), ...looseStars(graph, root)]
}

const resultOf = (graph: ModuleGraph, root: ModuleNode, name: string): ExportResult | undefined => {
  const resolution = graph.resolve(root, name)
  switch (resolution._tag) {
    case "Declared":
      return resolution.erased ? erased(name, resolution) : declared(graph, name, resolution)
    case "Whole": {
      const summary = summaryAt(root, name)
      return {
        name,
        kind: resolution.erased ? "type" : "namespace",
        declared: { module: resolution.node.url, name: "*" },
        line: 1,
        ...(summary !== undefined && { summary })
      }
    }
    case "Outside":
      return {
        name,
        kind: resolution.erased ? "type" : "re-export",
        declared: { module: resolution.module, name: resolution.name },
        line: 0
      }
    case "Fault":
      return { name, error: faultOf(resolution, lineAt(root, name)) }
    case "Absent": {
      const line = lineAt(root, name)
      // What a star brings and nobody declares is the other module's fault, told there.
      return line === null ? undefined : { name, error: fault("is re-exported, and declared nowhere", line) }
    }
    case "Ambiguous":
    case "Pending":
      return undefined
  }
}

const lineAt = (node: ModuleNode, name: string): number | null =>
  node.analysis.exports.find((each) => each.name === name)?.line ?? null

const summaryAt = (node: ModuleNode, name: string): string | undefined =>
  node.analysis.exports.find((each) => each.name === name)?.summary

const fault = (detail: string, line: number | null, module?: string): DefinitionFault => ({
  detail,
  line,
  column: null,
  ...(module !== undefined && { module })
})

const faultOf = ({ detail, module }: Extract<Resolution, { _tag: "Fault" }>, line: number | null): DefinitionFault =>
  fault(detail, line, module)

type Declared = Extract<Resolution, { _tag: "Declared" }>

const described = (name: string, resolution: Declared): Definition => {
  const { export: found, node } = resolution
  return {
    name,
    kind: found.kind,
    declared: { module: node.url, name: identityOf(resolution) },
    line: found.line,
    ...(found.summary !== undefined && { summary: found.summary })
  }
}

const erased = (name: string, found: Declared): Definition => ({ ...described(name, found), kind: "type" })

const declared = (graph: ModuleGraph, name: string, resolution: Declared): ExportResult => {
  const { export: found, node } = resolution
  const definition = described(name, resolution)
  const shape = found.local === undefined ? undefined : node.analysis.classes.get(found.local)
  if (shape === undefined) return definition
  const lineage = lineageOf(graph, { node, shape, ref: definition.declared })
  if (typeof lineage.end === "object") return { name, error: lineage.end }
  return {
    ...definition,
    ...(shape.superClass && { superClass: superClassOf(node, shape.superClass) }),
    ancestors: lineage.classes.slice(1).map(({ ref }) => ref),
    ...(lineage.end !== undefined && { beyond: lineage.end }),
    members: lineage.classes.reduce<ReadonlyArray<Member>>(inherit, [])
  }
}

/** A class, where it is declared. */
interface KnownClass {
  readonly node: ModuleNode
  readonly shape: ClassShape
  readonly ref: CodeRef
}

/** The class and its ancestors, and why it ends there: a text that could not be followed, or a fault. */
const lineageOf = (graph: ModuleGraph, first: KnownClass) => {
  const classes: Array<KnownClass> = []
  const visited = new Set<ClassShape>()
  let next: KnownClass | string | DefinitionFault | undefined = first
  while (typeof next === "object" && "shape" in next) {
    if (visited.has(next.shape)) {
      const { ref, shape }: KnownClass = next
      next = {
        detail: `${ref.name} inherits from itself`,
        module: ref.module,
        line: shape.superClass?.line ?? null,
        column: shape.superClass?.column ?? null
      }
      break
    }
    visited.add(next.shape)
    classes.push(next)
    next = parentOf(graph, next)
  }
  return { classes, end: next }
}

const parentOf = (
  graph: ModuleGraph,
  { node, ref, shape }: KnownClass
): KnownClass | string | DefinitionFault | undefined => {
  const { superClass } = shape
  // What extends null inherits nothing.
  if (superClass === undefined || superClass.text === "null") return undefined
  const beyond = superClass.text
  const { ref: named } = superClass
  if (named === undefined || superClass.called) return beyond
  if (named.specifier === null) return localClass(node, named.name) ?? beyond
  const target = graph.follow(node, named.specifier)
  if (target === undefined || target._tag === "Outside") return beyond
  if (target._tag === "Faulty") {
    return fault(`${ref.name} extends ${beyond}: ${target.detail}`, null, target.url)
  }
  // A class inside an imported object: which one, only running the code would tell.
  if (named.name === "*" || named.name.includes(".")) return beyond
  const resolution = graph.resolve(target, named.name)
  switch (resolution._tag) {
    case "Declared":
      return (resolution.erased ? undefined : declaredClass(resolution)) ?? (resolution.erased
        ? fault(`${ref.name} extends ${beyond}, which is a type`, null, target.url)
        : beyond)
    case "Fault":
      return fault(`${ref.name} extends ${beyond}: ${resolution.detail}`, null, resolution.module ?? target.url)
    case "Absent":
    case "Ambiguous":
      return fault(`${ref.name} extends ${beyond}, which ${target.url} does not export`, null, target.url)
    case "Outside":
    case "Whole":
    case "Pending":
      return beyond
  }
}

const localClass = (node: ModuleNode, name: string): KnownClass | undefined => {
  const shape = node.analysis.classes.get(name)
  if (shape === undefined) return undefined
  return { node, shape, ref: { module: node.url, name: exportedName(node, name) ?? name } }
}

const declaredClass = (resolution: Declared): KnownClass | undefined => {
  const { export: found, node } = resolution
  const shape = found.local === undefined ? undefined : node.analysis.classes.get(found.local)
  return shape && { node, shape, ref: { module: node.url, name: identityOf(resolution) } }
}

/** Members nearer to the class override those further away; constructors are not inherited as members. */
const inherit = (members: ReadonlyArray<Member>, { node, ref, shape }: KnownClass, depth: number) => {
  const known = new Set(members.map(keyOf))
  const added = shape.members.filter((each) => !known.has(keyOf(each)) && (depth === 0 || each.kind !== "constructor"))
  return [...members, ...added.map((each) => memberOf(each, node, ref))]
}

const keyOf = (member: Pick<Member, "name" | "static">) => `${member.static} ${member.name}`

const memberOf = ({ call, decorators, ...member }: ClassMember, node: ModuleNode, from: CodeRef): Member => ({
  ...member,
  ...(decorators && {
    decorators: decorators.map(({ name, ref }) => ({ name, ...(ref && { ref: located(node, ref) }) }))
  }),
  ...(call && { call: callOf(call, node) }),
  from
})

const callOf = ({ argument, name, ref }: NonNullable<ClassMember["call"]>, node: ModuleNode): InitialCall => ({
  name,
  ...(ref && { ref: located(node, ref) }),
  ...(argument && { argument: located(node, argument) })
})

const superClassOf = (node: ModuleNode, { called, ref, text }: NonNullable<ClassShape["superClass"]>): SuperClass => ({
  text,
  ...(ref && { ref: located(node, ref) }),
  ...(called && { called })
})

const located = (node: ModuleNode, { name, specifier }: WrittenRef): SourceRef => ({
  specifier,
  module: specifier === null ? node.url : resolveSpecifier(specifier, node.url) ?? specifier,
  name
})

/** Stars whose names are not known: of packages, and of modules that are missing or broken. */
const looseStars = (graph: ModuleGraph, root: ModuleNode): ReadonlyArray<ExportResult> => {
  const found: Array<ExportResult> = []
  const visited = new Set<ModuleNode>([root])
  const faults = new Set<string>()
  for (const node of visited) {
    for (const { from = "", line } of starsOf(node)) {
      const target = graph.follow(node, from)
      if (target?._tag === "Module") visited.add(target)
      else if (target?._tag === "Outside") {
        const module = resolveSpecifier(from, node.url) ?? from
        if (!faults.has(module)) found.push({ name: "*", kind: "re-export", declared: { module, name: "*" }, line: 0 })
        faults.add(module)
      } else if (target?._tag === "Faulty" && !faults.has(target.url)) {
        faults.add(target.url)
        found.push({ name: "*", error: fault(target.detail, node === root ? line : null, target.url) })
      }
    }
  }
  return found
}
