import { pathToFileURL } from "node:url"
import type { PipelineOptions } from "./babelOptions.ts"
import type { Pipeline } from "./pipeline.ts"
import { problemOf } from "./Problem.ts"

/**
 * A further way to compile some modules, in front of Babel or oxc and in the same workers. It is plain data, because it
 * travels to them; what works is the module that it names.
 */
export interface Preset {
  /** What it is called in messages. Part of the fingerprint. */
  readonly name: string
  /** URL of the module that each worker imports. Its default export is a `PresetModule`. Its bytes are part of the fingerprint. */
  readonly module: string | URL
  /** Handed to the module as it is: JSON. Part of the fingerprint. */
  readonly options?: unknown
  /** Packages that decide the output. Their versions, and those of what they bring along, are part of the fingerprint. */
  readonly packages?: ReadonlyArray<string>
  /** Directory, as a URL that ends in a slash, that packages are resolved from. Default: the working directory. */
  readonly from?: string | URL
  /** Says what of it cannot work when its packages are resolved from there. It is logged at the start. */
  readonly lacks?: (from: string) => string | undefined
}

/**
 * What a preset's module exports as its default: once in each worker it gets the options, and where packages are resolved
 * from; what it returns gets the pipeline that would compile a module without it, and returns the one that does. Modules
 * that are not its own it leaves to the first.
 */
export type PresetModule<Options = unknown> = (options: Options, context: PresetContext) => Extend | Promise<Extend>

type Extend = (base: Pipeline) => Pipeline

/** What a preset's module is told beside its own options. */
export interface PresetContext {
  /** Directory, as a URL, that the preset's packages are resolved from. */
  readonly from: string
  /** How other modules are compiled. */
  readonly pipeline: PipelineOptions
}

/** A preset as it travels to a worker. */
export interface LoadablePreset {
  readonly name: string
  readonly module: string
  readonly options: unknown
  readonly from: string
}

export const loadable = (preset: Preset): LoadablePreset => ({
  name: preset.name,
  module: String(preset.module),
  options: preset.options,
  from: String(preset.from ?? pathToFileURL(`${process.cwd()}/`))
})

/** Imports a preset. Whatever it throws at a module is a fault of that module. */
export const loadPreset = async (
  { from, module, name, options }: LoadablePreset,
  pipeline: PipelineOptions
): Promise<Extend> => {
  const loaded: { readonly default?: PresetModule } = await import(module)
  if (typeof loaded.default !== "function") throw new Error(`the preset ${name} has no function as its default export`)
  const extend = await loaded.default(options, { from, pipeline })
  return (base) => {
    const pipeline = extend(base)
    const guarded = <A>(task: (path: string, bytes: Uint8Array) => A) => (path: string, bytes: Uint8Array) => {
      try {
        return task(path, bytes)
      } catch (thrown) {
        return { _tag: "Rejected" as const, problem: problemOf(thrown, path, Buffer.from(bytes).toString()) }
      }
    }
    return {
      transpile: guarded(pipeline.transpile),
      analyze: guarded(pipeline.analyze),
      map: guarded(pipeline.map)
    }
  }
}
