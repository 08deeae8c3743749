import { parseSync, types as t } from "@babel/core"
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { dependenciesOf } from "../../src/transpile/dependencies.ts"
import { boundNames } from "../../src/transpile/namespaces.ts"
import { needsBabel } from "../../src/transpile/oxc/needsBabel.ts"
import { compile, compiled, type CompilerName } from "./compilers.ts"
import { type Program, programs, rejected } from "./programs.ts"
import { tsxModules } from "./tsxModules.ts"

const root = fileURLToPath(new URL("../../node_modules/effect/src/", import.meta.url))

/** All small files of effect, and a sample of the others: the same in each run. */
const sample = (): ReadonlyArray<readonly [string, Uint8Array]> => {
  let seed = 20_241
  const chance = () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31
  return globSync("**/*.ts", { cwd: root }).sort()
    .map((file) => [file, readFileSync(path.join(root, file))] as const)
    .filter(([, { length }]) => length < 2_500 || (length < 40_000 && chance() < 0.4))
}

/** What another module sees of this one, and what this one needs. */
const outside = (code: string) => {
  const ast = parseSync(code, { cwd: "/", root: "/", babelrc: false, configFile: false, sourceType: "module" })!
  const names = ast.program.body.flatMap((statement) => {
    switch (statement.type) {
      case "ExportDefaultDeclaration":
        return ["default"]
      case "ExportAllDeclaration":
        return [`* from ${statement.source.value}`]
      case "ExportNamedDeclaration":
        return [
          ...declaredNames(statement.declaration),
          ...statement.specifiers.map(({ exported }) =>
            exported.type === "StringLiteral" ? exported.value : exported.name
          )
        ]
      default:
        return []
    }
  })
  return { names: names.sort(), imports: dependenciesOf(ast, code) }
}

const declaredNames = (declaration: t.Declaration | null | undefined): ReadonlyArray<string> =>
  declaration?.type === "VariableDeclaration"
    ? declaration.declarations.flatMap(({ id }) => boundNames(id))
    : declaration && "id" in declaration && declaration.id?.type === "Identifier"
    ? [declaration.id.name]
    : []

const jsxRuntime = `data:text/javascript,${
  encodeURIComponent(`
    export const jsx = (type, props, key) => ({ type, props, key })
    export const jsxs = (type, props, key) => ({ type, props, key, many: true })
    export const Fragment = "fragment"`)
}`
const react = `data:text/javascript,${
  encodeURIComponent("export const createElement = (...all) => all; export const React = 1")
}`

const run = async (compiler: CompilerName, { path = "main.ts", source }: Program): Promise<unknown> => {
  const code = compiled(compiler, path, source).code
    .replaceAll("\"react/jsx-runtime\"", JSON.stringify(jsxRuntime))
    .replaceAll(/"react"|"\.\/react\.ts"/g, JSON.stringify(react))
  // the comment tells the two apart in the registry of modules
  return (await import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(`${code}\n// ${compiler}`)}`))
    .result
}

describe("oxc beside Babel", () => {
  it("exports the same names from effect's source, imports the same, and leaves little of it to Babel", () => {
    const files = sample()
    assert.isAbove(files.length, 200)
    let bytes = 0
    let ours = 0
    for (const [file, source] of files) {
      const [babel, oxc] = (["babel", "oxc"] as const).map((compiler) => compiled(compiler, file, source))
      bytes += source.length
      if (needsBabel("ts", Buffer.from(source).toString())) {
        assert.deepStrictEqual(oxc, babel, file)
        continue
      }
      ours += source.length
      assert.deepStrictEqual(outside(oxc!.code), outside(babel!.code), file)
      assert.deepStrictEqual(oxc!.dependencies, babel!.dependencies, file)
    }
    assert.isAbove(ours / bytes, 0.9)
  })

  it.each(Object.keys(tsxModules))("exports the same names from %s, and imports the same", (file) => {
    const source = tsxModules[file]!
    assert.isFalse(needsBabel(file.endsWith(".tsx") ? "tsx" : "jsx", source))
    const [babel, oxc] = (["babel", "oxc"] as const).map((compiler) => compiled(compiler, file, source))
    assert.deepStrictEqual(outside(oxc!.code), outside(babel!.code))
    assert.deepStrictEqual(oxc!.dependencies, babel!.dependencies)
  })

  it.each(programs.map((program) => [program.name, program] as const))("does the same: %s", async (_, program) => {
    const [babel, oxc] = await Promise.all([run("babel", program), run("oxc", program)])
    assert.isDefined(babel)
    assert.deepStrictEqual(oxc, babel)
  })

  it.each(rejected.map((program) => [program.name, program] as const))(
    "rejects in the same words: %s",
    (_, program) => {
      const { path = "main.ts", source } = program
      const babel = compile("babel", path, source)
      assert.strictEqual(babel._tag, "Rejected")
      assert.deepStrictEqual(compile("oxc", path, source), babel)
    }
  )

  it("rejects bytes that are no text in the same words", () => {
    const bytes = Buffer.from("//\n// é").subarray(0, -1)
    assert.deepStrictEqual(compile("oxc", "a.ts", bytes), compile("babel", "a.ts", bytes))
  })

  it.each([
    "import a from './a'; export * from \"../b.ts\"; import(`./c.js`); import(a); import(`${a}.js`)\n" +
    "import './a'; export { d } from 'd'; const s = 'import(\"./no.js\")'",
    "await import('./z.js'); export * from './a.js'; import y from './y.js'; y()",
    "const text = `\nimport x from './no.js'\n`; // import './nor.js'",
    ""
  ])("knows the imports of what it serves: %s", (source) => {
    assert.deepStrictEqual(compiled("oxc", "a.js", source).dependencies, compiled("babel", "a.js", source).dependencies)
  })
})
