import { Clock, Effect, Layer, Metric, Schedule } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest } from "effect/http"
import { telemetryDropped } from "../domain/Metrics.ts"

/** Batches of one signal under way at a time, retries included: a batch has a thousand spans or log records at most. */
const limit = 4

/** How long a collector may take to answer, and how often and when it is asked again. */
const patience = "5 seconds"
const retries = 2
const pause = "1 second"

/** How often people are told, in milliseconds. */
const reminder = 60_000

/**
 * The client that telemetry is sent with. Effect's exporters begin a request whenever a batch is full, and wait for its
 * answer as long as it takes; this one takes four batches of a signal and refuses more, with a deadline on each, so that
 * no collector makes a replica keep more than it keeps anyway. Whatever fails here is final: the exporter drops the batch
 * and what it had collected, and rests for a minute.
 */
export const boundedExports = Layer.effect(
  HttpClient.HttpClient,
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const underWay = new Map<string, number>()
    let told = -Infinity

    const dropped = (request: HttpClientRequest.HttpClientRequest, signal: string, reason: string) =>
      Effect.gen(function*() {
        yield* Metric.update(telemetryDropped({ signal }), 1)
        const now = yield* Clock.currentTimeMillis
        if (now - told >= reminder) {
          told = now
          yield* Effect.logWarning(
            `The telemetry collector at ${
              new URL(request.url).origin
            } does not take ${signal} (${reason}): what it does ` +
              "not take is dropped, and it is tried again in a minute"
          )
        }
        // Of all reasons this is one that nobody tries again.
        return yield* new HttpClientError.HttpClientError({
          reason: new HttpClientError.EncodeError({ request, description: reason })
        })
      })

    return HttpClient.transform(client, (attempt, request) => {
      const signal = /\/v1\/([a-z]+)$/.exec(request.url)?.[1] ?? "telemetry"
      return Effect.suspend(() => {
        const batches = underWay.get(signal) ?? 0
        if (batches >= limit) return dropped(request, signal, "it has not taken what was sent before")
        underWay.set(signal, batches + 1)
        return attempt.pipe(
          // The answer is read here: a collector may stop in the middle of it as well.
          Effect.tap((response) => Effect.ignore(response.arrayBuffer)),
          Effect.filterOrFail(
            ({ status }) => status < 300,
            (response) =>
              new HttpClientError.HttpClientError({
                reason: new HttpClientError.StatusCodeError({ request, response })
              })
          ),
          Effect.timeout(patience),
          Effect.retry({ times: retries, while: HttpClient.isTransientError, schedule: Schedule.spaced(pause) }),
          Effect.catch((error) => dropped(request, signal, error.message)),
          Effect.ensuring(Effect.sync(() => underWay.set(signal, (underWay.get(signal) ?? 1) - 1)))
        )
      })
    })
  })
)
