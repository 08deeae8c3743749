import { Context, Data, type Effect, type Option, type Scope } from "effect"

/** What is to be rendered: a module's export with a model, or a module alone. */
export interface Renderable {
  /** URL of the module. */
  readonly module: string
  /** The export that the instance adopts from; undefined for a module that renders alone. */
  readonly name: string | undefined
  /** The instance's attributes. */
  readonly model: unknown
}

/** A module as it is handed to a renderer, which cannot fetch anything by itself. */
export interface LoadedModule {
  /** Transpiled JavaScript. */
  readonly code: string
}

/** Why there is no HTML. `timeout`, `memory` and `crash`: the code was ended by force. */
export class RenderFailure extends Data.TaggedError("RenderFailure")<{
  readonly reason: "error" | "timeout" | "memory" | "crash" | "output" | "unavailable"
  readonly detail: string
}> {
  override get message() {
    return this.detail
  }
}

/**
 * Gives a module's JavaScript, by its URL; or says why not, which is the importing code's error. It is asked for every
 * module of every rendering, so that whoever gives them knows what each was made from.
 */
export type LoadModule = (url: string) => Effect.Effect<LoadedModule, RenderFailure>

/** Renders one thing at a time. None: the module exports no `isolated`, and so renders nothing alone. */
export interface Renderer {
  readonly render: (
    renderable: Renderable,
    load: LoadModule
  ) => Effect.Effect<Option.Option<string>, RenderFailure>
}

/** How much code may use before it is ended. */
export interface RenderLimits {
  /** Milliseconds for one rendering, without the time that its modules take to come. */
  readonly timeoutMillis: number
  /** V8's heap, in mebibytes. The process as a whole may take 3 GB of address space. */
  readonly heapMb: number
  /** Longest HTML, in characters. */
  readonly outputLength: number
  /** How many modules one rendering may import. */
  readonly modules: number
}

/** The bounds of a rendering where nothing else is said. */
export const defaultLimits: RenderLimits = {
  timeoutMillis: 5000,
  heapMb: 128,
  outputLength: 2 * 1024 * 1024,
  modules: 2000
}

/**
 * Runs code of realms' authors that nobody has read, to HTML. The code sees no files, no network, no other process, no
 * environment; it costs its own entry at most. Layers: `layerIsolated` (a Node process) and `layerChromium`.
 */
export class Prerenderer extends Context.Service<Prerenderer, {
  /** Stands for everything that a rendering depends on beside the modules and the model. */
  readonly fingerprint: string
  /** A renderer for the code of one realm, until the scope closes. Realms do not share one. */
  readonly open: Effect.Effect<Renderer, RenderFailure, Scope.Scope>
}>()("lockstep/reindex/Prerenderer") {}
