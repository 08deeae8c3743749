import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Config, ConfigProvider, Effect, Layer, Option, References } from "effect"
import { Otlp, OtlpSerialization } from "effect/observability"
import { boundedExports } from "./boundedExports.ts"
import { CommandFailed } from "./CommandFailed.ts"

export interface TelemetryOptions {
  /** Base URL of a collector: signals go to `/v1/traces`, `/v1/metrics` and `/v1/logs` below it. */
  readonly otlpUrl: Option.Option<string>
  /** Which of the fleet's processes this is. */
  readonly instance: string
  readonly version: string
}

const signals = ["TRACES", "METRICS", "LOGS"] as const

const endpoints = ["OTEL_EXPORTER_OTLP_ENDPOINT", ...signals.map((signal) => `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`)]

/** `--otlp-url` goes before all variables: it is what a person typed. */
const flagsAsVariables = (url: string) =>
  Object.fromEntries(
    signals.map((signal) => [
      `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`,
      `${url.replace(/\/$/, "")}/v1/${signal.toLowerCase()}`
    ])
  )

/** What OpenTelemetry's specification says where a variable is not set, and the service's name. */
const defaults = {
  OTEL_SERVICE_NAME: "lockstep",
  ...Object.fromEntries(signals.map((signal) => [`OTEL_${signal}_EXPORTER`, "otlp"]))
}

const settings = Config.all({
  disabled: Config.Boolean("OTEL_SDK_DISABLED").pipe(Config.withDefault(false)),
  protocol: Config.Literals(["http/protobuf", "http/json"], "OTEL_EXPORTER_OTLP_PROTOCOL").pipe(
    Config.withDefault("http/protobuf" as const)
  ),
  endpoints: Config.all(endpoints.map((name) => Config.option(Config.URL(name))))
})

/**
 * Traces, metrics and logs to an OpenTelemetry collector, configured by the standard variables (`OTEL_EXPORTER_OTLP_ENDPOINT`,
 * `OTEL_SERVICE_NAME`, ...) or `--otlp-url`. Off unless an endpoint is named: then no span is made at all.
 *
 * A collector that is down, slow or silent costs what it did not take, and nothing else: see `boundedExports`.
 */
export const layerTelemetry = (
  { instance, otlpUrl, version }: TelemetryOptions
): Layer.Layer<never, CommandFailed> =>
  Layer.unwrap(Effect.gen(function*() {
    const environment = yield* ConfigProvider.ConfigProvider
    const given = Option.match(otlpUrl, {
      onNone: () => environment,
      onSome: (url) => ConfigProvider.orElse(ConfigProvider.fromEnv({ env: flagsAsVariables(url) }), environment)
    })
    const provider = ConfigProvider.orElse(given, ConfigProvider.fromEnv({ env: defaults }))
    const { disabled, endpoints, protocol } = yield* settings.parse(provider).pipe(Effect.mapError(unusable))
    if (disabled || endpoints.every(Option.isNone)) return Layer.succeed(References.TracerEnabled, false)
    return Otlp.layerFromConfig({
      resource: { serviceVersion: version, attributes: { "service.instance.id": instance } }
    }).pipe(
      Layer.catchCause((cause) => Layer.effectDiscard(Effect.fail(unusable(cause)))),
      Layer.provide([
        protocol === "http/json" ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf,
        boundedExports.pipe(Layer.provide(NodeHttpClient.layerNodeHttpOptions({ keepAlive: true, maxSockets: 6 }))),
        ConfigProvider.layer(provider)
      ])
    )
  }))

const unusable = (error: unknown) =>
  new CommandFailed({
    message:
      `telemetry cannot be configured (${String(error).replace(/\s+/g, " ").slice(0, 300)}): check --otlp-url and ` +
      "the OTEL_ variables; of protocols there are http/protobuf and http/json"
  })
