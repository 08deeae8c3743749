import type { types as t } from "@babel/core"
import { dependenciesOf } from "../dependencies.ts"
import { boundNames, isInstantiated } from "../namespaces.ts"
import { classShape } from "./classShape.ts"
import type { ClassShape, ExportKind, ModuleAnalysis, ModuleExport } from "./ModuleAnalysis.ts"
import { summaryOf } from "./summary.ts"
import { bare, bindingsOf, importedName, nameOf } from "./writtenRefs.ts"

type Meaning = Omit<ModuleExport, "name">

/** What a module exports and imports, from its parsed source. */
export const analyze = (ast: t.File, code: string): ModuleAnalysis => {
  const dependencies = dependenciesOf(ast, code, (node) => !isTypeOnly(node))
  const values = new Set(dependencies)
  return {
    exports: exportsOf(ast.program.body),
    classes: classesOf(ast.program.body, code),
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
          declaration.type === "Identifier"
            ? local(declaration.name, line)
            : described(statement, anonymous(declaration, line))
        )
        break
      }
      case "ExportNamedDeclaration": {
        if (statement.declaration) {
          for (const [name, meaning] of declarations(statement.declaration)) {
            keep(named, name, described(statement, meaning))
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
      const imported = importedName(specifier)
      const typeOnly = statement.importKind === "type" ||
        (specifier.type === "ImportSpecifier" && specifier.importKind === "type")
      keep(scope, specifier.local.name, reExport(statement.source.value, imported, lineOf(specifier), typeOnly))
    }
    return
  }
  const declaration = declarationOf(statement)
  if (!declaration) return
  for (const [name, meaning] of declarations(declaration)) keep(scope, name, described(statement, meaning))
}

/** The comment stands before the statement, or between its decorators or its `export` and the declaration. */
const described = (statement: t.Statement, meaning: Meaning): Meaning => {
  const declaration = "declaration" in statement ? statement.declaration : undefined
  const decorated = declaration ?? statement
  const decorator = decorated.type === "ClassDeclaration" ? decorated.decorators?.[0] : undefined
  const summary = summaryOf(statement, decorator, declaration)
  return summary === undefined ? meaning : { ...meaning, summary }
}

/** A class without a name is known by this one, as in the language's own specification. */
const noName = "*default*"

/** The values that a module declares, `declare`d ones too. */
const namesOf = (body: ReadonlyArray<t.Statement>): ReadonlyArray<string> =>
  body.flatMap((statement) => {
    const declaration = declarationOf(statement)
    const isType = declaration?.type === "TSInterfaceDeclaration" || declaration?.type === "TSTypeAliasDeclaration"
    return declaration == null || isType ? [] : declarations(declaration).map(([name]) => name)
  })

const declarationOf = (statement: t.Statement): t.Node | null | undefined =>
  statement.type === "ExportNamedDeclaration" || statement.type === "ExportDefaultDeclaration"
    ? statement.declaration
    : statement

/** The module's own classes: declared, the default export, and those that a constant is made of. */
const classesOf = (body: ReadonlyArray<t.Statement>, code: string): ReadonlyMap<string, ClassShape> => {
  const bindings = bindingsOf(body, namesOf(body))
  const classes = new Map<string, ClassShape>()
  const visit = (node: t.Node | null | undefined) => {
    if (node?.type === "ClassDeclaration") {
      classes.set(node.id?.name ?? noName, classShape(node, code, bindings))
    } else if (node?.type === "VariableDeclaration") {
      for (const declarator of node.declarations) {
        const found = constantClass(node, declarator)
        if (found !== undefined) classes.set(found.name, classShape(found.node, code, bindings))
      }
    }
  }
  for (const statement of body) {
    if (statement.type === "ExportDefaultDeclaration") {
      const declaration = bare(statement.declaration)
      if (declaration.type === "ClassExpression") classes.set(noName, classShape(declaration, code, bindings))
      else visit(declaration)
    } else visit(statement.type === "ExportNamedDeclaration" ? statement.declaration : statement)
  }
  return classes
}

/** `const Name = class {}` */
const constantClass = ({ declare, kind }: t.VariableDeclaration, { id, init }: t.VariableDeclarator) => {
  if (declare || kind !== "const" || id.type !== "Identifier" || init == null) return undefined
  const node = bare(init)
  return node.type === "ClassExpression" ? { name: id.name, node } : undefined
}

/** The names that a declaration introduces. Anything else introduces none. */
const declarations = (node: t.Node): ReadonlyArray<readonly [string, Meaning]> => {
  const line = lineOf(node)
  const one = (id: t.Node | null | undefined, kind: ExportKind): ReadonlyArray<readonly [string, Meaning]> =>
    id?.type === "Identifier" ? [[id.name, { kind, line, ...(kind !== "type" && { local: id.name }) }]] : []
  switch (node.type) {
    case "ClassDeclaration":
      return node.declare ? one(node.id, "type") : classNamed(node.id, line)
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
      return node.declarations.flatMap((declarator): ReadonlyArray<readonly [string, Meaning]> => {
        if (constantClass(node, declarator) !== undefined) return classNamed(declarator.id, line)
        return boundNames(declarator.id).map((name) =>
          [name, { kind, line, ...(kind !== "type" && { local: name }) }] as const
        )
      })
    }
    default:
      return []
  }
}

const classNamed = (id: t.Node | null | undefined, line: number): ReadonlyArray<readonly [string, Meaning]> =>
  id?.type === "Identifier" ? [[id.name, { kind: "class", line, local: id.name }]] : []

/** What a default export is that is not the name of something. */
const anonymous = (declaration: t.Node, line: number): Meaning => {
  const node = bare(declaration)
  switch (node.type) {
    case "ClassDeclaration":
      if (node.declare) return { kind: "type", line }
      return { kind: "class", line, local: node.id?.name ?? noName }
    case "ClassExpression":
      return { kind: "class", line, local: noName }
    case "FunctionDeclaration":
      return { kind: "function", line, ...(node.id && { local: node.id.name }) }
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

const lineOf = (node: t.Node) => node.loc?.start.line ?? 1
