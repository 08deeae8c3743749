import { Arbitrary, Schema } from "effect"

/** What a statement is; which names it has follows from its numbers and from what the module has already. */
const kinds = [
  "constant",
  "variable",
  "function",
  "overloads",
  "class",
  "subclass",
  "enum",
  "namespace",
  "interface",
  "pattern",
  "local",
  "defaultClass",
  "defaultSubclass",
  "defaultFunction",
  "defaultValue",
  "defaultList",
  "list",
  "stringName",
  "reExport",
  "reExportDefault",
  "importThenExport",
  "typeReExport",
  "wholeImport",
  "whole",
  "star",
  "star",
  "typeStar",
  "garbage"
] as const
export type Kind = (typeof kinds)[number]

const below = (limit: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: limit - 1 }))

const Statement = Schema.Struct({ kind: Schema.Literals(kinds), name: below(12), target: below(3), pick: below(12) })
type Statement = typeof Statement.Type

const Module = Schema.Struct({
  statements: Schema.Array(Statement).check(Schema.isMinLength(2), Schema.isMaxLength(7)),
  /** One in sixteen: it does not care whether its names are taken, and may hold garbage. */
  mood: below(16)
})

/** Two or three modules that import each other, and themselves, in any way. */
export const Program = Schema.Struct({
  modules: Schema.Array(Module).check(Schema.isMinLength(2), Schema.isMaxLength(3))
})
export type Program = typeof Program.Type

export const programs = Arbitrary.schema(Program)

/** As text, by path: `m0.ts`, or `m0.js` where nothing in it is TypeScript. */
export const render = ({ modules }: Program): ReadonlyArray<{ readonly path: string; readonly text: string }> => {
  const drafts = modules.map(draft)
  return drafts.map((each) => ({
    path: each.path,
    text: each.lines.map((line) => line(drafts)).join("\n")
  }))
}

interface Draft {
  readonly path: string
  readonly exported: ReadonlyArray<string>
  readonly lines: ReadonlyArray<(drafts: ReadonlyArray<Draft>) => string>
}

const pool = ["a", "b", "Base", "Sub", "café", "名前", "$_", "𝒳y", "ñ̃", "async", "of", "type"]
const typescript: ReadonlySet<Kind> = new Set([
  "overloads",
  "enum",
  "namespace",
  "interface",
  "typeReExport",
  "typeStar"
])
const garbage = [
  "export {",
  "class {",
  "}",
  "export default",
  "\u0000",
  "export * as from",
  "@",
  "export { x",
  "/*",
  "`${"
]

const draft = ({ mood, statements }: Program["modules"][number], index: number): Draft => {
  const careless = mood === 0
  const declared = new Map<string, string>()
  const exported = new Set<string>()
  const lines: Array<Draft["lines"][number]> = []
  const add = (locals: ReadonlyArray<string>, names: ReadonlyArray<string>, line: Draft["lines"][number]) => {
    if (!careless && (locals.some((each) => declared.has(each)) || names.some((each) => exported.has(each)))) return
    for (const each of locals) declared.set(each, each)
    for (const each of names) exported.add(each)
    lines.push(line)
  }
  statements.forEach((statement, at) => {
    const rendered = sentence(statement, at, [...declared.keys()])
    if (statement.kind === "garbage" && !careless) return
    add(rendered.locals, rendered.exports, rendered.line)
  })
  const isTypescript = statements.some(({ kind }) => typescript.has(kind))
  return { path: `m${index}.${isTypescript ? "ts" : "js"}`, exported: [...exported], lines }
}

const from = (drafts: ReadonlyArray<Draft>, { pick, target }: Statement) => {
  const path = drafts[target % drafts.length]?.path ?? ""
  return JSON.stringify(pick % 2 === 0 ? `./${path}` : `./${path.replace(/\.[jt]s$/, "")}`)
}

