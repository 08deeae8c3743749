import { Clock, Effect, Random, Ref, Schedule } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { CommandFailed } from "../CommandFailed.ts"
import type { Change, History } from "./History.ts"

export interface Probe {
  readonly servers: ReadonlyArray<string>
  /** URLs of the probe's two realms. */
  readonly source: string
  readonly published: string
  readonly history: History
}

const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

const pathOf = (realm: string) => new URL(realm).pathname

const execute = (server: string, realm: string, request: HttpClientRequest.HttpClientRequest) =>
  Effect.gen(function*() {
    const client = yield* HttpClient.HttpClient
    const addressed = HttpClientRequest.setHeader(request, "host", new URL(realm).host)
    const response = yield* client.execute(HttpClientRequest.prependUrl(addressed, server))
    return { status: response.status, headers: response.headers, body: yield* response.text }
  }).pipe(Effect.timeout("30 seconds"))

const anyServer = (probe: Probe) =>
  Effect.map(Random.nextIntBetween(0, probe.servers.length, { halfOpen: true }), (index) => probe.servers[index] ?? "")

/** Writes the next version, or publishes it, through any of the servers. */
export const change = Effect.fnUntraced(function*(probe: Probe, version: number, kind: "put" | "wait" | "publish") {
  const server = yield* anyServer(probe)
  const request = kind === "publish"
    ? HttpClientRequest.post("/_publish-realm").pipe(
      HttpClientRequest.bodyJsonUnsafe({ sourceRealmURL: probe.source, publishedRealmURL: probe.published })
    )
    : HttpClientRequest.put(`${pathOf(probe.source)}probe.ts${kind === "wait" ? "?wait=all" : ""}`).pipe(
      HttpClientRequest.bodyText(`export const version: number = ${version}\n`)
    )
  const { body, status } = yield* execute(server, probe.source, request)
  if (status >= 400) return yield* new CommandFailed({ message: `${server} answered ${status}: ${body.slice(0, 300)}` })
  const done: Change = {
    realm: kind === "publish" ? "published" : "source",
    version,
    returned: yield* now,
    promised: kind !== "put"
  }
  probe.history.changed(done)
})

/** Changes the probe's realms until it is interrupted; what fails is counted and tried again. */
export const writer = Effect.fnUntraced(function*(probe: Probe, versions: Ref.Ref<number>) {
  const step = Effect.gen(function*() {
    const version = yield* Ref.updateAndGet(versions, (last) => last + 1)
    yield* change(probe, version, version % 2 === 0 ? "put" : "wait")
    if (version % 4 === 3) yield* change(probe, version, "publish")
    yield* Effect.sleep(yield* Random.nextIntBetween(5, 60))
  })
  const counted = Effect.catch(step, () => Effect.sync(() => void probe.history.failures++))
  return yield* Effect.repeat(counted, Schedule.forever)
})

/** Reads one of the two realms from one server, again and again, until it is interrupted. */
export const reader = Effect.fnUntraced(function*(
  probe: Probe,
  name: string,
  server: string,
  realm: "source" | "published"
) {
  const url = realm === "source" ? probe.source : probe.published
  const step = Effect.gen(function*() {
    const begun = yield* now
    const { body, headers, status } = yield* execute(server, url, HttpClientRequest.get(`${pathOf(url)}probe`))
    const version = /version = (\d+)/.exec(body)?.[1]
    if (status !== 200 || version === undefined) return void probe.history.failures++
    const generation = Number(headers["x-lockstep-generation"])
    const warned = headers["warning"] !== undefined
    probe.history.read(name, { server, realm, begun, version: Number(version), generation, warned })
  })
  const counted = Effect.catch(step, () => Effect.sync(() => void probe.history.failures++))
  return yield* Effect.repeat(counted, Schedule.spaced("2 millis"))
})
