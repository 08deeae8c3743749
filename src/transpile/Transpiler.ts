import { Context, Duration, Effect, Exit, type Latch, Layer } from "effect"
import { availableParallelism } from "node:os"
import { Background } from "../domain/Background.ts"
import { liveGauge, timed, transpileDuration, transpileQueueDepth, transpilesRunning } from "../domain/Metrics.ts"
import type { ModuleAnalysis } from "./analysis/ModuleAnalysis.ts"
import { defaultPipelineOptions, type PipelineOptions } from "./babelOptions.ts"
import type { FarmFailure } from "./FarmPlace.ts"
import { fingerprintOf } from "./fingerprint.ts"
import type { ModuleSource } from "./ModuleSource.ts"
import { loadable, loadPreset, type Preset } from "./Preset.ts"
import { makePipeline, type Answer, type Mapped, type Transpiled } from "./pipeline.ts"
import { TranspileError, type TranspileFailure, TranspilerUnavailable, TranspileTimeout } from "./TranspileFailure.ts"
import { type Compiler, transpileJob, type TranspileJob, type WorkerData } from "./TranspileJob.ts"
import * as WorkerFarm from "./WorkerFarm.ts"
import type { Load } from "./WorkerFarm.ts"

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
export { ember, type EmberOptions } from "./ember/ember.ts"
export type { ModuleSource } from "./ModuleSource.ts"
export type { Answer, Mapped, Pipeline, Transpiled } from "./pipeline.ts"
export type { Preset, PresetContext, PresetModule } from "./Preset.ts"
export type { Problem } from "./Problem.ts"
export { TranspileError, type TranspileFailure, TranspilerUnavailable, TranspileTimeout } from "./TranspileFailure.ts"
export type { Compiler } from "./TranspileJob.ts"

/** What decides the output. */
export interface InlineOptions {
  /** See `PipelineOptions`. Default `react`. */
  readonly jsxImportSource?: string | undefined
  /** Compiles some modules in another way, such as `ember()`. Default: none. */
  readonly preset?: Preset | undefined
}

/** The same, and how many may work for how long. */
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
  /** The source map of what `transpile` makes of this source. */
  readonly map: (source: ModuleSource) => Effect.Effect<Mapped, TranspileFailure>
  /** Equal on two machines exactly if they produce the same output from the same source. Part of content keys. */
  readonly fingerprint: string
  /** What its workers have to do, where it has workers. */
  readonly load?: () => Load
}>()("lockstep/transpile/Transpiler") {
  /** Babel in worker threads. Ready when the first is warm; fails if none starts. */
  static readonly layer = (options: TranspilerOptions = {}): Layer.Layer<Transpiler, TranspilerUnavailable> =>
    Layer.effect(Transpiler, makeFarm("babel", options))

  /**
   * oxc-transform, an optional dependency, in worker processes: several times Babel's speed. Modules that it would compile
   * otherwise than Babel go to Babel, in the same processes; `needsBabel` says which. Fails if oxc-transform is not
   * installed, and as `layer` does. docs/TRANSPILERS.md has the differences in the output.
   */
  static readonly layerOxc = (options: TranspilerOptions = {}): Layer.Layer<Transpiler, TranspilerUnavailable> =>
    Layer.effect(Transpiler, Effect.andThen(oxcIsThere, makeFarm("oxc", options)))

  /**
   * The same pipeline in the calling thread, which it blocks; it can hold no module to a deadline. Fails if a preset cannot
   * be loaded.
   */
  static readonly layerInline = (options: InlineOptions = {}): Layer.Layer<Transpiler, TranspilerUnavailable> =>
    Layer.effect(Transpiler, makeInline(options))
}

const pipelineOptions = (options: InlineOptions): PipelineOptions => ({
  jsxImportSource: options.jsxImportSource ?? defaultPipelineOptions.jsxImportSource
})

/** Native code is loaded here once, so that a machine without it hears of it at the start, and why. */
const oxcIsThere = Effect.tryPromise({
  try: () => import("oxc-transform"),
  catch: (cause) =>
    new TranspilerUnavailable({
      reason: "start",
      detail: "oxc-transform cannot be loaded: install it for this platform (npm install oxc-transform), or choose " +
        `--transpiler babel (${cause instanceof Error ? cause.message.split("\n", 1)[0] : String(cause)})`
    })
})

/** A preset whose packages are missing is no reason not to start: it concerns its modules alone. */
const warnOfLacks = ({ preset }: InlineOptions) => {
  const lack = preset?.lacks?.(loadable(preset).from)
  return lack === undefined ? Effect.void : Effect.logWarning(lack)
}