/** A name that the target exports, if it exports any. */
const there = (drafts: ReadonlyArray<Draft>, { pick, target }: Statement) => {
  const names = drafts[target % drafts.length]?.exported ?? []
  const name = names[pick % Math.max(1, names.length)] ?? "absent"
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? name : JSON.stringify(name)
}

const sentence = (statement: Statement, at: number, locals: ReadonlyArray<string>) => {
  const name = pool[statement.name % pool.length] ?? "a"
  const local = locals[statement.pick % Math.max(1, locals.length)] ?? "undeclared"
  const said = (
    declares: ReadonlyArray<string>,
    exports: ReadonlyArray<string>,
    line: string | Draft["lines"][number]
  ) => ({
    locals: declares,
    exports,
    line: typeof line === "string" ? () => line : line
  })
  switch (statement.kind) {
    case "constant":
      return said([name], [name], `export const ${name} = ${at}`)
    case "variable":
      return said([name], [name], `/** Changes. */ export let ${name}`)
    case "function":
      return said([name], [name], `export async function* ${name}() { yield () => ({ ${name} }) }`)
    case "overloads":
      return said(
        [name],
        [name],
        `export function ${name}(x: 1): 1\nexport function ${name}(x: unknown): unknown { return x }`
      )
    case "class":
      return said(
        [name],
        [name],
        `export class ${name} { static s = 1; #p = 2; get g() { return this.#p } set g(x) {} ["c" + 1] = 3 }`
      )
    case "subclass":
      return said([name], [name], `export class ${name} extends ${local} { constructor() { super() } method() {} }`)
    case "enum":
      return said([name], [name], `export enum ${name} { A, B = "b" }`)
    case "namespace":
      // Of its own name: merged with what is not exported it is no TypeScript, and Babel exports neither.
      return said([`n${at}`], [`n${at}`], `export namespace n${at} { export const ${name} = ${at} }`)
    case "interface":
      return said([`type ${name}`], [], `export interface ${name} { x: number }`)
    case "pattern":
      return said([name, `p${at}`], [name, `p${at}`], `export const { x: ${name}, ...p${at} } = {}`)
    case "local":
      return said([name], [], `class ${name} {}`)
    case "defaultClass":
      return said([`D${at}`], ["default"], `export default class ${at % 2 === 0 ? `D${at}` : ""} { field = new Map() }`)
    case "defaultSubclass":
      return said([], ["default"], `export default class extends ${local} {}`)
    case "defaultFunction":
      return said([], ["default"], "export default function () {}")
    case "defaultValue":
      return said([], ["default"], "export default (class {}, 1)")
    case "defaultList":
      return said([], ["default"], `export { ${local} as default }`)
    case "list":
      return said([], [name], `export { ${local} as ${name} }`)
    case "stringName":
      return said([], [`${name} 😀`], `export { ${local} as "${name} 😀" }`)
    case "reExport":
      return said([], [name], (all) => `export { ${there(all, statement)} as ${name} } from ${from(all, statement)}`)
    case "reExportDefault":
      return said(
        [],
        ["default"],
        (all) => `export { ${there(all, statement)} as default } from ${from(all, statement)}`
      )
    case "importThenExport":
      return said(
        [`i${at}`],
        [name],
        (all) =>
          `import { ${there(all, statement)} as i${at} } from ${from(all, statement)}; export { i${at} as ${name} }`
      )
    case "typeReExport":
      return said(
        [`type ${name}`],
        [],
        (all) => `export type { ${there(all, statement)} as ${name} } from ${from(all, statement)}`
      )
    case "wholeImport":
      return said(
        [`w${at}`],
        [name],
        (all) => `import * as w${at} from ${from(all, statement)}; export { w${at} as ${name} }`
      )
    case "whole":
      return said([], [name], (all) => `export * as ${name} from ${from(all, statement)}`)
    case "star":
      return said([], [], (all) => `export * from ${from(all, statement)}`)
    case "typeStar":
      return said([], [], (all) => `export type * from ${from(all, statement)}`)
    case "garbage":
      return said([], [], garbage[statement.pick % garbage.length] ?? "}")
  }
}
