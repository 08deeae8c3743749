import { types as t } from "@babel/core"

/** The specifier of a static or dynamic import or a re-export, when it is written as a literal. */
const specifierOf = (node: t.Node): string | undefined => {
  switch (node.type) {
    case "ImportDeclaration":
    case "ExportAllDeclaration":
    case "ExportNamedDeclaration":
      return node.source?.value
    case "ImportExpression":
      if (node.source.type === "StringLiteral") return node.source.value
      return node.source.type === "TemplateLiteral" && node.source.expressions.length === 0
        ? node.source.quasis[0]?.value.cooked ?? undefined
        : undefined
    default:
      return undefined
  }
}

/** Specifiers as written, each once, in order of appearance. `keep` drops statements that do not count. */
export const dependenciesOf = (
  ast: t.File,
  code: string,
  keep: (node: t.Node) => boolean = () => true
): ReadonlyArray<string> => {
  const found = new Set<string>()
  const visit = (node: t.Node) => {
    const specifier = specifierOf(node)
    if (specifier !== undefined && keep(node)) found.add(specifier)
  }
  // dynamic imports may be anywhere; a walk of the whole tree is worth it only when the text can have one
  if (/\bimport\s*[(/]/.test(code)) t.traverseFast(ast, visit)
  else ast.program.body.forEach(visit)
  return [...found]
}
