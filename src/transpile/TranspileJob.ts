import type { PipelineOptions } from "./babelOptions.ts"

/** A message to a worker of the transpile farm. It is answered by the `Answer` of that task. */
export interface TranspileJob {
  readonly task: "transpile" | "analyze"
  readonly path: string
  readonly bytes: Uint8Array
}

/** What a worker of the transpile farm is started with. */
export interface WorkerData {
  readonly pipeline: PipelineOptions
}
