import type { types as t } from "@babel/core"

/** One `namespace` block that has code at run time, under its dotted name. */
export interface NamespaceBlock {
  readonly qualifiedName: string
  readonly node: t.TSModuleBlock
  /** Every name declared by the block's statements, exported or not. */
  readonly locals: ReadonlySet<string>
  /** Names of values that the block exports. */
  readonly exports: ReadonlySet<string>
}

/** All blocks of a program, inner ones included. `namespace A.B {}` is a block of `A` and one of `A.B`. */
export const namespaceBlocks = (ast: t.File): ReadonlyArray<NamespaceBlock> => {
  const found: Array<NamespaceBlock> = []
  const visit = (statements: ReadonlyArray<t.Statement>, prefix: string) => {
    for (const statement of statements) {
      const declaration = declared(statement)
      if (declaration?.type !== "TSModuleDeclaration" || declaration.declare || declaration.body === undefined) continue
      const names = dottedName(declaration.id)
      if (names === undefined) continue
      const body = declaration.body
      names.forEach((_, i) => {
        const qualifiedName = prefix + names.slice(0, i + 1).join(".")
        const next = names[i + 1]
        found.push(
          next === undefined
            ? { qualifiedName, node: body, locals: namesIn(body.body, false), exports: namesIn(body.body, true) }
            : { qualifiedName, node: body, locals: new Set([next]), exports: new Set([next]) }
        )
      })
      visit(body.body, `${prefix}${names.join(".")}.`)
    }
  }
  visit(ast.program.body, "")
  return found
}

/** What a statement declares, exported or not. */
export const declared = (statement: t.Statement): t.Statement | null | undefined =>
  statement.type === "ExportNamedDeclaration" ? statement.declaration : statement

/** A namespace without any value is erased; TypeScript calls the others instantiated. */
export const isInstantiated = (declaration: t.TSModuleDeclaration): boolean =>
  declaration.declare !== true && declaration.body !== undefined && declaration.body.body.some((statement) => {
    const inner = declared(statement)
    if (inner === null || inner === undefined) return false
    if ("declare" in inner && inner.declare === true) return false
    if (inner.type === "TSModuleDeclaration") return isInstantiated(inner)
    return inner.type !== "TSInterfaceDeclaration" && inner.type !== "TSTypeAliasDeclaration" &&
      inner.type !== "TSDeclareFunction" && inner.type !== "EmptyStatement"
  })

const dottedName = (id: t.TSModuleDeclaration["id"]): ReadonlyArray<string> | undefined => {
  if (id.type === "Identifier") return [id.name]
  if (id.type !== "TSQualifiedName") return undefined
  const left = dottedName(id.left)
  return left && [...left, id.right.name]
}

const namesIn = (statements: ReadonlyArray<t.Statement>, exportedOnly: boolean): ReadonlySet<string> => {
  const names = new Set<string>()
  for (const statement of statements) {
    if (exportedOnly && statement.type !== "ExportNamedDeclaration") continue
    const declaration = declared(statement)
    switch (declaration?.type) {
      case "FunctionDeclaration":
      case "ClassDeclaration":
      case "TSEnumDeclaration":
        if (declaration.declare !== true && declaration.id) names.add(declaration.id.name)
        break
      case "TSModuleDeclaration": {
        const name = isInstantiated(declaration) ? dottedName(declaration.id)?.[0] : undefined
        if (name !== undefined) names.add(name)
        break
      }
      case "VariableDeclaration":
        if (declaration.declare !== true) {
          for (const { id } of declaration.declarations) boundNames(id).forEach((name) => names.add(name))
        }
    }
  }
  return names
}

/** Names that a binding pattern introduces. */
export const boundNames = (pattern: t.Node): ReadonlyArray<string> => {
  switch (pattern.type) {
    case "Identifier":
      return [pattern.name]
    case "ObjectPattern":
      return pattern.properties.flatMap((p) => boundNames(p.type === "RestElement" ? p.argument : p.value))
    case "ArrayPattern":
      return pattern.elements.flatMap((element) => element === null ? [] : boundNames(element))
    case "AssignmentPattern":
      return boundNames(pattern.left)
    case "RestElement":
      return boundNames(pattern.argument)
    default:
      return []
  }
}
