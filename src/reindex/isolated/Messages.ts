import { Schema } from "effect"

/** What the isolated process says, one line of JSON each. It is not to be believed: anything may run in there. */
export const FromProcess = Schema.fromJsonString(Schema.Union([
  Schema.Struct({ ready: Schema.Literal(true) }),
  Schema.Struct({ need: Schema.String }),
  Schema.Struct({ html: Schema.String }),
  Schema.Struct({ none: Schema.Literal(true) }),
  Schema.Struct({ failure: Schema.String, reason: Schema.Literals(["error", "output"]) })
]))
export type FromProcess = typeof FromProcess.Type

/** What it is told. The model travels as JSON text: it is parsed where it is used. */
export type ToProcess =
  | { readonly render: { readonly module: string; readonly name?: string; readonly model?: string } }
  | {
    readonly module: { readonly url: string; readonly code: string } | {
      readonly url: string
      readonly failure: string
    }
  }
