import { codeFrame, printable } from "./codeFrame.ts"

/** What is wrong with a module's code, as plain data that can leave a thread. Fields as in `TranspileError`. */
export interface Problem {
  readonly detail: string
  readonly line?: number
  readonly column?: number
  readonly codeFrame?: string
}

/** A fault that this pipeline found itself, at a place in the source, counted from 1. */
export class CodeFault extends Error {
  override readonly name = "CodeFault"
  readonly position: { readonly line: number; readonly column?: number } | undefined
  constructor(detail: string, position?: { readonly line: number; readonly column?: number }) {
    super(detail)
    this.position = position
  }
}

export const faultAt = (
  detail: string,
  node: { readonly loc?: { readonly start: { readonly line: number; readonly column: number } } | null | undefined }
): CodeFault =>
  new CodeFault(detail, node.loc ? { line: node.loc.start.line, column: node.loc.start.column + 1 } : undefined)

/** Reads whatever Babel threw. `source` is undefined when the bytes never became text. */
export const problemOf = (thrown: unknown, path: string, source: string | undefined): Problem => {
  // thrown by a plugin, it has the file's name before it, which Babel puts there
  if (thrown instanceof CodeFault) return problem(thrown.message.replace(`/${path}: `, ""), thrown.position, source)
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  if (thrown instanceof RangeError && text.includes("call stack")) {
    return { detail: "is nested too deeply to be transpiled" }
  }
  return problem(detailOf(text, path, thrown), parserPosition(thrown) ?? framePosition(text), source)
}

const problem = (
  detail: string,
  at: { readonly line: number; readonly column?: number } | undefined,
  source: string | undefined
): Problem => ({
  detail: printable(detail).slice(0, 1_000),
  ...at,
  ...(at?.column !== undefined && source !== undefined && { codeFrame: codeFrame(source, at.line, at.column) })
})

/** The parser's errors carry a `loc`. */
const parserPosition = (thrown: unknown) => {
  if (typeof thrown !== "object" || thrown === null || !("loc" in thrown)) return undefined
  const loc = thrown.loc
  return typeof loc === "object" && loc !== null && "line" in loc && "column" in loc &&
      typeof loc.line === "number" && typeof loc.column === "number"
    ? { line: loc.line, column: loc.column + 1 }
    : undefined
}

/** A plugin's errors carry none: only the frame inside their message says where. */
const framePosition = (text: string) => {
  const marked = /^> *(\d+) \|.*$/m.exec(text)
  if (marked === null) return undefined
  const indent = /^ *\| ([\t ]*)\^/m.exec(text.slice(marked.index))?.[1]
  return { line: Number(marked[1]), ...(indent !== undefined && { column: indent.length + 1 }) }
}

const detailOf = (text: string, path: string, thrown: unknown): string => {
  const syntax = /Support for the experimental syntax '([^']+)' isn't currently enabled/.exec(text)?.[1]
  if (syntax === "jsx") return "JSX is only understood in .jsx and .tsx modules"
  if (syntax !== undefined) return `the syntax "${syntax}" is not supported`
  const reason = text
    .replace(`/${path}: `, "") // the file name, made absolute by Babel
    .replace(/\n\n?>? *\d+ \|[^]*$/, "") // the frame
    .replace(/ \(\d+:\d+\)\s*$/, "")
    .replace(/, or add @babel\/plugin-transform-modules-commonjs to your Babel config/, "")
    .replace(/\s*\n\s*/g, " ")
    .trim()
  const refused = thrown instanceof Error && "code" in thrown && String(thrown.code).startsWith("BABEL_")
  return refused ? reason : `Babel failed: ${reason}`
}
