import { Effect, FileSystem, Path } from "effect"
import { NodeServices } from "@effect/platform-node"
import { pathToFileURL } from "node:url"
import { Transpiler } from "../../src/transpile/Transpiler.ts"
import { moduleSource } from "./moduleSource.ts"

/** Transpiles modules, writes them side by side under their own names, and lets Node link and run the first. */
export const linkedModules = Effect.fnUntraced(
  function*(modules: Readonly<Record<string, string>>) {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const transpiler = yield* Transpiler
    const directory = yield* fs.makeTempDirectoryScoped({ prefix: "lockstep-transpile-" })
    yield* fs.writeFileString(path.join(directory, "package.json"), `{"type":"module"}`)
    for (const [name, text] of Object.entries(modules)) {
      const { code } = yield* transpiler.transpile(moduleSource(name, text))
      // Node loads no .tsx and .jsx: what is tested is the JavaScript, and its imports
      yield* fs.writeFileString(path.join(directory, `${name}.mjs`), code.replaceAll(/(from "\.\/[^"]+)"/g, `$1.mjs"`))
    }
    const entry = pathToFileURL(path.join(directory, `${Object.keys(modules)[0]}.mjs`)).href
    return yield* Effect.promise((): Promise<Record<string, unknown>> => import(/* @vite-ignore */ entry))
  },
  Effect.scoped,
  Effect.provide(NodeServices.layer)
)
