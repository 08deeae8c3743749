import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { Effect, Schema } from "effect"

/** A span as a collector gets it. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  /** `service.instance.id` of whoever sent it. */
  readonly instance: string
  readonly attributes: Readonly<Record<string, unknown>>
  readonly events: ReadonlyArray<string>
}

export interface ReceivedLog {
  readonly body: unknown
  readonly instance: string
}

const Attributes = Schema.Array(
  Schema.Struct({ key: Schema.String, value: Schema.Record(Schema.String, Schema.Unknown) })
)
const Resource = Schema.Struct({ attributes: Attributes })
const Span = Schema.Struct({
  traceId: Schema.String,
  spanId: Schema.String,
  parentSpanId: Schema.optional(Schema.NullOr(Schema.String)),
  name: Schema.String,
  attributes: Attributes,
  events: Schema.Array(Schema.Struct({ name: Schema.String }))
})
const Traces = Schema.Struct({
  resourceSpans: Schema.Array(Schema.Struct({
    resource: Resource,
    scopeSpans: Schema.Array(Schema.Struct({ spans: Schema.Array(Span) }))
  }))
})
const Logs = Schema.Struct({
  resourceLogs: Schema.Array(Schema.Struct({
    resource: Resource,
    scopeLogs: Schema.Array(Schema.Struct({
      logRecords: Schema.Array(Schema.Struct({ body: Schema.Record(Schema.String, Schema.Unknown) }))
    }))
  }))
})
const Metrics = Schema.Struct({
  resourceMetrics: Schema.Array(Schema.Struct({
    resource: Resource,
    scopeMetrics: Schema.Array(Schema.Struct({ metrics: Schema.Array(Schema.Struct({ name: Schema.String })) }))
  }))
})

const plain = (attributes: typeof Attributes.Type): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
const instanceOf = ({ attributes }: typeof Resource.Type) => String(plain(attributes)["service.instance.id"])

/** How it takes what it is sent: `well`, not at all, or, as a process that hangs does, without an answer. */
export type Mood = "well" | "refusing" | "silent"

/** An OpenTelemetry collector that keeps what it gets, until the scope closes. It reads the JSON encoding. */
export const otlpReceiver = Effect.gen(function*() {
  const spans: Array<ReceivedSpan> = []
  const logs: Array<ReceivedLog> = []
  const metrics = new Map<string, Set<string>>()
  const requests: Array<{ readonly path: string; readonly type: string; readonly bytes: number }> = []
  let mood: Mood = "well"

  const receive = (path: string, body: Buffer) => {
    const sent: unknown = JSON.parse(body.toString())
    if (path === "/v1/traces") {
      for (const { resource, scopeSpans } of Schema.decodeUnknownSync(Traces)(sent).resourceSpans) {
        for (const span of scopeSpans.flatMap((scope) => scope.spans)) {
          spans.push({
            ...span,
            parentSpanId: span.parentSpanId ?? "",
            instance: instanceOf(resource),
            attributes: plain(span.attributes),
            events: span.events.map(({ name }) => name)
          })
        }
      }
    }
    if (path === "/v1/logs") {
      for (const { resource, scopeLogs } of Schema.decodeUnknownSync(Logs)(sent).resourceLogs) {
        for (const { body } of scopeLogs.flatMap((scope) => scope.logRecords)) {
          logs.push({ body: Object.values(body)[0], instance: instanceOf(resource) })
        }
      }
    }
    if (path === "/v1/metrics") {
      for (const { resource, scopeMetrics } of Schema.decodeUnknownSync(Metrics)(sent).resourceMetrics) {
        const names = metrics.get(instanceOf(resource)) ?? new Set()
        metrics.set(instanceOf(resource), names)
        for (const { name } of scopeMetrics.flatMap((scope) => scope.metrics)) names.add(name)
      }
    }
  }

  const server = http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const body = Buffer.concat(chunks)
      const type = request.headers["content-type"] ?? ""
      requests.push({ path: request.url ?? "", type, bytes: body.length })
      if (mood === "silent") return
      if (mood === "well" && type.includes("json")) receive(request.url ?? "", body)
      response.writeHead(mood === "well" ? 200 : 503).end()
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    logs,
    metrics,
    requests,
    be: (now: Mood) => {
      mood = now
    }
  }
})