const makeFarm = Effect.fnUntraced(function*(compiler: Compiler, options: TranspilerOptions) {
  const pipeline = pipelineOptions(options)
  const { preset } = options
  yield* warnOfLacks(options)
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "20 seconds")
  const farm = yield* Effect.mapError(
    WorkerFarm.make<TranspileJob, TaskAnswer>({
      // .ts when run from source, .js when built: whatever this file is
      entry: new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url),
      workerData: { compiler, pipeline, preset: preset && loadable(preset) } satisfies WorkerData,
      place: compiler === "oxc" ? "process" : "thread",
      workers: Math.max(1, options.workers ?? Math.min(8, availableParallelism() - 1)),
      timeout,
      queueLimit: options.queueLimit ?? 10_000,
      heapMb: options.maxHeapMb ?? 2_048
    }),
    unavailable
  )
  yield* liveGauge(transpileQueueDepth, () => farm.load().waiting)
  yield* liveGauge(transpilesRunning, () => farm.load().running)
  const run = (task: TranspileJob["task"], source: ModuleSource, background: Latch.Latch | undefined) => {
    const job = transpileJob(task, source)
    if (compiler === "babel") return farm.run(source.group, job, background)
    // Native code overflows its stack where Babel says that a module is nested too deeply: then Babel has the word. Only
    // what ends a process twice is to blame, not what was in it when the system, or somebody, took it away.
    return farm.run(source.group, job, background).pipe(
      Effect.retry({ times: 1, while: hasDied }),
      Effect.catchIf(hasDied, () => farm.run(source.group, { ...job, babelOnly: true }, background))
    )
  }
  const made = service(fingerprintOf(compiler, pipeline, preset), (task, source) =>
    Effect.mapError(
      Effect.flatMap(Background, (background) => run(task, source, background)),
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
  return { ...made, load: farm.load }
})

const hasDied = ({ reason }: FarmFailure) => reason === "died"

const makeInline = Effect.fnUntraced(function*(options: InlineOptions) {
  const pipeline = pipelineOptions(options)
  const { preset } = options
  const base = makePipeline(pipeline)
  yield* warnOfLacks(options)
  const inline = preset === undefined ? base : yield* Effect.tryPromise({
    try: async () => (await loadPreset(loadable(preset), pipeline))(base),
    catch: (cause) =>
      new TranspilerUnavailable({ reason: "start", detail: `the preset ${preset.name}: ${String(cause)}` })
  })
  return service(
    fingerprintOf("babel", pipeline, preset),
    (task, { bytes, path }) => Effect.sync(() => inline[task](path, bytes))
  )
})

type TaskAnswer = Answer<Transpiled> | Answer<ModuleAnalysis> | Answer<Mapped>

const service = (
  fingerprint: string,
  answerTo: (task: TranspileJob["task"], source: ModuleSource) => Effect.Effect<TaskAnswer, TranspileFailure>
): Transpiler["Service"] => {
  const valueOf = Effect.fnUntraced(function*(task: TranspileJob["task"], source: ModuleSource) {
    const answer = yield* timed<TaskAnswer, TranspileFailure>((exit) =>
      transpileDuration({ task, outcome: Exit.isSuccess(exit) && exit.value._tag === "Done" ? "ok" : "error" })
    )(answerTo(task, source))
    return answer._tag === "Done"
      ? answer.value
      : yield* new TranspileError({ path: source.path, ...answer.problem })
  })
  return {
    fingerprint,
    transpile: Effect.fn("Transpiler.transpile")(function*(source) {
      yield* Effect.annotateCurrentSpan({ "realm.url": source.group, "module.path": source.path })
      const value = yield* valueOf("transpile", source)
      return "dependencies" in value && "code" in value ? value : yield* misanswered
    }),
    map: Effect.fn("Transpiler.map")(function*(source) {
      yield* Effect.annotateCurrentSpan({ "realm.url": source.group, "module.path": source.path })
      const value = yield* valueOf("map", source)
      return "map" in value ? value : yield* misanswered
    }),
    analyze: Effect.fn("Transpiler.analyze")(function*(source) {
      yield* Effect.annotateCurrentSpan({ "realm.url": source.group, "module.path": source.path })
      const value = yield* valueOf("analyze", source)
      return "exports" in value ? value : yield* misanswered
    })
  }
}

const misanswered = Effect.die("a task of the farm was answered as another")

const outOfMemory = (failure: FarmFailure) => `cannot be transpiled: ${failure.detail}`

const unavailable = ({ detail, reason }: FarmFailure): TranspilerUnavailable =>
  new TranspilerUnavailable({
    reason: reason === "full" || reason === "start" || reason === "closed" ? reason : "died",
    detail
  })
