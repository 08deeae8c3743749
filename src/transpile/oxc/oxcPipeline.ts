import type { TransformOptions } from "oxc-transform"
import { posix } from "node:path"
import type { PipelineOptions } from "../babelOptions.ts"
import { decodeSource } from "../decodeSource.ts"
import { makePipeline, type Pipeline, sourceMapOf } from "../pipeline.ts"
import { importsOf } from "./importsOf.ts"
import { type Language, needsBabel } from "./needsBabel.ts"

export type Oxc = typeof import("oxc-transform")

const languages: Readonly<Record<string, Language>> = {
  ".js": "js",
  ".mjs": "js",
  ".jsx": "jsx",
  ".ts": "ts",
  ".mts": "ts",
  ".tsx": "tsx"
}

/** As `babelOptions` says it for Babel: modern JavaScript stays as written, imports of types alone are removed. */
const transformOptions = (options: PipelineOptions): TransformOptions => ({
  cwd: "/",
  sourceType: "module",
  target: "esnext",
  typescript: {
    onlyRemoveTypeImports: false,
    optimizeConstEnums: false,
    optimizeEnums: false,
    rewriteImportExtensions: false
  },
  jsx: { runtime: "automatic", importSource: options.jsxImportSource, development: false }
})

/**
 * oxc where it does the same as Babel, and Babel for all else: for syntax that `needsBabel` names, and for a module in
 * which oxc finds anything wrong, or for which it wants helpers of a package. So a fault is always told in Babel's words.
 * Analyses are Babel's.
 */
export const makeOxcPipeline = (oxc: Oxc, options: PipelineOptions): Pipeline => {
  const babel = makePipeline(options)
  const base = transformOptions(options)

  /** None: the module is Babel's. The same for its code and its map. */
  const compile = (path: string, bytes: Uint8Array, sourcemap: boolean) => {
    const lang = /\.d\.m?ts$/.test(path) ? undefined : languages[posix.extname(path)]
    if (lang === undefined) return undefined
    try {
      const source = decodeSource(bytes)
      if (needsBabel(lang, source)) return undefined
      const result = oxc.transformSync(`/${path}`, source, { ...base, lang, sourcemap })
      return result.errors.length > 0 || Object.keys(result.helpersUsed).length > 0 ? undefined : { ...result, source }
    } catch {
      return undefined
    }
  }

  return {
    analyze: babel.analyze,
    transpile: (path, bytes) => {
      const compiled = compile(path, bytes, false)
      if (compiled === undefined) return babel.transpile(path, bytes)
      const { code } = compiled
      return { _tag: "Done", value: { code, dependencies: importsOf(oxc, code) } }
    },
    map: (path, bytes) => {
      const compiled = compile(path, bytes, true)
      if (compiled?.map === undefined) return babel.map(path, bytes)
      const { code, map, source } = compiled
      return { _tag: "Done", value: { code, map: sourceMapOf(path, source, map) } }
    }
  }
}
