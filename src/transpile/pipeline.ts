import { parseSync, transformFromAstSync, type InputOptions, type types as t } from "@babel/core"
import { analyze } from "./analysis/analyze.ts"
import type { ModuleAnalysis } from "./analysis/ModuleAnalysis.ts"
import { babelOptions, type PipelineOptions } from "./babelOptions.ts"
import { decodeSource } from "./decodeSource.ts"
import { dependenciesOf } from "./dependencies.ts"
import { CodeFault, problemOf, type Problem } from "./Problem.ts"
import { rejectMiscompiled } from "./rejectMiscompiled.ts"

export interface Transpiled {
  /** An ES module. */
  readonly code: string
  /** Specifiers as written in `code`, each once, in order: static and literal dynamic imports, and re-exports. */
  readonly dependencies: ReadonlyArray<string>
}

/** Plain data, so that it can cross from a worker thread. */
export type Answer<A> =
  | { readonly _tag: "Done"; readonly value: A }
  | { readonly _tag: "Rejected"; readonly problem: Problem }

/** Functions of path, bytes and options alone: no clock, files, environment or machine. They never throw. */
export interface Pipeline {
  readonly transpile: (path: string, bytes: Uint8Array) => Answer<Transpiled>
  readonly analyze: (path: string, bytes: Uint8Array) => Answer<ModuleAnalysis>
}

export const makePipeline = (options: PipelineOptions): Pipeline => {
  const optionsFor = babelOptions(options)

  const run = <A>(path: string, bytes: Uint8Array, work: (source: string, babel: InputOptions) => A): Answer<A> => {
    let source: string | undefined
    try {
      const babel = supported(path, optionsFor)
      source = decodeSource(bytes)
      return { _tag: "Done", value: work(source, babel) }
    } catch (thrown) {
      return { _tag: "Rejected", problem: problemOf(thrown, path, source) }
    }
  }

  return {
    analyze: (path, bytes) => run(path, bytes, (source, babel) => analyze(parse(source, babel), source)),
    transpile: (path, bytes) =>
      run(path, bytes, (source, babel) => {
        const ast = parse(source, babel)
        rejectMiscompiled(ast, () => parse(source, babel))
        // the tree is ours alone: cloning it would cost as much again
        const result = transformFromAstSync(ast, source, { ...babel, ast: true, cloneInputAst: false })
        const code = result?.code ?? ""
        return { code, dependencies: result?.ast ? dependenciesOf(result.ast, code) : [] }
      })
  }
}

const parse = (source: string, babel: InputOptions): t.File => {
  const ast = parseSync(source, babel)
  if (ast === null) throw new CodeFault("is ignored by Babel")
  return ast
}

const supported = (path: string, optionsFor: (path: string) => InputOptions | undefined): InputOptions => {
  if (/\.d\.m?ts$/.test(path)) throw new CodeFault("is a declaration file: it has types only, and no JavaScript")
  if (/\.g[jt]s$/.test(path)) {
    throw new CodeFault("template modules (.gts, .gjs) need a preset that is not installed yet")
  }
  const babel = optionsFor(path)
  if (babel === undefined) throw new CodeFault("is not a module: its extension is none of .ts .tsx .mts .js .jsx .mjs")
  return babel
}
