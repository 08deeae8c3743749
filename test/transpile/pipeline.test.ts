import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Transpiler } from "../../src/transpile/Transpiler.ts"
import { linkedModules } from "./linkedModules.ts"
import { moduleSource } from "./moduleSource.ts"

const transpile = (path: string, text: string) =>
  Effect.flatMap(Transpiler, (transpiler) => transpiler.transpile(moduleSource(path, text)))

layer(Transpiler.layerInline())("the pipeline", (it) => {
  describe("TypeScript", () => {
    it.effect("removes imports that only name types, so that the result links", () =>
      Effect.gen(function*() {
        const main = yield* linkedModules({
          "main.ts": `
            import { type Marked, Plain, value } from "./types.ts"
            import type Default from "./missing.ts"
            import { Gone } from "./missing-too.ts"
            export { type Marked as Again } from "./types.ts"
            export const answer: Plain & Marked = { n: value } as Gone & Default`,
          "types.ts": `export interface Plain { n: number }; export type Marked = {}; export const value = 42`
        })
        assert.deepStrictEqual(Object.keys(main), ["answer"])
        assert.deepStrictEqual(main.answer, { n: 42 })
      }))

    it.effect("keeps imports that are there for their side effects", () =>
      Effect.gen(function*() {
        const { code, dependencies } = yield* transpile("a.ts", `import "./polyfill.ts"\nimport {} from "./other.ts"`)
        assert.include(code, `import "./polyfill.ts"`)
        assert.deepStrictEqual(dependencies, ["./polyfill.ts", "./other.ts"])
      }))

    it.effect("compiles enums, const enums and merged enums", () =>
      Effect.gen(function*() {
        const main = yield* linkedModules({
          "main.ts": `
            export enum Color { Red = 1, Green }
            export enum Color { Blue = Green + 1 }
            export const enum Size { Small = "s" }
            export const all = [Color[2], Color.Blue, Size.Small]`
        })
        assert.deepStrictEqual(main.all, ["Green", 3, "s"])
      }))

    it.effect("compiles namespaces: nested, dotted, and merged with a class", () =>
      Effect.gen(function*() {
        const main = yield* linkedModules({
          "main.ts": `
            export class Box { size = Box.unit }
            export namespace Box { export const unit = 3; export interface Lid {} }
            export namespace A.B { export const c = 1; export namespace D { export const e = c + 1 } }
            namespace Types { export type T = string }
            export const all = [new Box().size, A.B.D.e, "t" satisfies Types.T]`
        })
        assert.deepStrictEqual(main.all, [3, 2, "t"])
      }))

    it.effect("assigns parameter properties after super()", () =>
      Effect.gen(function*() {
        const main = yield* linkedModules({
          "main.ts": `
            class Base { order: Array<string> = ["base"] }
            class Point extends Base {
              declare ghost: string
              constructor(public readonly x: number, private y = 2) {
                super()
                this.order.push(String(this.x + this.y))
              }
            }
            const point = new Point(1)
            export const all = [point.order, "ghost" in point]`
        })
        assert.deepStrictEqual(main.all, [["base", "3"], false])
      }))

    it.effect("runs standard decorators, also on a class with declared fields and parameter properties", () =>
      Effect.gen(function*() {
        const main = yield* linkedModules({
          "main.ts": `
            const seen: Array<string> = []
            const log = (_: unknown, { kind, name }: DecoratorContext) => { seen.push(kind + " " + String(name)) }
            const twice = (_: undefined, __: ClassFieldDecoratorContext) => (initial: number) => initial * 2
            @log export abstract class Card<T> {
              declare type: T
              @twice size = 21
              @log accessor open = true
              @log static get title(): string { return "card" }
              abstract draw(): void
              constructor(readonly name: string) {}
            }
            class Real extends Card<1> { draw() {} }
            const real = new Real("n")
            export const all = [seen, real.size, real.open, real.name, "type" in real]`
        })
        assert.deepStrictEqual(main.all, [
          ["getter title", "accessor open", "class Card"],
          42,
          true,
          "n",
          false
        ])
      }))

    it.effect("erases what has no run time", () =>
      Effect.gen(function*() {
        const { code } = yield* transpile(
          "a.ts",
          `declare const x: number
           declare module "y" { export const z: 1 }
           declare global { interface Window {} }
           export type T = typeof x
           export default interface I {}
           export function f(a: string): void
           export function f(this: unknown, a?: any): asserts a is string {}
           export abstract class C<in out Q> extends Object implements I {
             abstract m(): void; [key: string]: any; protected override n!: Q
           }
           export { type T as U }`
        )
        assert.strictEqual(code, "export function f(a) {}\nexport class C extends Object {\n  n;\n}")
      }))

    it.effect("takes angle brackets in .ts for types, and in .mts too where they are not ambiguous", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* transpile("a.ts", "export const a = <string>b")).code, "export const a = b;")
        assert.strictEqual(
          (yield* transpile("a.mts", "export const f = <T,>(x: T) => x")).code,
          "export const f = x => x;"
        )
      }))
  })

  describe("JSX", () => {
    it.effect("compiles to the automatic runtime without anything of a development build", () =>
      Effect.gen(function*() {
        const { code, dependencies } = yield* transpile(
          "a/card.tsx",
          `import type { P } from "./p.ts"\nexport const Card = (p: P) => <><b {...p}>hi</b></>`
        )
        assert.deepStrictEqual(dependencies, ["react/jsx-runtime"])
        assert.notInclude(code, "card.tsx")
        assert.notInclude(code, "jsxDEV")
        assert.include(code, `_jsx("b", {\n    ...p,\n    children: "hi"\n  })`)
      }))

    it.effect("is plain JavaScript's too, in .jsx", () =>
      Effect.gen(function*() {
        const { dependencies } = yield* transpile("a.jsx", "export default () => <b/>")
        assert.deepStrictEqual(dependencies, ["react/jsx-runtime"])
      }))

    it.effect("may come from another package, said once for all or in the file", () =>
      Effect.gen(function*() {
        const own = yield* transpile("a.jsx", "/** @jsxImportSource preact */\nexport default <b/>")
        assert.deepStrictEqual(own.dependencies, ["preact/jsx-runtime"])
        const all = yield* Effect.provide(
          transpile("a.tsx", "export default <b/>"),
          Transpiler.layerInline({ jsxImportSource: "solid-js/h" })
        )
        assert.deepStrictEqual(all.dependencies, ["solid-js/h/jsx-runtime"])
      }))
  })

  describe("modern JavaScript", () => {
    const modern = `#!/usr/bin/env node
// kept
import data from "./data.json" with { type: "json" };
export * as ns from "./ns.js";
class A {
  static #count = 0;
  static {
    A.#count ??= 1_000n ** 2n;
  }
  has(x) {
    return #count in x && /[\\p{L}--[a-z]]/v.test(x?.y);
  }
}
{
  using file = open();
  await using socket = connect();
}
export const here = import.meta.url,
  later = await import("./later.js");
export { A as "a-b", data };`

    it.effect.each(["a.js", "a.mjs", "a.ts"])("is left as it is written in %s", (path) =>
      Effect.gen(function*() {
        const { code, dependencies } = yield* transpile(path, modern)
        assert.strictEqual(code, modern)
        assert.deepStrictEqual(dependencies, ["./data.json", "./ns.js", "./later.js"])
      }))

    it.effect("reports each import once, in order, as it is written, and only literal ones", () =>
      Effect.gen(function*() {
        const { dependencies } = yield* transpile(
          "a.js",
          "import a from './a'; export * from \"../b.ts\"; import(`./c.js`); import(a); import(`${a}.js`)\n" +
            "import './a'; export { d } from 'd'; const s = 'import(\"./no.js\")'"
        )
        assert.deepStrictEqual(dependencies, ["./a", "../b.ts", "./c.js", "d"])
      }))

    it.effect("drops a byte order mark, and writes the line breaks that JavaScript reads", () =>
      Effect.gen(function*() {
        const { code } = yield* transpile("a.ts", "\ufeffexport const a: string = `x\r\ny`\r\n")
        assert.strictEqual(code, "export const a = `x\ny`;")
      }))

    it.effect("keeps an empty module empty", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* transpile("a.ts", ""), { code: "", dependencies: [] })
      }))
  })
})
