import { parseSync, types as t, type InputOptions } from "@babel/core"
import { CodeFault } from "../Problem.ts"

/** What of content-tag is used. */
export interface ContentTag {
  readonly parse: (source: string, options: { readonly filename: string }) => ReadonlyArray<{
    readonly type: "expression" | "class-member"
    readonly contents: string
    readonly range: { readonly startUtf16Codepoint: number; readonly endUtf16Codepoint: number }
  }>
  readonly process: (source: string, options: { readonly filename: string }) => { readonly code: string }
}

/** One `<template>` of a source. */
interface Template {
  readonly type: "expression" | "class-member"
  readonly contents: string
  /** Offset after `</template>`. */
  readonly end: number
}

const templatesOf = Symbol("lockstep/transpile/ember/templates")

interface TemplateFile extends t.File {
  /** By the offset where each begins. */
  [templatesOf]?: ReadonlyMap<number, Template>
}

/**
 * Parses a template module. Each template is first replaced by a stand-in of the same length and the same lines, so that
 * every position in the tree is one in the source: content-tag's own output is printed anew, and its positions are coarse.
 * A template that stands alone becomes the default export, here as there.
 */
export const parseTemplates = (
  tags: ContentTag,
  parse: (source: string, babel: InputOptions) => t.File
) =>
(source: string, babel: InputOptions): t.File => {
  const templates = new Map<number, Template>()
  let text = ""
  let done = 0
  for (const { contents, range, type } of found(tags, source)) {
    const { startUtf16Codepoint: start, endUtf16Codepoint: end } = range
    text += source.slice(done, start) + standIn(type, source.slice(start, end))
    templates.set(start, { type, contents, end })
    done = end
  }
  const ast: TemplateFile = parse(text + source.slice(done), babel)
  ast[templatesOf] = templates
  ast.program.body.forEach((statement, index) => {
    const template = templates.get(statement.start ?? -1)
    if (statement.type !== "ExpressionStatement" || template === undefined) return
    if (!isStandIn(statement.expression, template)) {
      throw new CodeFault("something follows </template> as if it were a part of it: put a semicolon in between", {
        line: (statement.loc?.start.line ?? 1) + linesIn(source.slice(statement.start ?? 0, template.end))
      })
    }
    const exported = t.inherits(t.exportDefaultDeclaration(statement.expression), statement)
    Object.assign(exported, { start: statement.start, end: statement.end, loc: statement.loc })
    ast.program.body[index] = exported
  })
  return ast
}

// `T[0]`, with the template's blanks and lines between the brackets, is an expression that neither ends nor continues what
// is before it and after it, where lines end.
const isStandIn = (node: t.Node, { end, type }: Template) =>
  node.end === end && node.type === (type === "expression" ? "MemberExpression" : "StaticBlock")

const standIn = (type: Template["type"], text: string): string => {
  const blank = text.replace(/[^\r\n\u2028\u2029]/g, " ")
  return type === "expression" ? `T[0${blank.slice(3, -1)}]` : `static{${blank.slice(7, -1)}}`
}

const found = (tags: ContentTag, source: string) => {
  try {
    return tags.parse(source, { filename: "module.gts" })
  } catch (error) {
    throw parseFault(error)
  }
}

/** content-tag says where in its message, and what in a frame. */
const parseFault = (error: unknown): unknown => {
  if (!(error instanceof Error)) return error
  const at = /:(\d+):(\d+): /.exec(error.message)
  const frame = "source_code" in error ? String(error.source_code) : ""
  const what = /\u00d7 (.*)/.exec(frame)?.[1] ?? error.message
  return at === null ? error : new CodeFault(what.trim(), { line: Number(at[1]), column: Number(at[2]) })
}

/**
 * Puts in place of each stand-in what content-tag would have: a call of `template` from `@ember/template-compiler`, which
 * Ember's own plugin compiles, with everything in reach that it names.
 */
