import { parseSync } from "@babel/core"
import { assert, describe, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { codeOnly } from "../../src/transpile/oxc/codeOnly.ts"
import { needsBabel } from "../../src/transpile/oxc/needsBabel.ts"

const root = fileURLToPath(new URL("../../node_modules/effect/src/", import.meta.url))

/** The tokens of a source as Babel's parser sees them, without those whose text is no code. */
const tokensOf = (source: string): string => {
  const ast = parseSync(source, {
    cwd: "/",
    root: "/",
    babelrc: false,
    configFile: false,
    sourceType: "module",
    parserOpts: { plugins: ["typescript", "decorators"], tokens: true }
  })
  const tokens = ast?.tokens as ReadonlyArray<{ type: unknown; start: number; end: number }>
  return tokens.flatMap(({ end, start, type }) => {
    const label = typeof type === "object" && type !== null && "label" in type ? String(type.label) : String(type)
    const text = source.slice(start, end)
    // a template's text comes with the backtick or braces around it
    const isTemplate = text.startsWith("`") || (text.startsWith("}") && text.length > 1)
    return ["CommentBlock", "CommentLine", "string", "regexp"].includes(label) || isTemplate || text.startsWith("#!")
      ? []
      : [text]
  }).join("").replaceAll(/[\s}]/g, "")
}

describe("the code of a source", () => {
  it("is what a parser finds in effect's source", () => {
    const files = globSync("**/*.ts", { cwd: root }).sort().filter((_, i) => i % 9 === 0)
    let known = 0
    for (const file of files) {
      const source = readFileSync(path.join(root, file), "utf8")
      if (source.length > 100_000) continue
      const code = codeOnly(source)
      if (code === undefined) continue
      known++
      assert.strictEqual(code.replaceAll(/[\s}]|""/g, ""), tokensOf(source), file)
    }
    assert.isAbove(known, 50)
  })

  it.each([
    ["a /* @ */ + '@' + \"\\\"@\" + `@${b + `@${{}}@`}@` // @", "a + + + b + {} "],
    ["#!/usr/bin/env @\na", " \na"],
    ["x = /@/; y = a / 2", "x = ; y = a / 2"],
    ["x = [/[/@\"]/v, /\\/@/]", "x = [, ]"],
    ["return /@'/.test(a.in / 2 / 3) / b", "return .test(a.in / 2 / 3) / b"],
    ["const f = () => /@/g", "const f = () => "],
    ["if (!/'/.test(b) && !!/'/.c) x", "if (!.test(b) && !!.c) x"],
    ["a! / b / 2", undefined],
    ["return\u00a0/'/.x, a.\u00a0in / b / 2", "return\u00a0.x, a.\u00a0in / b / 2"],
    ["(a) / 2", "(a) / 2"],
    ["(a) / 2 / '@'", undefined],
    ["if (a) /'/.test(b); @c class D {} /'/", undefined],
    ["} /'@'/", undefined],
    ["a[0] / b / 2", "a[0] / b / 2"],
    ["type A = B[]\n/'/.test(c); @d class E {} /'/", undefined],
    ["a++ / b / 2", undefined],
    ["for (const a of /'/.x) @b class C {} /'/", undefined],
    ["[...typeof /@/.x]", "[...typeof  .x]"],
    ["'never ends", undefined],
    ["`never ends", undefined],
    ["/* never ends", undefined]
  ])("of %s", (source, code) => {
    assert.strictEqual(codeOnly(source)?.replaceAll(`""`, "").replaceAll(/ +/g, " "), code?.replaceAll(/ +/g, " "))
  })
})

describe("oxc compiles", () => {
  it.each(
    [
      ["ts", "/** @since 1.0.0 `x` */ export const a = '@b'"],
      ["ts", "export declare namespace A { namespace A { type T = 1 } }\nnamespace B { export const c = 1 }"],
      ["ts", "class A { constructor(a: Map<string, number>) {} f(b: Map<string, readonly string[]>) {} }"],
      ["ts", "const accessor = 1, o = { accessor: () => accessor.x, namespace, module }; module\nthis.x()"],
      ["tsx", "import { a } from '@scope/pkg'\nimport '@/b'\nexport * from \"@c/d\""]
    ] as const
  )("%s %s", (language, source) => assert.isFalse(needsBabel(language, source)))
})

describe("Babel compiles", () => {
  it.each(
    [
      ["ts", "@a class B {}"],
      ["tsx", "const c = <b>{@a class {}}</b>"],
      ["tsx", "import a from '@scope/pkg'; @a class B {}"],
      ["tsx", "const a = <b>from \"{@c class {}}\"</b>"],
      ["ts", "class A { static accessor\nb = 1 }"],
      ["ts", "class A { accessor/**/b }"],
      ["ts", "class A { accessor\"b\" = 1 }"],
      ["ts", "class A { accessor[b] = 1 }"],
      ["ts", "class A { accessor 'b' = 1 }"],
      ["ts", "class A { constructor(\n/* x */ private readonly b) {} }"],
      ["ts", "class A { 'constructor'(readonly b) {} }"],
      ["ts", "class A { \"\\x63onstructor\"(readonly b) {} }"],
      ["tsx", "class A { 'constructor' (a, override b) {} }"],
      ["ts", "import type a = require('b')"],
      ["ts", "import/**/a/**/=/**/b.c"],
      ["ts", "export\n// x\n= a"],
      ["ts", "declare // x\nconst /* y */ enum A {}"],
      ["ts", "namespace A.B {} namespace A . C {}"],
      ["ts", "module A {}\ndeclare\nmodule A {}"],
      ["ts", "// declare\nnamespace A {}\n/* declare */ namespace A {}"]
    ] as const
  )("%s %s", (language, source) => assert.isTrue(needsBabel(language, source)))

  it("in no more time for a source that is made to take it", () => {
    const begun = process.cpuUsage()
    for (
      const part of ["import/**/", "import //\n", "constructor(", "(private ", "namespace a.", "(/**/", "accessor "]
    ) {
      needsBabel("ts", part.repeat(5_000))
      needsBabel("tsx", part.repeat(5_000))
    }
    assert.isBelow(process.cpuUsage(begun).user, 3_000_000)
  })
})
