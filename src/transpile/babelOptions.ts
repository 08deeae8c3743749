import type { InputOptions } from "@babel/core"
import decorators from "@babel/plugin-proposal-decorators"
import react from "@babel/preset-react"
import typescript from "@babel/preset-typescript"
import { posix } from "node:path"

/** What an operator may choose about the output. Every field is part of the fingerprint. */
export interface PipelineOptions {
  /** Package whose `/jsx-runtime` JSX compiles to, unless a file says `@jsxImportSource` itself. */
  readonly jsxImportSource: string
}

export const defaultPipelineOptions: PipelineOptions = { jsxImportSource: "react" }

/** What every module is compiled with. Nothing here may depend on the machine: no config files, no browserslist, no working directory, no environment. */
export const neutralOptions: InputOptions = {
  cwd: "/",
  root: "/",
  envName: "production",
  babelrc: false,
  configFile: false,
  browserslistConfigFile: false,
  sourceType: "module",
  sourceMaps: false,
  comments: true,
  // "auto" would reformat, and print a warning for, files over 500 KB
  compact: false,
  highlightCode: false
}

export const typescriptOptions = {
  onlyRemoveTypeImports: false,
  optimizeConstEnums: false,
  rewriteImportExtensions: false
}

/**
 * The exact Babel options for a module, by its canonical path in the realm. `transformSync(source, options(path)).code`
 * is, byte for byte, what Lockstep serves. `undefined`: the extension is not one that this pipeline compiles.
 *
 * Each extension's options are built once, because Babel caches its plugin instances by the identity of these arrays'
 * members. There is no preset-env: modern JavaScript stays as written. Imports that only name types are removed
 * (`onlyRemoveTypeImports: false`), or the result would not link. Decorators are the standard ones (2023-11); their
 * helpers are inlined, so a module imports nothing that its author did not write, except the JSX runtime. `plugins` stand
 * in for them.
 */
export const babelOptions = (
  options: PipelineOptions = defaultPipelineOptions,
  plugins: NonNullable<InputOptions["plugins"]> = [[decorators, { version: "2023-11" }]]
): (path: string) => InputOptions | undefined => {
  const ts: NonNullable<InputOptions["presets"]> = [[typescript, typescriptOptions]]
  const jsx: NonNullable<InputOptions["presets"]> = [
    [react, { runtime: "automatic", importSource: options.jsxImportSource, development: false }]
  ]
  const script = { ...neutralOptions, plugins, presets: [] }
  const byExtension: Readonly<Record<string, InputOptions>> = {
    ".js": script,
    ".mjs": script,
    ".jsx": { ...neutralOptions, plugins, presets: jsx },
    ".ts": { ...neutralOptions, plugins, presets: ts },
    ".mts": { ...neutralOptions, plugins, presets: ts },
    ".tsx": { ...neutralOptions, plugins, presets: [...jsx, ...ts] }
  }
  return (path) => {
    const found = byExtension[posix.extname(path)]
    return found && { ...found, filename: `/${path}` }
  }
}
