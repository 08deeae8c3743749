import type { types as t } from "@babel/core"
import { dependenciesOf } from "./dependencies.ts"
import { boundNames, isInstantiated } from "./namespaces.ts"

/** `type`: erased by the transpile, as interfaces, aliases and `declare`d things are. `variable`: a `let` or `var`. */
export type ExportKind = "class" | "function" | "constant" | "variable" | "enum" | "namespace" | "type" | "re-export"

export interface ModuleExport {
  /** Exported name; `default` for the default export, `*` for `export * from`. */
  readonly name: string
  readonly kind: ExportKind
  /** Line of the declaration or of the export, 1-based. */
  readonly line: number
  /** Of a re-export: the specifier as written. */
  readonly from?: string
  /** Of a re-export: the name over there, `*` for all of it. */
  readonly imported?: string
  /** Of a re-export: it was written with `type`, so it is erased. */
  readonly typeOnly?: true
}

export interface ModuleAnalysis {
  /** One entry a name; where a type and a value share one, the value. Only `*` may come more than once. */
  readonly exports: ReadonlyArray<ModuleExport>
  /** Specifiers as written in the source, each once, in order, without those that only `import type` names. */
  readonly dependencies: ReadonlyArray<string>
  /** Specifiers that only `import type` and `export type` name. */
  readonly typeDependencies: ReadonlyArray<string>
}

type Meaning = Omit<ModuleExport, "name">

/** What a module exports and imports, from its parsed source. */
export const analyze = (ast: t.File, code: string): ModuleAnalysis => {
  const dependencies = dependenciesOf(ast, code, (node) => !isTypeOnly(node))
  const values = new Set(dependencies)
  return {
    exports: exportsOf(ast.program.body),
    dependencies,
    typeDependencies: dependenciesOf(ast, code, isTypeOnly).filter((specifier) => !values.has(specifier))
  }
}

const exportsOf = (body: ReadonlyArray<t.Statement>): ReadonlyArray<ModuleExport> => {
  const scope = new Map<string, Meaning>()
  for (const statement of body) declare(scope, statement)

  const named = new Map<string, Meaning>()
  const wildcards: Array<ModuleExport> = []
  const local = (name: string, line: number): Meaning => scope.get(name) ?? { kind: "constant", line }

  for (const statement of body) {
    const line = lineOf(statement)
    switch (statement.type) {
      case "ExportAllDeclaration":
        wildcards.push({
          name: "*",
          ...reExport(statement.source.value, "*", line, statement.exportKind === "type")
        })
        break
      case "ExportDefaultDeclaration": {
        const { declaration } = statement
        keep(
          named,
          "default",
          declaration.type === "Identifier" ? local(declaration.name, line) : anonymous(declaration, line)
        )
        break
      }
      case "ExportNamedDeclaration": {
        if (statement.declaration) {
          for (const [name, meaning] of declarations(statement.declaration)) {
            keep(named, name, meaning)
          }
        }
        for (const specifier of statement.specifiers) {
          const name = nameOf(specifier.exported)
          if (specifier.type === "ExportNamespaceSpecifier") {
            keep(named, name, reExport(statement.source!.value, "*", line, statement.exportKind === "type"))
          } else if (specifier.type === "ExportSpecifier") {
            const typeOnly = statement.exportKind === "type" || specifier.exportKind === "type"
            const imported = nameOf(specifier.local)
            keep(
              named,
              name,
              statement.source
                ? reExport(statement.source.value, imported, lineOf(specifier), typeOnly)
                : erasedIf(typeOnly, local(imported, lineOf(specifier)))
            )
          }
        }
      }
    }
  }
  return [...Array.from(named, ([name, meaning]) => ({ name, ...meaning })), ...wildcards]
}

/** A value beats a type of the same name (`interface Option`, `const Option`); among equals the first stays. */
const keep = (scope: Map<string, Meaning>, name: string, meaning: Meaning) => {
  const known = scope.get(name)
  if (known === undefined || (isErased(known) && !isErased(meaning))) scope.set(name, meaning)
}

const isErased = (meaning: Meaning) => meaning.kind === "type" || meaning.typeOnly === true

