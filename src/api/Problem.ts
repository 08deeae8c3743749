import { Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"

/** RFC 9457: what went wrong, for people (`title`, `detail`) and for programs (`type`, stable). */
export const Problem = Schema.Struct({
  type: Schema.String,
  title: Schema.String,
  status: Schema.Int,
  detail: Schema.String,
  /** Of code that is at fault: the module, the place in it counted from 1, and the lines around it. */
  path: Schema.optionalKey(Schema.String),
  line: Schema.optionalKey(Schema.Int),
  column: Schema.optionalKey(Schema.Int),
  codeFrame: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "Problem" })

/** A problem with this status, as an endpoint answers it. */
export const problem = (status: number) =>
  Problem.pipe(
    HttpApiSchema.asJson({ contentType: "application/problem+json" }),
    HttpApiSchema.status(status)
  )
