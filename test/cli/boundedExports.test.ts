import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger, Metric } from "effect"
import { HttpClient, HttpClientError, HttpClientRequest, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { boundedExports } from "../../src/cli/boundedExports.ts"
import { telemetryDropped } from "../../src/domain/Metrics.ts"

const traces = HttpClientRequest.post("http://collector.test/v1/traces")

/** A collector that does what it is told, and counts how often it was asked. */
const collector = (answer: () => Effect.Effect<Response, "refused">) => {
  let asked = 0
  const client = HttpClient.make((request) =>
    Effect.suspend(() => {
      asked++
      return Effect.matchEffect(answer(), {
        onSuccess: (response) => Effect.succeed(HttpClientResponse.fromWeb(request, response)),
        onFailure: () =>
          new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request }) })
      })
    })
  )
  const warnings: Array<unknown> = []
  const layer = boundedExports.pipe(
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client)),
    Layer.merge(Logger.layer([Logger.make(({ message }) => void warnings.push(message))])),
    Layer.merge(Layer.succeed(Metric.MetricRegistry, new Map()))
  )
  return { asked: () => asked, layer, warnings }
}

const send = Effect.flatMap(HttpClient.HttpClient, (client) => Effect.result(client.execute(traces)))

describe("what telemetry may cost", () => {
  it.effect("a collector that says nothing holds four batches of a signal, each until its deadline; the others are dropped at once", () => {
    const silent = collector(() => Effect.never)
    return Effect.gen(function*() {
      const sent = yield* Effect.forEach(Array.from({ length: 50 }), () => Effect.forkChild(send))
      yield* Effect.yieldNow
      assert.strictEqual(silent.asked(), 4)
      assert.lengthOf(sent.filter((fiber) => fiber.pollUnsafe() !== undefined), 46)
      yield* TestClock.adjust("20 seconds")
      for (const fiber of sent) {
        const outcome = yield* Fiber.join(fiber)
        assert.strictEqual(outcome._tag, "Failure")
        // Final for the exporter, which would else try it again beyond the bound.
        if (outcome._tag === "Failure") assert.isFalse(HttpClient.isTransientError(outcome.failure))
      }
      assert.strictEqual(silent.asked(), 4 * 3)
      assert.strictEqual((yield* Metric.value(telemetryDropped({ signal: "traces" }))).count, 50)
      assert.lengthOf(silent.warnings, 1)
      assert.include(String(silent.warnings[0]), "http://collector.test does not take traces")
    }).pipe(Effect.provide(silent.layer))
  })

  it.effect("a collector that is started late gets what was kept for it, and room is made again", () => {
    let up = false
    const late = collector(() => up ? Effect.succeed(new Response("{}")) : Effect.fail("refused"))
    return Effect.gen(function*() {
      const sent = yield* Effect.forkChild(send)
      yield* TestClock.adjust("500 millis")
      up = true
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(sent))._tag, "Success")
      for (let at = 0; at < 20; at++) assert.strictEqual((yield* send)._tag, "Success")
      assert.isEmpty(late.warnings)
    }).pipe(Effect.provide(late.layer))
  })

  it.effect("what the collector refuses for good is not sent twice", () => {
    const refusing = collector(() => Effect.succeed(new Response("no", { status: 400 })))
    return Effect.gen(function*() {
      assert.strictEqual((yield* send)._tag, "Failure")
      assert.strictEqual(refusing.asked(), 1)
    }).pipe(Effect.provide(refusing.layer))
  })
})
