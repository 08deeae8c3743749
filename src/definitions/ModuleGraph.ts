import type { ModuleAnalysis, ModuleExport } from "../transpile/Transpiler.ts"

/** A module that was analysed, by its URL with the file's extension. */
export interface ModuleNode {
  readonly _tag: "Module"
  readonly url: string
  readonly analysis: ModuleAnalysis
}

/** What stands at the end of an import. */
export type GraphNode =
  | ModuleNode
  /** Code of a realm that cannot be used: it is not there, is no module, or does not parse. */
  | { readonly _tag: "Faulty"; readonly url: string; readonly detail: string }
  /** Not code of a realm: a package, or another server's. Nothing is known of it. */
  | { readonly _tag: "Outside" }

/** Where a name leads. */
export type Resolution =
  | { readonly _tag: "Declared"; readonly node: ModuleNode; readonly export: ModuleExport }
  /** All of a module as one object: `export * as name`. */
  | { readonly _tag: "Whole"; readonly node: ModuleNode }
  | { readonly _tag: "Outside"; readonly module: string; readonly name: string }
  | { readonly _tag: "Fault"; readonly detail: string; readonly module?: string }
  /** Two `export *` bring different things under this name: neither counts. */
  | { readonly _tag: "Ambiguous" }
  | { readonly _tag: "Absent" }
  /** A module is wanted that has not been loaded. */
  | { readonly _tag: "Pending" }

/** `erased`: the transpile leaves nothing of it, as it is a type, or was exported with `type` on the way. */
export type Resolved = Resolution & { readonly erased: boolean }

/** Values are what Node sees; types are what the transpile erases. */
type Space = "value" | "type"

const absent: Resolution = { _tag: "Absent" }
const pending: Resolution = { _tag: "Pending" }

/** A specifier as a URL, if it is one; a bare specifier names a package. */
export const resolveSpecifier = (specifier: string, moduleUrl: string): string | undefined => {
  if (!/^(?:\.{0,2}\/|https?:\/\/)/i.test(specifier) || !URL.canParse(specifier, moduleUrl)) return undefined
  const url = new URL(specifier, moduleUrl)
  if (url.protocol !== "http:" && url.protocol !== "https:") return undefined
  url.search = ""
  url.hash = ""
  return url.href
}

/**
 * Modules and their imports, resolved by the language's own rules (ECMA-262, 16.2.1.6, `ResolveExport` and
 * `GetExportedNames`): what a module says itself wins over `export *`, two different things under one name cancel each
 * other, `default` is never re-exported by a star, and circles end.
 *
 * Everything is synchronous. What was asked for and is not loaded is in `wanted`: load it and ask again.
 */
export class ModuleGraph {
  readonly #nodes = new Map<string, GraphNode>()
  readonly #exports = new Map<ModuleNode, ReadonlyMap<string, ModuleExport>>()
  /** URLs, as imports have them, that were met and not known. */
  readonly wanted = new Set<string>()

  /** `url` as imports have it; the node's own may have an extension that they leave out. */
  add(url: string, node: GraphNode): void {
    this.#nodes.set(url, node)
    this.wanted.delete(url)
  }

  get size(): number {
    return this.#nodes.size
  }

  /** Where an import of `node` leads. */
  follow(node: ModuleNode, specifier: string): GraphNode | undefined {
    const url = resolveSpecifier(specifier, node.url)
    if (url === undefined) return { _tag: "Outside" }
    const found = this.#nodes.get(url)
    if (found === undefined) this.wanted.add(url)
    return found
  }

