import { Effect, Layer, Option } from "effect"
import { version } from "../domain/version.ts"
import { layerLogging, type LogFormat } from "./logging.ts"
import { layerTelemetry } from "./telemetry.ts"

export interface ObservabilityOptions {
  readonly logFormat: Option.Option<LogFormat>
  readonly otlpUrl: Option.Option<string>
}

/** Runs a program that is seen: its logs, each with its name, and its telemetry, which ends after it. */
export const observed =
  (instance: string, { logFormat, otlpUrl }: ObservabilityOptions) => <A, E, R>(program: Effect.Effect<A, E, R>) =>
    program.pipe(
      Effect.annotateLogs({ replica: instance }),
      Effect.provide(
        layerTelemetry({ instance, otlpUrl, version }).pipe(
          Layer.provideMerge(Option.match(logFormat, { onNone: () => layerLogging(), onSome: layerLogging }))
        )
      )
    )
