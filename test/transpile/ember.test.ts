import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { SourceMap } from "node:module"
import { ember, Transpiler } from "../../src/transpile/Transpiler.ts"
import { gtsExample, withoutGtsPackages } from "../support/gtsExample.ts"
import { moduleSource } from "./moduleSource.ts"

const transpiler = (options: Parameters<typeof ember>[0] = {}) =>
  Transpiler.layerInline({ preset: ember({ from: gtsExample, ...options }) })

const compiled = (path: string, source: string) =>
  Effect.flatMap(Transpiler, (service) => service.transpile(moduleSource(path, source)))

const fault = (source: string, path = "card.gts") => Effect.flip(compiled(path, source))

const card = readFileSync(new URL("realms/cards/card.gts", gtsExample), "utf8")

/** Where the marker is written, counted from 1. */
const placeOf = (text: string, marker: string) => {
  const before = text.slice(0, text.indexOf(marker)).split("\n")
  return { line: before.length, column: before.at(-1)!.length + 1 }
}

describe.skipIf(withoutGtsPackages)("the ember preset", { concurrent: false }, () => {
  it.layer(transpiler())((it) => {
    it.effect("keeps what only a template uses, drops what is only a type, and says what is imported", () =>
      Effect.gen(function*() {
        const { code, dependencies } = yield* compiled("cards/card.gts", card)
        assert.match(code, /"scope": \(\) => \[Badge, years, Button\]/)
        assert.include(code, `import Badge from "./badge.gts"`)
        assert.notInclude(code, "person.ts")
        assert.notInclude(code, "interface")
        assert.deepStrictEqual(dependencies, [
          "@glimmer/component",
          "@glimmer/tracking",
          "./badge.gts",
          "./button",
          "@ember/component",
          "@ember/template-factory",
          "decorator-transforms/runtime-esm"
        ])
      }))

    it.effect("analyses a module as it is written, with the imports of its templates", () =>
      Effect.gen(function*() {
        const service = yield* Transpiler
        const analysis = yield* service.analyze(moduleSource("card.gts", card))
        assert.deepStrictEqual(analysis.dependencies, [
          "@glimmer/component",
          "@glimmer/tracking",
          "./badge.gts",
          "./button",
          "./person.ts"
        ])
        assert.deepInclude(analysis.exports[0], {
          name: "default",
          kind: "class",
          line: placeOf(card, "export default class").line,
          summary: "A person, and how often the card was liked."
        })
        assert.deepStrictEqual(analysis.classes.get("Card")?.members.map(({ name }) => name), ["likes", "year", "like"])
        const alone = yield* service.analyze(moduleSource("a.gjs", "\n/** One. */\n<template>1</template>\n"))
        assert.deepStrictEqual(alone.exports, [{ name: "default", kind: "constant", line: 3, summary: "One." }])
      }))

    it.effect("maps its code back to the file, behind templates and characters of any width too", () =>
      Effect.gen(function*() {
        const service = yield* Transpiler
        const source = `import { b } from "./b.ts"
const é: string = "𝒳ü"; export const A = <template>
  <b>{{é}}</b> 𝒳
</template>, B = throwHere(é as string)
export class C { m() { return thenHere(this) } <template><A /></template> }
`
        const { code, map } = yield* service.map(moduleSource("deep/a.gts", source))
        assert.strictEqual(code, (yield* compiled("deep/a.gts", source)).code)
        const read = new SourceMap(JSON.parse(map))
        for (const marker of ["throwHere", "thenHere"]) {
          const at = placeOf(code, marker)
          const from = placeOf(source, marker)
          assert.deepInclude(read.findEntry(at.line - 1, at.column - 1), {
            originalSource: "a.gts",
            originalLine: from.line - 1,
            originalColumn: from.column - 1
          }, marker)
        }
        assert.deepStrictEqual(JSON.parse(map).sourcesContent, [source])
      }))

    it.effect("places every fault in the file: of the script, of a template, of what is between", () =>
      Effect.gen(function*() {
        const cases: ReadonlyArray<readonly [string, string, object]> = [
          ["the script", "const a = 1\nconst b: = 1\n<template></template>", { line: 2, column: 10 }],
          ["a plugin's", "<template>1</template>\nexport namespace A { export let b = 1 }", { line: 2 }],
          ["an unknown name", "\n<template>\n  <p>\n    {{nobody}}\n  </p>\n</template>", { line: 4, column: 5 }],
          ["a name on the first line", "export const A = <template>{{nobody}}</template>", { line: 1, column: 28 }],
          ["a block", "class A {\n  <template>\n    {{#if @a}}\n    {{/each}}\n  </template>\n}", {
            line: 3,
            column: 8
          }],
          ["a tag", "<template>\n  <div>\n  </p>\n</template>", { line: 3, column: 3 }],
          ["what never ends", "\n\n<template>{{#if @a}}</template>", { line: 3 }],
          ["a call that follows", "<template></template>\n[1].map(f)", { line: 1 }],
          ["a list that follows", "<template>\n</template>\n[1]", { line: 2 }]
        ]
        for (const [what, source, place] of cases) {
          const found = yield* fault(source)
          assert.deepInclude(found, { _tag: "TranspileError", ...place }, `${what}: ${JSON.stringify(found)}`)
          assert.notMatch(found.message, /\n|UUID|template_/, what)
        }
        assert.include((yield* fault("<template>{{a}}</template>")).message, "not in scope: a")
        assert.include((yield* fault("\n<template>\n<div></p></template>")).message, "<div> (on line 3)")
      }))

    it.effect("compiles a template wherever an expression, a class member or a statement may be", () =>
      Effect.gen(function*() {
        const { code } = yield* compiled(
          "a.gts",
          `const template = 1
const later = () => <template>a \`\${x}\` \\n</template> satisfies Later
const list = [<template>b</template>, <template>b</template>]
export class D { static a = 1; <template>c</template> }
f(<template>
  d
</template>)
const end = 1
<template>e</template>
`
        )
        for (const text of ["a `${x}` \\\\\\\\n", "b", "c", "d", "e"]) assert.include(code, `[1,\\"${text}\\"]`)
        assert.match(code, /const end = 1;\n.*export default setComponentTemplate/s)
        assert.notInclude(code, "@ember/template-compiler")
      }))

    it.effect("leaves all other modules to the pipeline that it stands before", () =>
      Effect.gen(function*() {
        const source = "export class A { @dec a: number = 1 }"
        const plain = yield* Effect.provide(compiled("a.ts", source), Transpiler.layerInline())
        assert.strictEqual((yield* compiled("a.ts", source)).code, plain.code)
      }))
  })

  it.effect("gives all modules Ember's decorators where it is told to, under a fingerprint of its own", () =>
    Effect.gen(function*() {
      const { code } = yield* compiled("a.ts", "export class A { @dec a: number = 1 }")
      assert.include(code, "decorator-transforms/runtime-esm")
      const { fingerprint } = yield* Transpiler
      const other = yield* Effect.provide(Transpiler, transpiler())
      assert.notStrictEqual(fingerprint, other.fingerprint)
    }).pipe(Effect.provide(transpiler({ legacyDecorators: "everywhere" })), Effect.scoped))

  it.live("stands before oxc as well, in its processes", () =>
    Effect.gen(function*() {
      assert.include((yield* compiled("a.gts", "<template>a</template>")).code, "setComponentTemplate")
      assert.include((yield* compiled("b.ts", "export const b: number = 1")).code, "export const b = 1")
    }).pipe(
      Effect.provide(Transpiler.layerOxc({ workers: 1, preset: ember({ from: gtsExample }) })),
      Effect.scoped
    ))
})
