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

/** Nothing here may depend on the machine: no config files, no browserslist, no working directory, no environment. */
const neutral: InputOptions = {
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

/**
 * The exact Babel options for a module, by its canonical path in the realm. `transformSync(source, options(path)).code`
 * is, byte for byte, what Lockstep serves. `undefined`: the extension is not one that this pipeline compiles.
 *
 * Each extension's options are built once, because Babel caches its plugin instances by the identity of these arrays'
 * members. There is no preset-env: modern JavaScript stays as written. Imports that only name types are removed
 * (`onlyRemoveTypeImports: false`), or the result would not link. Decorators are the standard ones (2023-11); their
 * helpers are inlined, so a module imports nothing that its author did not write, except the JSX runtime.
 */
export const babelOptions = (
  options: PipelineOptions = defaultPipelineOptions
): (path: string) => InputOptions | undefined => {
  const plugins: NonNullable<InputOptions["plugins"]> = [[decorators, { version: "2023-11" }]]
  const ts: NonNullable<InputOptions["presets"]> = [
    [typescript, { onlyRemoveTypeImports: false, optimizeConstEnums: false, rewriteImportExtensions: false }]
  ]
  const jsx: NonNullable<InputOptions["presets"]> = [
    [react, { runtime: "automatic", importSource: options.jsxImportSource, development: false }]
  ]
  const script = { ...neutral, plugins, presets: [] }
  const byExtension: Readonly<Record<string, InputOptions>> = {
    ".js": script,
    ".mjs": script,
    ".jsx": { ...neutral, plugins, presets: jsx },
    ".ts": { ...neutral, plugins, presets: ts },
    ".mts": { ...neutral, plugins, presets: ts },
    ".tsx": { ...neutral, plugins, presets: [...jsx, ...ts] }
  }
  return (path) => {
    const found = byExtension[posix.extname(path)]
    return found && { ...found, filename: `/${path}` }
  }
}
