import { Context, Duration, Effect, Layer } from "effect"
import { availableParallelism } from "node:os"
import { Background } from "../domain/Background.ts"
import type { ModuleAnalysis } from "./analysis/ModuleAnalysis.ts"
import { defaultPipelineOptions, type PipelineOptions } from "./babelOptions.ts"
import type { FarmFailure } from "./FarmWorker.ts"
import { fingerprintOf } from "./fingerprint.ts"
import type { ModuleSource } from "./ModuleSource.ts"
import { makePipeline, type Answer, type Transpiled } from "./pipeline.ts"
import { TranspileError, type TranspileFailure, TranspilerUnavailable, TranspileTimeout } from "./TranspileFailure.ts"
import { transpileJob, type TranspileJob, type WorkerData } from "./TranspileJob.ts"
import * as WorkerFarm from "./WorkerFarm.ts"

// what a caller of the service meets, in one import
export type {
  ClassMember,
  ClassShape,
  ExportKind,
  ModuleAnalysis,
  ModuleExport,
  WrittenDecorator,
  WrittenRef
} from "./analysis/ModuleAnalysis.ts"
export type { ModuleSource } from "./ModuleSource.ts"
export type { Transpiled } from "./pipeline.ts"
export { TranspileError, type TranspileFailure, TranspilerUnavailable, TranspileTimeout } from "./TranspileFailure.ts"

export interface InlineOptions {
  /** See `PipelineOptions`. Default `react`. */
  readonly jsxImportSource?: string | undefined
}

export interface TranspilerOptions extends InlineOptions {
  /**
   * Threads. By default one less than the cores, so that the event loop, which answers from memory, keeps a core to
   * itself; at least 1, and at most 8, because each costs about 120 MB.
   */
  readonly workers?: number | undefined
  /** How long one module may take once a worker has begun it. Default 20 s. */
  readonly timeout?: Duration.Input | undefined
  /** How many modules may wait for a worker before others are refused. Default 10,000. */
  readonly queueLimit?: number | undefined
  /** JavaScript heap of one worker. Default 2,048 MB: 5 MB of dense code needs about 1,300. */
  readonly maxHeapMb?: number | undefined
}

/** Turns a module's source into the JavaScript that is served, and tells what it exports. */
export class Transpiler extends Context.Service<Transpiler, {
  /** Compiles one module. The output depends on the path, the bytes and the options alone: see `babelOptions`. */
  readonly transpile: (source: ModuleSource) => Effect.Effect<Transpiled, TranspileFailure>
  /** One module's exports, classes and imports, without following them. */
  readonly analyze: (source: ModuleSource) => Effect.Effect<ModuleAnalysis, TranspileFailure>
  /** Equal on two machines exactly if they produce the same output from the same source. Part of content keys. */
  readonly fingerprint: string
}>()("lockstep/transpile/Transpiler") {
  /** Babel in worker threads. Ready when the first is warm; fails if none starts. */
  static readonly layer = (options: TranspilerOptions = {}): Layer.Layer<Transpiler, TranspilerUnavailable> =>
    Layer.effect(Transpiler, makeFarm(options))

  /** The same pipeline in the calling thread, which it blocks; it can hold no module to a deadline. */
  static readonly layerInline = (options: InlineOptions = {}): Layer.Layer<Transpiler> =>
    Layer.sync(Transpiler, () => makeInline(pipelineOptions(options)))
}

const pipelineOptions = (options: InlineOptions): PipelineOptions => ({
  jsxImportSource: options.jsxImportSource ?? defaultPipelineOptions.jsxImportSource
})

const makeFarm = Effect.fnUntraced(function*(options: TranspilerOptions) {
  const pipeline = pipelineOptions(options)
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "20 seconds")
  const farm = yield* Effect.mapError(
    WorkerFarm.make<TranspileJob, TaskAnswer>({
      // .ts when run from source, .js when built: whatever this file is
      entry: new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url),
      workerData: { pipeline } satisfies WorkerData,
      workers: Math.max(1, options.workers ?? Math.min(8, availableParallelism() - 1)),
      timeout,
      queueLimit: options.queueLimit ?? 10_000,
      heapMb: options.maxHeapMb ?? 2_048
    }),
    unavailable
  )
  return service(pipeline, (task, source) =>
    Effect.mapError(
      Effect.flatMap(Background, (background) => farm.run(source.group, transpileJob(task, source), background)),
      (failure) => {
        if (failure.reason === "timeout") {
          return new TranspileTimeout({ path: source.path, limit: Duration.toMillis(timeout) })
        }
        // a heap is empty between modules, so the module that fills it will do so again: no use in a retry
        if (failure.reason === "memory") {
          return new TranspileError({ path: source.path, detail: outOfMemory(failure) })
        }
        return unavailable(failure)
      }
    ))
})

const makeInline = (pipeline: PipelineOptions) => {
  const { analyze, transpile } = makePipeline(pipeline)
  return service(
    pipeline,
    (task, { bytes, path }) => Effect.sync(() => task === "transpile" ? transpile(path, bytes) : analyze(path, bytes))
  )
}

type TaskAnswer = Answer<Transpiled> | Answer<ModuleAnalysis>

const service = (
  pipeline: PipelineOptions,
  answerTo: (task: TranspileJob["task"], source: ModuleSource) => Effect.Effect<TaskAnswer, TranspileFailure>
): Transpiler["Service"] => {
  const valueOf = Effect.fnUntraced(function*(task: TranspileJob["task"], source: ModuleSource) {
    const answer = yield* answerTo(task, source)
    return answer._tag === "Done"
      ? answer.value
      : yield* new TranspileError({ path: source.path, ...answer.problem })
  })
  return {
    fingerprint: fingerprintOf(pipeline),
    transpile: Effect.fn("Transpiler.transpile")(function*(source) {
      yield* Effect.annotateCurrentSpan({ "realm.url": source.group, "module.path": source.path })
      const value = yield* valueOf("transpile", source)
      return "code" in value ? value : yield* Effect.die("a transpile was answered by an analysis")
    }),
    analyze: Effect.fn("Transpiler.analyze")(function*(source) {
      yield* Effect.annotateCurrentSpan({ "realm.url": source.group, "module.path": source.path })
      const value = yield* valueOf("analyze", source)
      return "exports" in value ? value : yield* Effect.die("an analysis was answered by a transpile")
    })
  }
}

const outOfMemory = (failure: FarmFailure) => `cannot be transpiled: ${failure.detail}`

const unavailable = ({ detail, reason }: FarmFailure): TranspilerUnavailable =>
  new TranspilerUnavailable({
    reason: reason === "full" || reason === "start" || reason === "closed" ? reason : "died",
    detail
  })
