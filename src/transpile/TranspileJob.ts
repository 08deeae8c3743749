import type { PipelineOptions } from "./babelOptions.ts"
import type { ModuleSource } from "./ModuleSource.ts"
import type { LoadablePreset } from "./Preset.ts"

/** A message to a worker of the transpile farm. It is answered by the `Answer` of that task. */
export interface TranspileJob {
  readonly task: "transpile" | "analyze" | "map"
  /** Whatever the worker's compiler is. */
  readonly babelOnly?: true
  readonly path: string
  readonly bytes: Uint8Array
}

/** A view into a larger buffer is copied first: sent as it is, it would take the whole buffer along. A spare byte may come. */
export const transpileJob = (task: TranspileJob["task"], { bytes, path }: ModuleSource): TranspileJob => ({
  task,
  path,
  bytes: bytes.buffer.byteLength - bytes.byteLength <= 1 ? bytes : new Uint8Array(bytes)
})

/** What makes JavaScript. */
export type Compiler = "babel" | "oxc"

/** What a worker of the transpile farm is started with. */
export interface WorkerData {
  readonly compiler: Compiler
  readonly pipeline: PipelineOptions
  readonly preset: LoadablePreset | undefined
}
