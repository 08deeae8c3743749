/** Modules that say in their export `result` what they did. Path by name; `.ts` where none is given. */
export interface Program {
  readonly name: string
  readonly path?: string
  readonly source: string
}

export const programs: ReadonlyArray<Program> = [
  {
    name: "enums: computed, of strings, merged, const, reverse lookup",
    source: `
      enum Bits { None, A = 1 << 0, B = 1 << 1, All = A | B, Len = "abc".length, T = \`t\` }
      enum Bits { Late = 9 }
      const enum Size { Small = "s", Big = 10 }
      export enum Name { First = "first" }
      declare enum Ghost { G }
      export const result = [Bits, Bits[3], Bits.Late, Size.Small, Size["Big"], Name, Object.keys(Bits)]`
  },
  {
    name: "namespaces: nested, dotted, beside a function, a class and an enum",
    source: `
      function f() { return 1 }
      namespace f { export const g = () => f() + 1 }
      class K { static a = 1 }
      namespace K.Inner { export const b = K.a + 1; export class L { c = b } }
      enum E { A }
      namespace Only { export type T = string }
      export namespace Outer { const hidden = 1; export const shown: Only.T = String(hidden) }
      export const result = [f.g(), K.Inner.b, new K.Inner.L().c, Object.keys(Outer), E.A]`
  },
  {
    name: "namespaces that merge",
    source: `
      namespace A { export const x = 1 }
      namespace A { export const y = A.x + 1 }
      export const result = A`
  },
  {
    name: "parameter properties, their order and the setters that they meet",
    source: `
      const seen: Array<string> = []
      class Base { set open(v: boolean) { seen.push("set " + v) } order = ["base"] }
      class Point extends Base {
        z = seen.push("field")
        declare ghost: string
        constructor(public readonly x: number, private y = 2, protected override open = true, plain?: string) {
          super()
          seen.push("body " + plain)
        }
      }
      export const result = [Object.entries(new Point(1, undefined, true, "p")), seen, "ghost" in new Point(1)]`
  },
  {
    name: "parameter properties in a constructor with its name in quotes",
    source: `class A { b = 1; "constructor"(private c = 2) {} }
      export const result = Object.keys(new (A as any)())`
  },
  {
    name: "class fields: order, computed names, private, static blocks, without a value",
    source: `
      const log: Array<string> = []
      const note = (s: string) => (log.push(s), s)
      class C {
        [note("k1")] = note("v1")
        static [note("k2")] = note("v2")
        #p?: number
        z!: string
        static { note("block") }
        #q = 7
        get q() { return this.#q + (this.#p ?? 0) }
        [index: string]: any
        static async *gen() { yield 1 }
      }
      const c = new C()
      export const result = [log, Object.keys(c), c.q]`
  },
  {
    name: "standard decorators of every kind",
    source: `
      const seen: Array<string> = []
      const log = (_: unknown, { kind, name }: DecoratorContext) => { seen.push(kind + " " + String(name)) }
      const twice = (_: undefined, __: ClassFieldDecoratorContext) => (initial: number) => initial * 2
      @log export abstract class Card<T> {
        declare type: T
        @twice size = 21
        @log accessor open = true
        @log static get title(): string { return "card" }
        @log method() {}
        abstract draw(): void
        constructor(readonly name: string) {}
      }
      class Real extends Card<1> { draw() {} }
      const real = new Real("n")
      export const result = [seen, real.size, real.open, real.name]`
  },
  {
    name: "a decorator where only a parser finds it",
    source: `
      const add = (_: unknown, c: ClassDecoratorContext) => { c.addInitializer(function(this: any) { this.added = 1 }) }
      const quote = 1 /* " */; if (quote) /["'\`/*@]/.test("x")
      const made = 2
       * ((@add class { valueOf() { return 3 } } as any).added + 1)
      export const result = made`
  },
  {
    name: "an accessor without a decorator",
    source: `class A { accessor a = 1; static accessor b = 2; accessor "c d" = 3 }
      export const result = [new A().a, A.b, new A()["c d"], Object.keys(new A())]`
  },
  {
    name: "accessor as a name",
    source: "const accessor = (x: number) => x; export const result = [accessor(1), { accessor }.accessor(2)]"
  },
  {
    name: "imports of types, inline and whole, of modules that are not there",
    source: `
      import type Default from "./missing.ts"
      import type * as Space from "./missing.ts"
      import { type A, type B as C } from "./missing.ts"
      import { Unused } from "./missing.ts"
      export type { D } from "./missing.ts"
      export type * from "./missing.ts"
      export { type A as E }
      export const result: Unused | Default | Space.X = 1 as A & C`
  },
  {
    name: "what has no run time: declare, abstract, overloads, interfaces, index signatures",
    source: `
      declare const x: number
      declare function d(): void
      declare class Amb {}
      declare module "y" { export const z: 1 }
      declare namespace N { const n: 1; namespace Deep { type T = 1 } }
      declare global { interface Window {} }
      export default interface I {}
      export function f(a: string): string
      export function f(a: number): string
      export function f(this: unknown, a?: any): string { return String(a) }
      abstract class Shape { abstract area(): number; protected abstract readonly k: string; twice() { return this.area() * 2 } }
      class Square extends Shape implements I { k = "k"; override area() { return 9 } }
      export const result = [f(1), f("b"), new Square().twice(), typeof x]`
  },
  {
    name: "satisfies, as, non-null, angle brackets, instantiation expressions, optional chaining",
    source: `
      const a = { b: { c: [1, 2] } } as const satisfies object
      let n: { m?: () => number } | undefined = { m: () => 5 }
      const id = <T,>(x: T) => x
      const str = id<string>
      let v = <any>1; v!++; (v as any) += 1; [v as any] = [v! * 2]
      export const result = [a.b?.c?.[1], n!?.m?.(), (n as any).q?.r.s.t, str("s"), v, n.m!(), new Map<string, number>().size]`
  },
  {
    name: "modern JavaScript: bigint, numeric separators, labels, logical assignment, classes in expressions",
    source: `
      let o: any = { a: 0, b: null }
      o.a ||= 1_000; o.b ??= 0x10n ** 2n; o.c &&= 1
      outer: for (const i of [1, 2]) { for (;;) { if (i === 2) break outer; continue outer } }
      const [p, , ...q] = [1, 2, 3, 4], { a, ...rest } = o
      export const result = [a, String(rest.b), p, q, /(?<y>\\d+)/v.exec("x12")?.groups?.y, (class { static n = 0o17 }).n, 1e21, .5]`
  },
  {
    name: "using and await using",
    source: `
      const log: Array<string> = []
      const open = (name: string) => ({ [Symbol.dispose]() { log.push(name) }, async [Symbol.asyncDispose]() { log.push("async " + name) } })
      { using a = open("a"); using b = open("b"); await using c = open("c"); log.push("body") }
      export const result = log`
  },
  {
    name: "names that shadow, and names that a helper could take",
    source: `
      const _E = 1, _f = 2
      enum E { A = _E + 1 }
      namespace f { export const _f = E.A; export const g = _f }
      const arguments_ = (function() { return arguments.length })(...([1, 2] as [number, number]))
      export const result = [E.A, f.g, _f, arguments_]`
  },
  {
    name: "JSX: attributes, spreads, keys, fragments, entities, comments, whitespace",
    path: "view.tsx",
    source: `
      import type { Props } from "./props.ts"
      import { React } from "./react.ts"
      const T = { Item: "item" }, props = { a: 1 }
      const Generic = <T,>(p: { of: T }) => <i {...p}/>
      export const result: unknown = [
        <b key="k" {...props} title='a "b" &amp; c' checked data-x={1 as number}>text {1}{" "}{/* no */}
          more   text
        </b>,
        <b {...props} key="last"/>,
        <><T.Item/><my-tag/>{null}</>,
        (<Generic<string> of="s"/> as any).props,
        <p>it's a / b // c &copy; {"<"}</p>
      ]`
  },
  {
    name: "JSX of another runtime",
    path: "other.jsx",
    source: `/** @jsxImportSource react */
      export const result = (() => <ul>{[1, 2].map((n) => <li key={n}>{n}</li>)}</ul>)()`
  },
  { name: "plain JavaScript", path: "plain.mjs", source: "export const result = [1, , 3].map((x) => x ** 2)" },
  {
    name: "angle brackets in .mts",
    path: "cast.mts",
    source: "export const result = (<T,>(x: T) => x)(1 as any as string)"
  }
]

