import { Effect, Option, type Tracer } from "effect"
import { Headers, HttpTraceContext } from "effect/http"

/**
 * A place in a trace as text, the `traceparent` of W3C Trace Context: what travels with a notification or in a row, so that
 * whoever continues the work continues the trace.
 */
export type TraceContext = string

/** Where the caller is, if anybody records it. */
export const current: Effect.Effect<TraceContext | undefined> = Effect.map(
  Effect.option(Effect.currentSpan),
  (span) =>
    Option.isSome(span) && span.value.sampled ? HttpTraceContext.toHeaders(span.value)["traceparent"] : undefined
)

/** The span that a text names; undefined for none, or for what is no such text. */
export const parse = (text: TraceContext | null | undefined): Tracer.ExternalSpan | undefined =>
  text === null || text === undefined
    ? undefined
    : Option.getOrUndefined(HttpTraceContext.w3c(Headers.fromInput({ traceparent: text })))
