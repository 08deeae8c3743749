import * as oxc from "oxc-transform"
import { defaultPipelineOptions } from "../../src/transpile/babelOptions.ts"
import { makeOxcPipeline } from "../../src/transpile/oxc/oxcPipeline.ts"
import { makePipeline } from "../../src/transpile/pipeline.ts"

/** Both compilers in this thread. */
export const compilers = {
  babel: makePipeline(defaultPipelineOptions),
  oxc: makeOxcPipeline(oxc, defaultPipelineOptions)
}

export type CompilerName = keyof typeof compilers

export const compile = (compiler: CompilerName, path: string, source: string | Uint8Array) => {
  const bytes = typeof source === "string" ? new TextEncoder().encode(source) : source
  return compilers[compiler].transpile(path, bytes)
}

/** The code and dependencies of a module that must compile. */
export const compiled = (compiler: CompilerName, path: string, source: string | Uint8Array) => {
  const answer = compile(compiler, path, source)
  if (answer._tag === "Rejected") throw new Error(`${compiler} rejects ${path}: ${JSON.stringify(answer.problem)}`)
  return answer.value
}
