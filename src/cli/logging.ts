import { Config, Layer, Logger } from "effect"
import { Flag, TerminalCapabilities } from "effect/cli"

const formats = ["pretty", "logfmt", "json"] as const
export type LogFormat = typeof formats[number]

/** What programs that run for long take: their logs are read by people, or by programs. */
export const logFormat = Flag.Literals("log-format", formats).pipe(
  Flag.withDescription("how logs are written, on stderr (LOCKSTEP_LOG_FORMAT; pretty on a terminal, else logfmt)"),
  Flag.withFallbackConfig(Config.Literals(formats, "LOCKSTEP_LOG_FORMAT")),
  Flag.optional
)

/** One JSON object a line: time, level and message, annotations beside them, and the trace that it belongs to. */
const json = Logger.make<unknown, string>((options) => {
  const { annotations, cause, level, message, spans, timestamp } = Logger.formatStructured.log(options)
  const { span } = options.fiber.cache
  return JSON.stringify({
    timestamp,
    level,
    message,
    ...annotations,
    ...(cause === undefined ? {} : { cause }),
    ...(Object.keys(spans).length === 0 ? {} : { spans }),
    ...(span === undefined || !span.sampled ? {} : { trace_id: span.traceId, span_id: span.spanId })
  })
})

/** Logs go to stderr: stdout is only for what was asked for. Without a format, for people on a terminal and as logfmt elsewhere. */
export const layerLogging = (format: LogFormat = process.stderr.isTTY ? "pretty" : "logfmt") =>
  Layer.merge(
    Layer.unwrap(TerminalCapabilities.TerminalCapabilities.useSync(({ canColor }) =>
      Logger.layer([
        format === "pretty"
          ? Logger.consolePrettyTty({ colors: canColor })
          : Logger.withConsoleError(format === "json" ? json : Logger.formatLogFmt)
      ])
    )),
    Layer.succeed(Logger.LogToStderr, true)
  )