  /** What a module exports by this name: a value if there is one, else what is erased, a type or a value's type. */
  resolve(node: ModuleNode, name: string): Resolved {
    const value = this.#resolve(node, name, "value", new Set())
    if (value._tag !== "Absent") return { ...value, erased: false }
    return { ...this.#resolve(node, name, "type", new Set()), erased: true }
  }

  /** Every name that a module exports or that a star brings; some may turn out to be ambiguous. */
  names(node: ModuleNode): ReadonlySet<string> {
    const names = new Set<string>()
    this.#collect(node, names, new Set(), true)
    return names
  }

  #collect(node: ModuleNode, names: Set<string>, visited: Set<string>, isRoot: boolean): void {
    if (visited.has(node.url)) return
    visited.add(node.url)
    for (const name of this.#own(node).keys()) if (isRoot || name !== "default") names.add(name)
    for (const star of starsOf(node)) {
      const target = this.follow(node, star.from ?? "")
      if (target?._tag === "Module") this.#collect(target, names, visited, false)
    }
  }

  #own(node: ModuleNode): ReadonlyMap<string, ModuleExport> {
    const known = this.#exports.get(node)
    if (known !== undefined) return known
    const own = new Map(node.analysis.exports.flatMap((each) => each.name === "*" ? [] : [[each.name, each] as const]))
    this.#exports.set(node, own)
    return own
  }

  #resolve(node: ModuleNode, name: string, space: Space, visited: Set<string>): Resolution {
    const key = `${node.url}\0${name}`
    if (visited.has(key)) return absent
    visited.add(key)
    const own = this.#own(node).get(name)
    if (own !== undefined && (space === "type" || !isErased(own))) return this.#explicit(node, own, space, visited)
    return name === "default" ? absent : this.#byStars(node, name, space, visited)
  }

  #explicit(node: ModuleNode, own: ModuleExport, space: Space, visited: Set<string>): Resolution {
    if (own.from === undefined || own.imported === undefined) return { _tag: "Declared", node, export: own }
    const target = this.follow(node, own.from)
    if (target === undefined) return pending
    switch (target._tag) {
      case "Outside":
        return {
          _tag: "Outside",
          module: resolveSpecifier(own.from, node.url) ?? own.from,
          name: own.imported
        }
      case "Faulty":
        return { _tag: "Fault", detail: target.detail, module: target.url }
      case "Module":
        return own.imported === "*"
          ? { _tag: "Whole", node: target }
          : this.#resolve(target, own.imported, space, visited)
    }
  }

  #byStars(node: ModuleNode, name: string, space: Space, visited: Set<string>): Resolution {
    let found: Resolution = absent
    for (const star of starsOf(node)) {
      if (space === "value" && star.typeOnly) continue
      const target = this.follow(node, star.from ?? "")
      if (target?._tag !== "Module") continue
      const next = this.#resolve(target, name, space, visited)
      if (next._tag === "Ambiguous") return next
      if (next._tag === "Absent") continue
      if (found._tag === "Absent") found = next
      else if (!isSame(found, next)) return { _tag: "Ambiguous" }
    }
    return found
  }
}

/** The `export *` declarations of a module, in order. */
export const starsOf = (node: ModuleNode): ReadonlyArray<ModuleExport> =>
  node.analysis.exports.filter((each) => each.name === "*")

/**
 * The name of a declaration in its module: of all names that it is exported by its own, or else the first. One declaration
 * has one, whichever name was asked for.
 */
export const identityOf = ({ export: found, node }: Extract<Resolution, { _tag: "Declared" }>): string =>
  found.local === undefined ? found.name : exportedName(node, found.local) ?? found.name

/** The name by which a module exports something that it declares. */
export const exportedName = ({ analysis }: ModuleNode, local: string): string | undefined => {
  const names = analysis.exports.flatMap((each) => each.local === local ? [each.name] : [])
  return names.find((name) => name === local) ?? names.find((name) => name !== "default") ?? names[0]
}

const isErased = (each: ModuleExport) => each.kind === "type" || each.typeOnly === true

const isSame = (a: Resolution, b: Resolution): boolean => {
  if (a._tag === "Declared") {
    return b._tag === "Declared" && a.node.url === b.node.url && identityOf(a) === identityOf(b)
  }
  if (a._tag === "Whole") return b._tag === "Whole" && a.node.url === b.node.url
  if (a._tag === "Outside") return b._tag === "Outside" && a.module === b.module && a.name === b.name
  return a._tag === b._tag
}