/** Modules that neither compiler may serve. */
export const rejected: ReadonlyArray<Program> = [
  { name: "export =", source: "const a = 1\nexport = a" },
  { name: "export = behind comments", path: "a.tsx", source: "const a = <b/>\nexport /* = */ // x\n = a" },
  { name: "import = require", source: "import fs = require('fs')\nfs.a()" },
  {
    name: "import = of a namespace's name",
    source: "namespace A { export const b = 1 }\nnamespace C { export import d = A.b }"
  },
  { name: "parameter decorators", source: "class A { constructor(@Inject() x) {} }" },
  { name: "export let in a namespace", source: "namespace A { export let x = 1 }" },
  { name: "the values of an ambient const enum", source: "declare const enum E { A = 1 }\nexport const a = E.A" },
  { name: "a name of another block", source: "namespace A { export const x = 1 }\nnamespace A { export const y = x }" },
  {
    name: "the same, in .tsx, after a comment",
    path: "a.tsx",
    source: "// declare\nnamespace A { export const x = 1 }\n// declare\nnamespace A { export const y = x }"
  },
  {
    name: "a name of another block, dotted",
    source: "namespace A.B { export const x = 1 }\nnamespace A { namespace B { export const y = x } }"
  },
  { name: "broken code", source: "const é = 'ü𝒳'; let b = ) 2" },
  { name: "JSX in .js", path: "a.js", source: "export default <b/>" },
  { name: "JSX in .ts", source: "export default <b></b>" },
  { name: "the same name twice", path: "a.js", source: "let a; let a" },
  { name: "an export of nothing", path: "a.js", source: "export { x }" },
  { name: "return outside of a function", path: "a.mjs", source: "return 1" },
  { name: "syntax beyond the standard", source: "const a = 1 |> 2" },
  { name: "a declaration file", path: "a.d.ts", source: "export const a: 1" },
  { name: "a template", path: "a.gts", source: "" },
  { name: "a classic pragma", path: "a.tsx", source: "/** @jsx h */\nexport default <b/>" },
  { name: "namespaced tags", path: "a.jsx", source: "export default <a:b/>" }
]
