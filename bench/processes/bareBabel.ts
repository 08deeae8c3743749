/** The replicas' own Babel pipeline and nothing else: no HTTP, no threads, no database, no cache. */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import { defaultPipelineOptions } from "../../src/transpile/babelOptions.ts"
import { makePipeline } from "../../src/transpile/pipeline.ts"
import { answerParent } from "./answerParent.ts"

export interface Transpiling {
  readonly directory: string
  readonly modules: ReadonlyArray<string>
}

export interface TranspiledAll {
  readonly millis: number
  /** SHA-256 of each module's JavaScript. */
  readonly hashes: Readonly<Record<string, string>>
}

const pipeline = makePipeline(defaultPipelineOptions)

const transpile = (module: string, bytes: Uint8Array): string => {
  const answer = pipeline.transpile(module, bytes)
  if (answer._tag === "Rejected") throw new Error(`${module} ${JSON.stringify(answer.problem)}`)
  return answer.value.code
}

// As warm as a replica's thread is when the replica begins to answer.
const warm = new TextEncoder().encode("@a export class A<T> { constructor(private readonly b: T) {} }")
for (const name of ["warm.ts", "warm.tsx"]) transpile(name, warm)

answerParent(({ directory, modules }: Transpiling): TranspiledAll => {
  const start = performance.now()
  const outputs = modules.map((module) =>
    [module, transpile(module, readFileSync(path.join(directory, module)))] as const
  )
  const millis = performance.now() - start
  const hash = (code: string) => createHash("sha256").update(code).digest("hex")
  return { millis, hashes: Object.fromEntries(outputs.map(([module, code]) => [module, hash(code)])) }
})
