import { traverse, type NodePath, type types as t } from "@babel/core"
import { declared, namespaceBlocks, type NamespaceBlock } from "./namespaces.ts"
import { faultAt } from "./Problem.ts"

/**
 * Throws a `CodeFault` for TypeScript that Babel turns into wrong JavaScript without a word, because it sees one
 * declaration at a time: an `export import` inside a namespace (dropped), a name that another block of the same
 * namespace exports (left as a free variable), and a `declare const enum` (removed, its uses are not).
 * What Babel itself refuses, such as `export let` in a namespace or `export =`, is left to Babel.
 *
 * `reparse` gives a second tree for the check of names: crawling scopes leaves marks on a tree, and the one that is
 * transformed must have none.
 */
export const rejectMiscompiled = (ast: t.File, reparse: () => t.File): void => {
  if (!ast.program.body.some(mayBeMiscompiled)) return
  const blocks = namespaceBlocks(ast)
  for (const { node } of blocks) {
    for (const statement of node.body) {
      if (statement.type === "ExportNamedDeclaration" && statement.declaration?.type === "TSImportEqualsDeclaration") {
        throw faultAt("`export import` inside a namespace is not supported; use `export const`", statement)
      }
    }
  }
  const merged = hasMergedBlocks(blocks)
  const ambientEnums = ambientConstEnums(ast)
  if (merged || ambientEnums.size > 0) checkNames(reparse(), ambientEnums)
}

const mayBeMiscompiled = (statement: t.Statement): boolean => {
  const declaration = declared(statement)
  return declaration?.type === "TSModuleDeclaration" || declaration?.type === "TSEnumDeclaration"
}

const hasMergedBlocks = (blocks: ReadonlyArray<NamespaceBlock>): boolean =>
  new Set(blocks.map((block) => block.qualifiedName)).size !== blocks.length

const ambientConstEnums = (ast: t.File): ReadonlySet<string> => {
  const names = new Set<string>()
  for (const statement of ast.program.body) {
    const declaration = declared(statement)
    if (declaration?.type === "TSEnumDeclaration" && declaration.declare && declaration.const) {
      names.add(declaration.id.name)
    }
  }
  return names
}

const checkNames = (ast: t.File, ambientEnums: ReadonlySet<string>): void => {
  const byNode = Map.groupBy(namespaceBlocks(ast), (block) => block.node)
  const byName = Map.groupBy([...byNode.values()].flat(), (block) => block.qualifiedName)
  const exportedElsewhere = (block: NamespaceBlock, name: string): boolean =>
    byName.get(block.qualifiedName)!.some((other) => other !== block && other.exports.has(name))

  traverse(ast, {
    ReferencedIdentifier(path: NodePath<t.Identifier | t.JSXIdentifier>) {
      if (isTypeReference(path)) return
      const name = path.node.name
      const binding = path.scope.getBinding(name)
      if (ambientEnums.has(name) && (binding === undefined || binding.path.isTSEnumDeclaration())) {
        throw faultAt(`\`${name}\` is a \`declare const enum\`: its values cannot be inlined here`, path.node)
      }
      // outwards, as TypeScript looks names up: stop at the first block that has the name
      path.findParent((outer) => {
        if (!outer.isTSModuleBlock()) return false
        if (binding?.path.isDescendant(outer)) return true
        for (const block of byNode.get(outer.node)?.toReversed() ?? []) {
          if (block.locals.has(name)) return true
          if (!exportedElsewhere(block, name)) continue
          throw faultAt(
            `\`${name}\` is declared in another block of namespace \`${block.qualifiedName}\`; ` +
              `write \`${block.qualifiedName}.${name}\``,
            path.node
          )
        }
        return false
      })
    }
  })
}

const runtimeParents: ReadonlySet<string> = new Set([
  "TSAsExpression",
  "TSSatisfiesExpression",
  "TSNonNullExpression",
  "TSTypeAssertion",
  "TSInstantiationExpression",
  "TSEnumMember",
  "TSParameterProperty",
  "TSExportAssignment",
  "TSImportEqualsDeclaration"
])

const isTypeReference = (path: NodePath): boolean => {
  const parent = path.findParent((outer) => !outer.isTSQualifiedName())
  return parent !== null && parent.type.startsWith("TS") && !runtimeParents.has(parent.type)
}
