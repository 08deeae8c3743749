import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { ember, type Preset, type TranspileFailure, Transpiler } from "../../src/transpile/Transpiler.ts"
import { emberPackages } from "../../src/transpile/ember/packages.ts"
import { moduleSource } from "./moduleSource.ts"

const directory = Effect.acquireRelease(
  Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "lockstep-preset-"))),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
)

const urlOf = (made: string) => pathToFileURL(`${made}/`)

const write = (made: string, files: Readonly<Record<string, string>>) =>
  Effect.forEach(Object.entries(files), ([name, text]) =>
    Effect.promise(async () => {
      await fs.mkdir(path.dirname(path.join(made, name)), { recursive: true })
      await fs.writeFile(path.join(made, name), text)
    }))

const greeting = `export default ({ word }) => (base) => ({
  ...base,
  transpile: (path, bytes) => {
    if (path === "loud.ts") throw Object.assign(new Error("too loud"), { loc: { line: 2, column: 4 } })
    return base.transpile(path, Buffer.from(new TextDecoder().decode(bytes).replaceAll("WORD", JSON.stringify(word))))
  }
})`

const preset = (made: string, options: unknown = { word: "hello" }): Preset => ({
  name: "greeting",
  module: new URL("greeting.mjs", urlOf(made)),
  from: urlOf(made),
  options,
  packages: ["words"]
})

const fingerprint = (of?: Preset) =>
  Effect.map(Transpiler, (transpiler) => transpiler.fingerprint).pipe(
    Effect.provide(Transpiler.layerInline(of === undefined ? {} : { preset: of })),
    Effect.scoped
  )

describe("a preset", () => {
  it.live.each([
    { where: "in the calling thread", layer: Transpiler.layerInline },
    {
      where: "in a worker thread",
      layer: (options: { preset: Preset }) => Transpiler.layer({ ...options, workers: 1 })
    }
  ])(
    "compiles in front of Babel, and what it throws is a fault of the module, $where",
    ({ layer }) =>
      Effect.scoped(Effect.gen(function*() {
        const made = yield* directory
        yield* write(made, { "greeting.mjs": greeting })
        yield* Effect.gen(function*() {
          const transpiler = yield* Transpiler
          const { code } = yield* transpiler.transpile(moduleSource("a.ts", "export const a: string = WORD"))
          assert.strictEqual(code, "export const a = \"hello\";")
          const fault = yield* Effect.flip(transpiler.transpile(moduleSource("loud.ts", "one\ntwo three\n")))
          assert.deepInclude(fault, { _tag: "TranspileError", line: 2, column: 5 })
          assert.include(fault.message, "too loud")
        }).pipe(Effect.provide(layer({ preset: preset(made) })))
      }))
  )

  it.live("is part of the fingerprint: its options, its module's bytes, and its packages' versions, and not its place", () =>
    Effect.scoped(Effect.gen(function*() {
      const [made, other] = [yield* directory, yield* directory]
      const files = {
        "greeting.mjs": greeting,
        "node_modules/words/package.json": JSON.stringify({
          name: "words",
          version: "1.0.0",
          dependencies: { deep: "1" }
        }),
        "node_modules/deep/package.json": JSON.stringify({ name: "deep", version: "1.0.0" })
      }
      yield* write(made, files)
      yield* write(other, files)
      const before = yield* fingerprint(preset(made))
      assert.strictEqual(yield* fingerprint(preset(other)), before)
      assert.notStrictEqual(yield* fingerprint(), before)
      const seen = new Set([before])
      const differs = Effect.fnUntraced(function*(what: string, changed: Preset) {
        const now = yield* fingerprint(changed)
        assert.isFalse(seen.has(now), what)
        seen.add(now)
      })
      yield* differs("options", preset(made, { word: "bye" }))
      yield* write(made, { "node_modules/words/package.json": JSON.stringify({ name: "words", version: "1.0.1" }) })
      yield* differs("a package", preset(made))
      yield* write(other, { "node_modules/deep/package.json": JSON.stringify({ name: "deep", version: "1.0.1" }) })
      yield* differs("what a package brings along", preset(other))
      yield* write(made, { "greeting.mjs": `${greeting}\n` })
      yield* differs("its module", preset(made))
    })))

  it.live("that cannot be loaded is said to be at the start", () =>
    Effect.scoped(Effect.gen(function*() {
      const made = yield* directory
      yield* write(made, { "greeting.mjs": "export const nothing = 1" })
      const failure = yield* Effect.flip(Effect.provide(Transpiler, Transpiler.layerInline({ preset: preset(made) })))
      assert.include(failure.message, "the preset greeting has no function as its default export")
    })))
})

describe("a template module", () => {
  it.live("without the preset is answered with the packages, the command and the option", () =>
    Effect.gen(function*() {
      const transpiler = yield* Transpiler
      for (const name of ["card.gts", "card.gjs"]) {
        const { message } = yield* Effect.flip(transpiler.transpile(moduleSource(name, "<template></template>")))
        for (const part of [...Object.keys(emberPackages), "npm install --save-dev", "preset: \"ember\""]) {
          assert.include(message, part)
        }
      }
    }).pipe(Effect.provide(Transpiler.layerInline()), Effect.scoped))

  it.live("with the preset, but without packages, is answered with those that are missing; others compile", () =>
    Effect.scoped(Effect.gen(function*() {
      const made = yield* directory
      yield* write(made, {
        "node_modules/content-tag/package.json": JSON.stringify({ name: "content-tag", version: "4.0.0" }),
        "node_modules/ember-source/package.json": JSON.stringify({ name: "ember-source", version: "5.12.0" })
      })
      yield* Effect.gen(function*() {
        const transpiler = yield* Transpiler
        const card = moduleSource("card.gts", "<template></template>")
        for (const task of ["transpile", "analyze", "map"] as const) {
          const { message } = yield* Effect.flip(
            Effect.asVoid<unknown, TranspileFailure, never>(transpiler[task](card))
          )
          assert.include(message, "decorator-transforms is not installed")
          assert.include(message, "ember-source is 5.12.0")
          assert.include(
            message,
            "npm install --save-dev babel-plugin-ember-template-compilation@3 decorator-transforms@2 ember-source@6"
          )
          assert.notInclude(message, "content-tag is")
        }
        yield* transpiler.transpile(moduleSource("a.ts", "export const a: number = 1"))
      }).pipe(Effect.provide(Transpiler.layerInline({ preset: ember({ from: urlOf(made) }) })))
    })))

  it("needs the packages that package.json names as optional peers, in their versions", async () => {
    const manifest: {
      readonly peerDependencies: Record<string, string>
      readonly peerDependenciesMeta: Record<string, { readonly optional?: boolean }>
    } = JSON.parse(await fs.readFile(new URL("../../package.json", import.meta.url), "utf8"))
    for (const [name, major] of Object.entries(emberPackages)) {
      assert.strictEqual(manifest.peerDependencies[name], `>=${major} <${major + 1}`)
      assert.isTrue(manifest.peerDependenciesMeta[name]?.optional)
    }
  })
})
