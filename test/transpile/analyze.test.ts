import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type ModuleExport, Transpiler } from "../../src/transpile/Transpiler.ts"
import { moduleSource } from "./moduleSource.ts"

const analyze = (text: string, path = "a.ts") =>
  Effect.flatMap(Transpiler, (transpiler) => transpiler.analyze(moduleSource(path, text)))

const kinds = (exports: ReadonlyArray<ModuleExport>) =>
  Object.fromEntries(exports.map(({ kind, name }) => [name, kind]))

layer(Transpiler.layerInline())("the analysis of a module", (it) => {
  it.effect("knows the kind of each declared export", () =>
    Effect.gen(function*() {
      const { exports } = yield* analyze(`
        export class Klass {}
        export abstract class Abstract {}
        export async function* fn() {}
        export const { a, b: [c = 1, ...d], ...e } = f(), g = 1
        export let h, i = 2
        export var j
        export enum Enum {} export const enum ConstEnum {}
        export namespace Space { export const x = 1 } export namespace Nested.Space { export function y() {} }
        export interface Interface {} export type Alias = 1
        export declare const ambient: number; export declare class AmbientClass {} ; export declare enum AmbientEnum {}
        export namespace TypesOnly { export type T = 1 }
        export import alias = Space.x
        export const élan = 1`)
      assert.deepStrictEqual(kinds(exports), {
        Klass: "class",
        Abstract: "class",
        fn: "function",
        a: "constant",
        c: "constant",
        d: "constant",
        e: "constant",
        g: "constant",
        alias: "constant",
        élan: "constant",
        h: "variable",
        i: "variable",
        j: "variable",
        Enum: "enum",
        ConstEnum: "enum",
        Space: "namespace",
        Nested: "namespace",
        Interface: "type",
        Alias: "type",
        ambient: "type",
        AmbientClass: "type",
        AmbientEnum: "type",
        TypesOnly: "type"
      })
      assert.strictEqual(exports.find(({ name }) => name === "fn")?.line, 4)
    }))

  it.effect("follows export lists to the declaration, before or after it", () =>
    Effect.gen(function*() {
      const { exports } = yield* analyze(`
        export { K as default, f as "a-b", T, type U, V }
        class K {} function f() {} interface T {} class U {}
        export type { W }; class W {}
        type V = 1; const V = 1`)
      assert.deepStrictEqual(kinds(exports), {
        default: "class",
        "a-b": "function",
        T: "type",
        U: "type",
        W: "type",
        V: "constant"
      })
    }))

  it.effect.each(
    [
      ["class", "export default class Card {}"],
      ["class", "export default abstract class {}"],
      ["class", "class K {} export default K"],
      ["function", "export default function(a: string): void\nexport default function(a: any) {}"],
      ["function", "export default async () => {}"],
      ["constant", "export default { a: 1 }"],
      ["type", "export default interface I {}"],
      ["type", "type T = 1\nexport default T"],
      ["re-export", "import x from 'y'; export default x"]
    ] as const
  )("calls a default export a %s", ([kind, text]) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(kinds((yield* analyze(text)).exports), { default: kind })
    }))

  it.effect("says of a re-export where it is from and what it is called there", () =>
    Effect.gen(function*() {
      const { exports } = yield* analyze(
        `import d, { x as y, type T } from "./a.ts"; import * as all from "./b.ts"
export { d, y, T, all }
export { p as q, default as "de fault", type R } from "./c.ts"
export * from "./d.ts"
export * as ns from "./e.ts"
export type * from "./f.ts"`
      )
      const line = { kind: "re-export", line: 1 } as const
      assert.deepStrictEqual(
        exports,
        [
          { name: "d", ...line, from: "./a.ts", imported: "default" },
          { name: "y", ...line, from: "./a.ts", imported: "x" },
          { name: "T", ...line, from: "./a.ts", imported: "T", typeOnly: true },
          { name: "all", ...line, from: "./b.ts", imported: "*" },
          { name: "q", ...line, line: 3, from: "./c.ts", imported: "p" },
          { name: "de fault", ...line, line: 3, from: "./c.ts", imported: "default" },
          { name: "R", ...line, line: 3, from: "./c.ts", imported: "R", typeOnly: true },
          { name: "ns", ...line, line: 5, from: "./e.ts", imported: "*" },
          { name: "*", ...line, line: 4, from: "./d.ts", imported: "*" },
          { name: "*", ...line, line: 6, from: "./f.ts", imported: "*", typeOnly: true }
        ] as const
      )
    }))

  it.effect("has one entry for a name that is a type and a value", () =>
    Effect.gen(function*() {
      const { exports } = yield* analyze(
        "export interface Option {}\nexport const Option = 1\nexport namespace Option {}"
      )
      assert.deepStrictEqual(exports, [{ name: "Option", kind: "constant", line: 2, local: "Option" }])
      const half = yield* analyze("export interface Part {}\nconst Part = 1")
      assert.deepStrictEqual(half.exports, [{ name: "Part", kind: "type", line: 1 }])
    }))

  it.effect("keeps dependencies of types apart from those of values", () =>
    Effect.gen(function*() {
      const analysis = yield* analyze(`
        import type { A } from "./type.ts"; import { type B } from "./type-too.ts"
        export type { C } from "./type-three.ts"
        import type { D } from "./both.ts"; import { d } from "./both.ts"; import "./effect.ts"
        const later = () => import("./later.ts")`)
      assert.deepStrictEqual(analysis.dependencies, ["./both.ts", "./effect.ts", "./later.ts"])
      assert.deepStrictEqual(analysis.typeDependencies, ["./type.ts", "./type-too.ts", "./type-three.ts"])
    }))

  it.effect("reads JSX and decorators, and fails as a transpile does", () =>
    Effect.gen(function*() {
      const { exports } = yield* analyze("@d export class A { @f x = <b/> }", "a.tsx")
      assert.deepStrictEqual(kinds(exports), { A: "class" })
      const failure = yield* Effect.flip(analyze("export const = 1"))
      assert.deepInclude(failure, { _tag: "TranspileError", path: "a.ts", line: 1, column: 14 })
    }))
})