const erasedIf = (typeOnly: boolean, meaning: Meaning): Meaning => {
  if (!typeOnly) return meaning
  return meaning.kind === "re-export" ? { ...meaning, typeOnly: true } : { kind: "type", line: meaning.line }
}

const reExport = (from: string, imported: string, line: number, typeOnly: boolean): Meaning => ({
  kind: "re-export",
  line,
  from,
  imported,
  ...(typeOnly && { typeOnly })
})

const declare = (scope: Map<string, Meaning>, statement: t.Statement) => {
  if (statement.type === "ImportDeclaration") {
    for (const specifier of statement.specifiers) {
      const imported = specifier.type === "ImportSpecifier"
        ? nameOf(specifier.imported)
        : specifier.type === "ImportDefaultSpecifier"
        ? "default"
        : "*"
      const typeOnly = statement.importKind === "type" ||
        (specifier.type === "ImportSpecifier" && specifier.importKind === "type")
      keep(scope, specifier.local.name, reExport(statement.source.value, imported, lineOf(specifier), typeOnly))
    }
    return
  }
  const declaration = statement.type === "ExportNamedDeclaration" || statement.type === "ExportDefaultDeclaration"
    ? statement.declaration
    : statement
  if (declaration) { for (const [name, meaning] of declarations(declaration)) keep(scope, name, meaning) }
}

/** The names that a declaration introduces. Anything else introduces none. */
const declarations = (node: t.Node): ReadonlyArray<readonly [string, Meaning]> => {
  const line = lineOf(node)
  const one = (id: t.Node | null | undefined, kind: ExportKind): ReadonlyArray<readonly [string, Meaning]> =>
    id?.type === "Identifier" ? [[id.name, { kind, line }]] : []
  switch (node.type) {
    case "ClassDeclaration":
      return one(node.id, node.declare ? "type" : "class")
    case "FunctionDeclaration":
      return one(node.id, node.declare ? "type" : "function")
    case "TSEnumDeclaration":
      return one(node.id, node.declare ? "type" : "enum")
    case "TSModuleDeclaration": {
      let id: t.Node = node.id
      while (id.type === "TSQualifiedName") id = id.left
      return one(id, isInstantiated(node) ? "namespace" : "type")
    }
    case "TSInterfaceDeclaration":
    case "TSTypeAliasDeclaration":
    case "TSDeclareFunction":
      return one(node.id, "type")
    case "TSImportEqualsDeclaration":
      return one(node.id, node.importKind === "type" ? "type" : "constant")
    case "VariableDeclaration": {
      const kind = node.declare ? "type" : node.kind === "let" || node.kind === "var" ? "variable" : "constant"
      return node.declarations.flatMap(({ id }) => boundNames(id).map((name) => [name, { kind, line }] as const))
    }
    default:
      return []
  }
}

const anonymous = (node: t.Node, line: number): Meaning => {
  switch (node.type) {
    case "ClassDeclaration":
    case "ClassExpression":
      return { kind: "class", line }
    case "FunctionDeclaration":
    case "FunctionExpression":
    case "ArrowFunctionExpression":
      return { kind: "function", line }
    case "TSDeclareFunction":
    case "TSInterfaceDeclaration":
      return { kind: "type", line }
    default:
      return { kind: "constant", line }
  }
}

/** Whether a whole import or export statement is erased because of a `type` keyword. */
const isTypeOnly = (node: t.Node): boolean => {
  switch (node.type) {
    case "ImportDeclaration":
      return node.importKind === "type" ||
        allMarked(node.specifiers.map((s) => "importKind" in s && s.importKind === "type"))
    case "ExportNamedDeclaration":
      return node.exportKind === "type" ||
        allMarked(node.specifiers.map((s) => "exportKind" in s && s.exportKind === "type"))
    case "ExportAllDeclaration":
      return node.exportKind === "type"
    default:
      return false
  }
}

const allMarked = (marks: ReadonlyArray<boolean>) => marks.length > 0 && marks.every(Boolean)

const nameOf = (node: t.Identifier | t.StringLiteral) => node.type === "Identifier" ? node.name : node.value

const lineOf = (node: t.Node) => node.loc?.start.line ?? 1
