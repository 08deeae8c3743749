import * as fs from "node:fs/promises"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { eventually } from "../../support/eventually.ts"
import { Fleet, longLease } from "../../support/fleet.ts"
import { otlpReceiver } from "../../support/otlpReceiver.ts"
import { expectStatus } from "../main-job/expectations.ts"
import { parseExposition, valueOf } from "./exposition.ts"

const dashboard = new URL("../../../ops/grafana/lockstep.json", import.meta.url)

/** Spans reach the collector soon; the encoding is one that the test reads. */
const readable = {
  OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
  OTEL_BSP_SCHEDULE_DELAY: "200",
  OTEL_METRIC_EXPORT_INTERVAL: "1000"
}

describe("a fleet that is observed", () => {
  it.live(
    "one trace has a publish on one replica, its arrival on another, and the reindex there; /_metrics tells of it all",
    () =>
      Effect.gen(function*() {
        const collector = yield* otlpReceiver
        const fleet = yield* Effect.provide(
          Fleet,
          yield* Layer.build(Fleet.layer({ replicas: 1, args: [...longLease, "--no-worker"] }))
        )
        const { first: quiet, publish, realm, start, unused } = fleet
        const traced = [...longLease, "--otlp-url", collector.url]
        const [publisher, renderer] = yield* Effect.all([
          start({ replicaId: "publisher", args: [...traced, "--no-worker"], environment: readable }),
          start({ replicaId: "renderer", args: [...traced, "--log-format", "json"], environment: readable })
        ], { concurrency: 2 })

        const source = yield* realm({ "alice.ts": "export const alice: number = 1", "alice.json": "{}" })
        const target = unused()
        expectStatus(yield* publish(source, target, publisher), 202)
        yield* eventually(
          "the publication is rendered",
          publisher.ask(target.path("_readiness-check")),
          ({ status }) => status === 200
        )
        const [publication] = yield* eventually(
          "the publish is traced",
          Effect.sync(() =>
            collector.spans.filter(({ attributes, name }) =>
              name === "publish" && attributes["realm.url"] === target.url
            )
          ),
          (found) => found.length === 1
        )
        const traceId = publication?.traceId ?? ""
        const trace = yield* eventually(
          "the trace is complete",
          Effect.sync(() => collector.spans.filter((span) => span.traceId === traceId)),
          // Every span but the request's own hangs on another of the trace, whichever process that is in.
          (spans) =>
            spans.some(({ name }) => name === "ReindexWorker.attempt") &&
            spans.every(({ name, parentSpanId }) =>
              spans.some(({ spanId }) => spanId === parentSpanId) === (name !== "POST")
            )
        )
        const sentBy = (name: string) => trace.filter((span) => span.name === name).map(({ instance }) => instance)
        for (
          const step of [
            "publish.check",
            "RealmFiles.snapshot",
            "publish.commit",
            "RealmWriteLock.acquire",
            "Barrier.confirm"
          ]
        ) {
          assert.include(sentBy(step), "publisher", step)
        }
        // The notification carries it to whoever hears, and the job's row to whoever renders.
        assert.deepStrictEqual(sentBy("Generations.apply"), ["renderer"])
        assert.deepStrictEqual(sentBy("ReindexWorker.attempt"), ["renderer"])
        const acknowledged = trace.find(({ name }) => name === "Barrier.confirm")?.events
        assert.deepStrictEqual(acknowledged, ["acknowledged", "acknowledged"])
        // A request whose sender traces goes on with the sender's trace, down to the worker.
        const sender = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        expectStatus(yield* publisher.ask(target.path("alice.ts"), { headers: { traceparent: sender } }), 200)
        const request = yield* eventually(
          "the request is traced",
          Effect.sync(() => collector.spans.filter((span) => span.traceId === "0af7651916cd43dd8448eb211c80319c")),
          (spans) =>
            spans.some(({ name }) => name === "GET") && spans.some(({ name }) => name === "CoherentCache.lookUp")
        )
        const names = request.map(({ name }) => name)
        for (
          const step of [
            "RequestedRealm.find",
            "SourceCache.fromDisk",
            "CoherentCache.populate",
            "CoherentCache.lookUp"
          ]
        ) {
          assert.include(names, step)
        }
        const own = request.find(({ name }) => name === "GET")
        assert.deepInclude(own?.attributes, { "lockstep.kind": "module", "lockstep.replica": "publisher" })
        assert.strictEqual(own?.parentSpanId, "b7ad6b7169203331")
        // What is finished in memory is counted, and has no span.
        expectStatus(yield* publisher.ask(target.path("alice.ts"), { headers: { traceparent: sender } }), 200)

        // What PostgreSQL does not say within a second is left out.
        const text = expectStatus(
          yield* eventually(
            "the members are counted",
            publisher.ask("/_metrics"),
            ({ text }) => valueOf(parseExposition(text), "lockstep_replicas") !== undefined
          ),
          200
        )
        assert.strictEqual(text.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        const shown = parseExposition(text.text)
        assert.strictEqual(valueOf(shown, "lockstep_finished_hits_total"), 1)
        assert.strictEqual(
          valueOf(shown, "lockstep_http_request_duration_seconds_count", { kind: "module", status: "2xx" }),
          1
        )
        assert.strictEqual(
          valueOf(shown, "lockstep_publish_barrier_seconds_count", { wait: "all", outcome: "acknowledged" }),
          1
        )
        assert.strictEqual(valueOf(shown, "lockstep_replicas"), 3)
        assert.strictEqual(valueOf(shown, "lockstep_lease_held"), 1)
        assert.isAbove(valueOf(shown, "lockstep_l1_bytes", { cache: "transpile" }) ?? 0, 0)
        const elsewhere = parseExposition(expectStatus(yield* renderer.ask("/_metrics"), 200).text)
        assert.isAtLeast(valueOf(elsewhere, "lockstep_staleness_seconds_count") ?? 0, 1)
        assert.strictEqual(valueOf(elsewhere, "lockstep_jobs_done_total"), 1)

        for (const { help, name, samples, type } of [...shown.values(), ...elsewhere.values()]) {
          assert.match(name, /^(lockstep|process|nodejs)_[a-z0-9_]+$/)
          assert.isNotEmpty(help, name)
          assert.strictEqual(name.endsWith("_total"), type === "counter", name)
          assert.notMatch(name, /_(ms|millis|milliseconds|kb|mib)\b/, "base units")
          for (const { labels } of samples) {
            for (const value of Object.values(labels)) {
              assert.notInclude(value, "/", `${name} has no realm, path or URL in it`)
            }
          }
        }

        // The dashboard asks for nothing that is not there.
        const { panels } = JSON.parse(
          yield* Effect.promise(() => fs.readFile(dashboard, "utf8"))
        ) as {
          readonly panels: ReadonlyArray<{ readonly targets?: ReadonlyArray<{ readonly expr: string }> }>
        }
        const asked = new Set(
          panels.flatMap(({ targets = [] }) =>
            targets.flatMap(({ expr }) => expr.match(/\b(?:lockstep|process|nodejs)_[a-z0-9_]+/g) ?? [])
          )
        )
        assert.isAbove(asked.size, 30)
        const there = new Set(
          [...shown.values(), ...elsewhere.values()].flatMap(({ name, type }) =>
            type === "histogram" ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name]
          )
        )
        assert.deepStrictEqual(Array.from(asked).filter((name) => !there.has(name)), [])

        // The other signals, and who has no collector makes no spans.
        yield* eventually(
          "metrics arrive",
          Effect.sync(() => collector.metrics.get("renderer") ?? new Set<string>()),
          (sent) => sent.has("lockstep_lease_held") && sent.has("lockstep_jobs_done_total")
        )
        yield* eventually(
          "logs arrive",
          Effect.sync(() => collector.logs.map(({ instance }) => instance)),
          (senders) => senders.includes("renderer") || senders.includes("publisher")
        )
        assert.isFalse(collector.spans.some(({ instance }) => instance === quiet.replicaId))
        assert.notInclude(quiet.log(), "telemetry")

        // Without a collector everything goes on, and one line says so.
        collector.be("silent")
        for (let at = 0; at < 20; at++) expectStatus(yield* renderer.ask(source.path("alice.ts")), 200)
        yield* renderer.kill("SIGTERM")
        const end = yield* renderer.ended()
        assert.strictEqual(end.code, 0)
        const lines = renderer.log().split("\n").filter((line) => line.startsWith("{")).map((line) =>
          JSON.parse(line) as Record<string, unknown>
        )
        assert.isNotEmpty(lines)
        for (const line of lines) assert.containsAllKeys(line, ["timestamp", "level", "message", "replica"])
      }).pipe(Effect.scoped)
  )
})
