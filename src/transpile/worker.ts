/** What a thread of the farm runs: the pipeline behind a message port. See `FarmWorkerOptions.entry`. */
import { Console } from "node:console"
import { Writable } from "node:stream"
import { parentPort, workerData } from "node:worker_threads"
import { makeOxcPipeline } from "./oxc/oxcPipeline.ts"
import { makePipeline, type Pipeline } from "./pipeline.ts"
import { loadPreset } from "./Preset.ts"
import type { TranspileJob, WorkerData } from "./TranspileJob.ts"

// Babel prints warnings about its users' code; here nobody would read them, and they would pile up
globalThis.console = new Console(new Writable({ write: (_chunk, _encoding, done) => done() }))

const { compiler, pipeline: options, preset }: WorkerData = workerData
const extended = preset === undefined ? (base: Pipeline) => base : await loadPreset(preset, options)
const babel = extended(makePipeline(options))
const pipeline = compiler === "oxc" ? extended(makeOxcPipeline(await import("oxc-transform"), options)) : babel

// Cold, the first module takes ten times as long: run every plugin once before counting as ready.
const samples = {
  "warm.ts": `
    import { type A, b } from "./b.ts"
    export enum Color { Red, Green = "g" }
    export namespace Space { export const x: number = b }
    @b export abstract class C<T> { @b accessor y = 1; constructor(private readonly t: T) {} }
    export const f = async <T>(x: T, ...rest: Array<A>) => ({ ...(x as object), rest: rest.map((a) => a?.b ?? 0) })`,
  "warm.tsx": `
    import type { Props } from "./props.ts"
    export const Card = ({ name, ...rest }: Props) => <><h1 {...rest}>{name}</h1>{[1].map((n) => <p key={n}/>)}</>`
}
for (const [path, source] of Object.entries(samples)) {
  const bytes = new TextEncoder().encode(source)
  babel.transpile(path, bytes)
  babel.analyze(path, bytes)
  if (pipeline !== babel) pipeline.transpile(path, bytes)
}

parentPort?.on("message", ({ babelOnly, bytes, path, task }: TranspileJob) => {
  parentPort?.postMessage((babelOnly ? babel : pipeline)[task](path, bytes))
})
parentPort?.postMessage("warm")
