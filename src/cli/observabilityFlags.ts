import { Flag } from "effect/cli"
import { logFormat } from "./logging.ts"
import { parseServerUrl } from "./quantities.ts"

/** What programs that run for long take, to be seen from outside. */
export const observabilityFlags = {
  logFormat,
  otlpUrl: Flag.String("otlp-url").pipe(
    Flag.withMetavar("URL"),
    Flag.withDescription(
      "OpenTelemetry collector for traces, metrics and logs (OTEL_EXPORTER_OTLP_ENDPOINT; none, and nothing is sent)"
    ),
    Flag.filterMap(parseServerUrl, () => "an http or https URL, such as http://localhost:4318"),
    Flag.optional
  )
}