export const restoreTemplates =
  (tags: ContentTag, written: Map<string, Place>) => (ast: t.File, source: string): void => {
    const templates = (ast as TemplateFile)[templatesOf] ?? new Map<number, Template>()
    written.clear()
    if (templates.size === 0) return
    const contents = dedented(tags, [...templates.values()].map((each) => each.contents))
    const order = new Map([...templates.keys()].map((start, index) => [start, index]))
    for (const [start, template] of templates) {
      const text = contents[order.get(start) ?? 0] ?? ""
      written.set(text, placeOf(source, source.indexOf(">", start) + 1, template.contents, text))
    }
    const name = freeName(ast)
    const call = (start: number, component: boolean) => {
      const reach = t.objectMethod(
        "method",
        t.identifier("eval"),
        [],
        t.blockStatement([
          t.returnStatement(t.callExpression(t.identifier("eval"), [
            t.memberExpression(t.identifier("arguments"), t.numericLiteral(0), true)
          ]))
        ])
      )
      const own = component ? [t.objectProperty(t.identifier("component"), t.thisExpression())] : []
      return t.callExpression(t.identifier(name), [
        t.stringLiteral(contents[order.get(start) ?? 0] ?? ""),
        t.objectExpression([...own, reach])
      ])
    }
    t.traverseFast(ast, (node) => {
      const start = node.start ?? -1
      const template = templates.get(start)
      if (template === undefined || !isStandIn(node, template)) return
      if (node.type === "StaticBlock") {
        node.body = [placed(t.expressionStatement(placed(call(start, true), node)), node)]
      } else become(node, placed(call(start, false), node))
    })
    ast.program.body.unshift(t.importDeclaration(
      [t.importSpecifier(t.identifier(name), t.identifier("template"))],
      t.stringLiteral("@ember/template-compiler")
    ))
  }

const placed = <N extends t.Node>(node: N, { end, loc, start }: t.Node): N => Object.assign(node, { start, end, loc })

/** The node is held by its parent: it becomes another where it is. */
const become = (node: t.Node, other: t.Node) => {
  for (const key of Object.keys(node)) if (!key.endsWith("Comments")) Reflect.deleteProperty(node, key)
  Object.assign(node, other)
}

/** A name that nothing in the module has: by it every call is known as one of `template`. */
const freeName = (ast: t.File): string => {
  const taken = new Set<string>()
  t.traverseFast(ast, (node) => {
    if (node.type === "Identifier") taken.add(node.name)
  })
  let name = "template"
  for (let n = 1; taken.has(name); n++) name = `template${n}`
  return name
}

/** The texts as content-tag hands them on: it takes away what indents all of a template's lines. */
const dedented = (tags: ContentTag, contents: ReadonlyArray<string>): ReadonlyArray<string> => {
  const source = `[${contents.map((each) => `<template>${each}</template>`).join(",")}]`
  const { code } = tags.process(source, { filename: "module.gjs" })
  const texts: Array<string> = []
  const ast = parseSync(code, { cwd: "/", root: "/", babelrc: false, configFile: false, sourceType: "module" })
  if (ast !== null) {
    t.traverseFast(ast, (node) => {
      if (node.type === "TemplateElement") texts.push(node.value.cooked ?? node.value.raw)
    })
  }
  return texts
}

/** Where the first line of a template's text is written, counted from 1, and what was taken away from each later line. */
export interface Place {
  readonly line: number
  readonly column: number
  readonly indent: number
}

const linesIn = (text: string) => text.split(/\r\n|[\n\r\u2028\u2029]/).length - 1

const placeOf = (source: string, offset: number, contents: string, text: string): Place => {
  const line = 1 + linesIn(source.slice(0, offset))
  if (text === contents) {
    return { line, column: 1 + offset - (source.lastIndexOf("\n", offset - 1) + 1), indent: 0 }
  }
  const [first = ""] = text.split("\n", 1)
  const lines = contents.split("\n")
  const index = lines.findIndex((each) => each.trim() !== "")
  const indent = (lines[index] ?? "").indexOf(first)
  return { line: line + Math.max(0, index), column: 1 + Math.max(0, indent), indent: Math.max(0, indent) }
}

/** What Ember's compiler says of a template, at its place in the source. */
export const templateFault = (error: unknown, place: Place | undefined): unknown => {
  if (!(error instanceof Error) || place === undefined) return error
  const { message } = error
  const at = /@ line (\d+) : column (\d+)/.exec(message) ?? /- (\d+):(\d+)$/.exec(message) ??
    /^Parse error on line (\d+)/.exec(message)
  if (at === null) return error
  const below = Number(at[1]) - 1
  const start = below === 0 ? place.column : place.indent + 1
  const detail = /^Parse error on line \d+:[^]*?(Expecting [^]*)$/.exec(message)?.[1] ??
    message.split(/\s*: ?\n|\s*\(error occurred in|\s- \d+:\d+$/, 1)[0] ?? ""
  return new CodeFault(
    detail
      .replace(/\(on line (\d+)\)/g, (_, line) => `(on line ${Number(line) - 1 + place.line})`)
      .replace(/\s+/g, " ")
      .trim(),
    { line: place.line + below, ...(at[2] !== undefined && { column: start + Number(at[2]) }) }
  )
}
