import { Schema } from "effect"

/**
 * What the isolated process says, a line of JSON each, after the word that it was given. Code that has left its thread's
 * context can write lines too, but does not know the word.
 */
export const FromProcess = Schema.fromJsonString(Schema.Union([
  Schema.Struct({ ready: Schema.Literal(true) }),
  // The rendering has a thread; no author's code but its own runs, from here to its result.
  Schema.Struct({ begun: Schema.Literal(true) }),
  Schema.Struct({ need: Schema.String }),
  Schema.Struct({ html: Schema.String }),
  Schema.Struct({ none: Schema.Literal(true) }),
  Schema.Struct({ failure: Schema.String, reason: Schema.Literals(["error", "output", "memory", "crash"]) })
]))
export type FromProcess = typeof FromProcess.Type

/** What it is told first. It has no arguments, which its threads could read. */
export interface Beginning {
  /** What each line that it says begins with. */
  readonly word: string
  /** The text of the program of its threads. */
  readonly thread: string
  readonly heapMb: number
  readonly outputLength: number
}

/** What it is told then. The model travels as JSON text: it is parsed where it is used. */
export type ToProcess =
  | { readonly render: { readonly module: string; readonly name?: string; readonly model?: string } }
  | {
    readonly module: { readonly url: string; readonly code: string } | {
      readonly url: string
      readonly failure: string
    }
  }
