import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { TranspileError, Transpiler } from "../../src/transpile/Transpiler.ts"
import { moduleSource, realm } from "./moduleSource.ts"

const reject = (path: string, text: string) =>
  Effect.gen(function*() {
    const failure = yield* Effect.flip((yield* Transpiler).transpile(moduleSource(path, text)))
    assert.instanceOf(failure, TranspileError)
    assert.strictEqual(failure.path, path)
    // plain, on one line, and of this machine nothing
    assert.notMatch(failure.detail, /[\u001b\n]|\/(work|home|tmp|root)\//)
    assert.notInclude(failure.detail, path)
    return failure
  })

layer(Transpiler.layerInline())("a module that cannot be transpiled", (it) => {
  it.effect("says where, counted from 1, and shows the lines around it", () =>
    Effect.gen(function*() {
      const failure = yield* reject("a/b.ts", "const a = 1\n\n\tlet b = ) 2\nconst c = 3\n")
      assert.deepInclude(failure, { detail: "Unexpected token", line: 3, column: 10 })
      assert.strictEqual(
        failure.codeFrame,
        "  1 | const a = 1\n  2 |\n> 3 | \tlet b = ) 2\n    | \t        ^\n  4 | const c = 3\n  5 |"
      )
      assert.strictEqual(failure.message, "a/b.ts:3:10: Unexpected token")
    }))

  it.effect("shows a window of a line that is too long to show", () =>
    Effect.gen(function*() {
      const failure = yield* reject("min.js", `${"x=1;".repeat(20_000)})${"y=2;".repeat(1_000)}`)
      assert.strictEqual(failure.column, 80_001)
      assert.isBelow(failure.codeFrame!.length, 400)
      assert.match(failure.codeFrame!, /^> 1 \| (x=1;)+\)(y=2;)+/)
    }))

  describe("because Babel has no such feature", () => {
    it.effect.each(
      [
        ["export let in a namespace", "namespace A {\n  export let x = 1\n}", 2, 10, /Namespaces exporting non-const/],
        [
          "export =",
          "const a = 1\nexport = a",
          2,
          1,
          /^`export = <value>;` is only supported .*`export default <value>;`\.$/
        ],
        ["import = require", "\nimport x = require('y')\nx()", 2, 1, /`import x = require/],
        ["parameter decorators", "class A {\n  constructor(@Inject() x) {}\n}", 2, 15, /decorate parameters/],
        ["syntax beyond the standard", "\nconst a = 1 |> 2", 2, 13, /^the syntax "pipelineOperator" is not supported$/]
      ] as const
    )("%s", ([, text, line, column, detail]) =>
      Effect.gen(function*() {
        const failure = yield* reject("a.ts", text)
        assert.deepInclude(failure, { line, column })
        assert.match(failure.detail, detail)
        assert.match(failure.codeFrame!, new RegExp(`^> ${line} \\|`, "m"))
      }))
  })

  describe("because Babel would compile it wrongly without a word", () => {
    it.effect.each(
      [
        [
          "a name of another block",
          "namespace A { export const x = 1 }\nnamespace A { export const y = x }",
          2,
          32,
          "A.x"
        ],
        [
          "the same, exported and dotted",
          "export namespace A.B { export function x() {} }\nexport namespace A.B { x() }",
          2,
          24,
          "A.B.x"
        ],
        [
          "a sibling of an outer block",
          "namespace A.B { export const x = 1 }\nnamespace A.C { export const y = B.x }",
          2,
          34,
          "A.B"
        ],
        [
          "from inside a function",
          "namespace A { export const x = 1 }\nnamespace A { export const f = () => { return x } }",
          2,
          47,
          "A.x"
        ],
        [
          "although an outer name would do",
          "const x = 0\nnamespace A { export const x = 1 }\nnamespace A { export const y = x }",
          3,
          32,
          "A.x"
        ],
        [
          "export import in a namespace",
          "namespace B { export const c = 1 }\nnamespace A { export import c = B.c }",
          2,
          15,
          "export const"
        ],
        [
          "the values of an ambient const enum",
          "declare const enum E { A = 1 }\nexport const a = E.A",
          2,
          18,
          "declare const enum"
        ]
      ] as const
    )("%s", ([, text, line, column, detail]) =>
      Effect.gen(function*() {
        const failure = yield* reject("a.ts", text)
        assert.deepInclude(failure, { line, column })
        assert.isTrue(failure.detail.includes(detail), failure.detail)
      }))

    it.effect.each(
      [
        ["its own local", "namespace A { export const x = 1 }\nnamespace A { const x = 2; export const y = x }"],
        ["a parameter", "namespace A { export const x = 1 }\nnamespace A { export const f = (x: number) => x }"],
        [
          "a type",
          "namespace A { export class C {} }\nnamespace A { export const c: C = null as C; type D = typeof C }"
        ],
        ["a property", "namespace A { export const x = 1 }\nnamespace A { export const y = A.x + ({ x: 2 }).x }"],
        [
          "an inner namespace of its own",
          "namespace A.B { export const x = 1 }\nnamespace A { namespace B { export const z = 1 } B.z }"
        ],
        ["an ambient enum that is a real one elsewhere", "declare enum E { A }\nexport const a = E.A"]
      ] as const
    )("but not %s", ([, text]) =>
      Effect.gen(function*() {
        yield* (yield* Transpiler).transpile(moduleSource("a.ts", text))
      }))
  })

  describe("because it is no module that this pipeline knows", () => {
    it.effect.each(
      [
        ["card.gts", /preset/],
        ["card.gjs", /preset/],
        ["types.d.ts", /declaration file/],
        ["types.d.mts", /declaration file/],
        ["a.cts", /not a module/],
        ["data.json", /not a module/],
        ["constructor", /not a module/]
      ] as const
    )("%s", ([path, detail]) =>
      Effect.gen(function*() {
        const failure = yield* reject(path, "")
        assert.match(failure.detail, detail)
        assert.isUndefined(failure.line)
      }))

    it.effect("JSX in .js, as everywhere in the ecosystem", () =>
      Effect.gen(function*() {
        const failure = yield* reject("a.js", "\nexport default <b/>")
        assert.deepInclude(failure, { line: 2, column: 16, detail: "JSX is only understood in .jsx and .tsx modules" })
      }))
  })

  describe("because of its bytes", () => {
    it.effect("names the line that is no UTF-8", () =>
      Effect.gen(function*() {
        const bytes = Buffer.concat([Buffer.from("// é\nconst a = 1\n// "), Buffer.from([0xe9]), Buffer.from("\n")])
        const failure = yield* Effect.flip((yield* Transpiler).transpile({ group: realm, path: "a.ts", bytes }))
        assert.deepInclude(failure, { detail: "is not valid UTF-8", line: 3 })
      }))

    it.effect("names the last line, when the file is cut in the middle of a character", () =>
      Effect.gen(function*() {
        const bytes = Buffer.from("//\n// é").subarray(0, -1)
        const failure = yield* Effect.flip((yield* Transpiler).transpile({ group: realm, path: "a.ts", bytes }))
        assert.deepInclude(failure, { detail: "is not valid UTF-8", line: 2 })
      }))

    it.effect("keeps control characters of a binary file out of the answer", () =>
      Effect.gen(function*() {
        const failure = yield* reject("a.ts", "\u0000\u001b[31mPNG\u0007\nx")
        assert.strictEqual(failure.line, 1)
        assert.notMatch(failure.detail + failure.codeFrame, /[\u0000-\u0008\u000b-\u001f]/)
      }))
  })

  it.effect("because it is nested too deeply, and the next one is transpiled as ever", () =>
    Effect.gen(function*() {
      const failure = yield* reject("deep.ts", `export const a = ${"[".repeat(200_000)}`)
      assert.strictEqual(failure.detail, "is nested too deeply to be transpiled")
      assert.deepInclude(yield* (yield* Transpiler).transpile(moduleSource("a.ts", "export {}")), {
        code: "export {};"
      })
    }))
})
