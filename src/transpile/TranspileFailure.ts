import { Schema } from "effect"

/** The module's code is at fault: the same bytes will fail again. The fields are those of the 422 problem document. */
export class TranspileError extends Schema.TaggedError<TranspileError>("lockstep/transpile/TranspileError")(
  "TranspileError",
  {
    /** Canonical path of the module inside its realm. */
    path: Schema.String,
    /** What is wrong, on one line, plain text, without a path or a position. */
    detail: Schema.String,
    /** 1-based; absent when the fault has no place, such as running out of memory. */
    line: Schema.optionalKey(Schema.Int),
    /** 1-based, in UTF-16 code units. */
    column: Schema.optionalKey(Schema.Int),
    /** The lines around the fault with a marker under it, plain text. */
    codeFrame: Schema.optionalKey(Schema.String)
  },
  { httpApiStatus: 422 }
) {
  override get message() {
    const position = this.line === undefined ? "" : `:${this.line}${this.column === undefined ? "" : `:${this.column}`}`
    return `${this.path}${position}: ${this.detail}`
  }
}

/** The module was still running when its deadline passed; its worker was replaced. */
export class TranspileTimeout extends Schema.TaggedError<TranspileTimeout>("lockstep/transpile/TranspileTimeout")(
  "TranspileTimeout",
  {
    path: Schema.String,
    /** The deadline in milliseconds, counted from the moment a worker began. */
    limit: Schema.Finite
  },
  { httpApiStatus: 503 }
) {
  override get message() {
    return `${this.path}: took longer than ${this.limit} ms to transpile`
  }
}

/** The farm could not do it now; the code is not to blame, and a retry may succeed. */
export class TranspilerUnavailable
  extends Schema.TaggedError<TranspilerUnavailable>("lockstep/transpile/TranspilerUnavailable")(
    "TranspilerUnavailable",
    {
      /** `full`: too many modules wait. `died`: the worker ended. `start`: none starts. `closed`: shutting down. */
      reason: Schema.Literals(["full", "died", "start", "closed"]),
      detail: Schema.String
    },
    { httpApiStatus: 503 }
  )
{
  override get message() {
    return `transpiler unavailable: ${this.detail}`
  }
}

export type TranspileFailure = TranspileError | TranspileTimeout | TranspilerUnavailable
