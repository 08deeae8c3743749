import type { types as t } from "@babel/core"
import type { WrittenRef } from "./ModuleAnalysis.ts"

/**
 * What a module's own names stand for: of an imported one the specifier and the name over there, `*` for all of it; null
 * where it is declared in the module. A name that is not here is a global's.
 */
export type Bindings = ReadonlyMap<string, { readonly from: string; readonly imported: string } | null>

export const nameOf = (node: t.Identifier | t.StringLiteral): string =>
  node.type === "Identifier" ? node.name : node.value

/** `declared`: the names that the module declares itself. */
export const bindingsOf = (body: ReadonlyArray<t.Statement>, declared: ReadonlyArray<string>): Bindings => {
  const bindings = new Map<string, { readonly from: string; readonly imported: string } | null>(
    declared.map((name) => [name, null])
  )
  for (const statement of body) {
    if (statement.type !== "ImportDeclaration") continue
    for (const specifier of statement.specifiers) {
      bindings.set(specifier.local.name, { from: statement.source.value, imported: importedName(specifier) })
    }
  }
  return bindings
}

export const importedName = (specifier: t.ImportDeclaration["specifiers"][number]): string => {
  switch (specifier.type) {
    case "ImportSpecifier":
      return nameOf(specifier.imported)
    case "ImportDefaultSpecifier":
      return "default"
    default:
      return "*"
  }
}

/** `a.b.c` as its names; undefined for any other expression. */
const dotted = (node: t.Node): ReadonlyArray<string> | undefined => {
  const names: Array<string> = []
  let each = bare(node)
  while (each.type === "MemberExpression" && !each.computed && each.property.type === "Identifier") {
    names.unshift(each.property.name)
    each = bare(each.object)
  }
  return each.type === "Identifier" ? [each.name, ...names] : undefined
}

/** An expression without what only TypeScript or the eye sees: assertions, type arguments, parentheses. */
export const bare = (node: t.Node): t.Node => {
  let each = node
  while (
    each.type === "TSAsExpression" || each.type === "TSSatisfiesExpression" || each.type === "TSNonNullExpression" ||
    each.type === "TSTypeAssertion" || each.type === "TSInstantiationExpression" ||
    each.type === "ParenthesizedExpression"
  ) each = each.expression
  return each
}

/** How an expression is written, if it is a name or `a.b.c`. */
export const textOf = (node: t.Node): string | undefined => dotted(node)?.join(".")

/** What an expression names, if it is a name of the module's or `a.b.c` in one. */
export const refOf = (node: t.Node, bindings: Bindings): WrittenRef | undefined => {
  const names = dotted(node)
  const [root, ...rest] = names ?? []
  if (root === undefined) return undefined
  const bound = bindings.get(root)
  if (bound === undefined) return undefined
  if (bound === null) return { specifier: null, name: [root, ...rest].join(".") }
  const path = bound.imported === "*" && rest.length > 0 ? rest : [bound.imported, ...rest]
  return { specifier: bound.from, name: path.join(".") }
}

/** What a call calls, however often: `Service` of `Service<A>()("key")`. Undefined where it is no call. */
export const calleeOf = (node: t.Node): t.Node | undefined => {
  let each = bare(node)
  if (each.type !== "CallExpression") return undefined
  while (each.type === "CallExpression") each = bare(each.callee)
  return each
}
