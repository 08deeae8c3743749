import { parseSync, transformFromAstSync, type InputOptions, type types as t } from "@babel/core"
import { posix } from "node:path"
import { analyze } from "./analysis/analyze.ts"
import type { ModuleAnalysis } from "./analysis/ModuleAnalysis.ts"
import { babelOptions, type PipelineOptions } from "./babelOptions.ts"
import { decodeSource } from "./decodeSource.ts"
import { dependenciesOf } from "./dependencies.ts"
import { howToHaveTemplates } from "./ember/packages.ts"
import { CodeFault, problemOf, type Problem } from "./Problem.ts"
import { rejectMiscompiled } from "./rejectMiscompiled.ts"

/** A module as JavaScript. */
export interface Transpiled {
  /** An ES module. */
  readonly code: string
  /** Specifiers as written in `code`, each once, in order: static and literal dynamic imports, and re-exports. */
  readonly dependencies: ReadonlyArray<string>
}

/** A module's source map, and the code that it belongs to: the same as `Transpiled` has. */
export interface Mapped {
  readonly code: string
  /** JSON (ECMA-426). It names the source by its file name alone, and has its text. */
  readonly map: string
}

/** Plain data, so that it can cross from a worker thread. */
export type Answer<A> =
  | { readonly _tag: "Done"; readonly value: A }
  | { readonly _tag: "Rejected"; readonly problem: Problem }

/** Functions of path, bytes and options alone: no clock, files, environment or machine. They never throw. */
export interface Pipeline {
  readonly transpile: (path: string, bytes: Uint8Array) => Answer<Transpiled>
  readonly analyze: (path: string, bytes: Uint8Array) => Answer<ModuleAnalysis>
  readonly map: (path: string, bytes: Uint8Array) => Answer<Mapped>
}

/** How Babel reads and compiles one language. */
export interface Dialect {
  /** Babel's options for a module of this path; throws a `CodeFault` for a path that it has none for. */
  readonly optionsFor: (path: string) => InputOptions
  /** By default Babel's own parser, on the source as it is. Positions in the tree are positions in the source. */
  readonly parse?: (source: string, babel: InputOptions) => t.File
  /** What is done to the tree that is compiled, and not to the one that is analysed. */
  readonly prepare?: (ast: t.File, source: string) => void
}

export const makePipeline = (options: PipelineOptions): Pipeline => {
  return makeBabelPipeline({ optionsFor: supportedBy(babelOptions(options)) })
}

export const makeBabelPipeline = ({ optionsFor, parse = parseWithBabel, prepare }: Dialect): Pipeline => {
  const run = <A>(path: string, bytes: Uint8Array, work: (source: string, babel: InputOptions) => A): Answer<A> => {
    let source: string | undefined
    try {
      const babel = optionsFor(path)
      source = decodeSource(bytes)
      return { _tag: "Done", value: work(source, babel) }
    } catch (thrown) {
      return { _tag: "Rejected", problem: problemOf(thrown, path, source) }
    }
  }

  const transform = (source: string, babel: InputOptions) => {
    const ast = parse(source, babel)
    rejectMiscompiled(ast, () => parse(source, babel))
    prepare?.(ast, source)
    // the tree is ours alone: cloning it would cost as much again
    return transformFromAstSync(ast, source, { ...babel, cloneInputAst: false })
  }

  return {
    analyze: (path, bytes) => run(path, bytes, (source, babel) => analyze(parse(source, babel), source)),
    transpile: (path, bytes) =>
      run(path, bytes, (source, babel) => {
        const result = transform(source, { ...babel, ast: true })
        const code = result?.code ?? ""
        return { code, dependencies: result?.ast ? dependenciesOf(result.ast, code) : [] }
      }),
    map: (path, bytes) =>
      run(path, bytes, (source, babel) => {
        // a map that the source's author names is none of ours, and Babel would look for it among the machine's files
        const result = transform(source, { ...babel, sourceMaps: true, inputSourceMap: false })
        if (!result?.map) throw new CodeFault("has no source map")
        return { code: result.code ?? "", map: sourceMapOf(path, source, result.map) }
      })
  }
}

/** A map as it is served, whoever made it: beside the module, so that names are relative to it. */
export const sourceMapOf = (
  path: string,
  source: string,
  { mappings, names }: { readonly mappings: string; readonly names: ReadonlyArray<string> }
): string => {
  // a name with a colon would be taken for a URL
  const file = encodeURIComponent(posix.basename(path))
  return JSON.stringify({ version: 3, file, sources: [file], sourcesContent: [source], names, mappings })
}

export const parseWithBabel = (source: string, babel: InputOptions): t.File => {
  const ast = parseSync(source, babel)
  if (ast === null) throw new CodeFault("is ignored by Babel")
  return ast
}

/** Says of a path that has no options why. */
export const supportedBy = (optionsFor: (path: string) => InputOptions | undefined) => (path: string): InputOptions => {
  if (/\.d\.m?ts$/.test(path)) throw new CodeFault("is a declaration file: it has types only, and no JavaScript")
  if (/\.g[jt]s$/.test(path)) throw new CodeFault(howToHaveTemplates)
  const babel = optionsFor(path)
  if (babel === undefined) throw new CodeFault("is not a module: its extension is none of .ts .tsx .mts .js .jsx .mjs")
  return babel
}
