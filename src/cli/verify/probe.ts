import { Clock, Effect, Option, Random, Schedule, Schema } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { CommandFailed } from "../CommandFailed.ts"
import type { Attempt, History, Realm } from "./History.ts"

export interface Probe {
  readonly servers: ReadonlyArray<string>
  /** URLs of the probe's two realms. */
  readonly source: string
  readonly published: string
  readonly history: History
}

/** `put` and `remove` wait for no other replica; the others return when every replica shows them. */
type Kind = "put" | "put and wait" | "remove" | "remove and wait" | "publish" | "unpublish"

export const now = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

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

const requestFor = ({ published, source }: Probe, kind: Kind, version: number) => {
  const file = `${pathOf(source)}probe.ts${kind.endsWith("wait") ? "?wait=all" : ""}`
  switch (kind) {
    case "publish":
      return HttpClientRequest.post("/_publish-realm").pipe(
        HttpClientRequest.bodyJsonUnsafe({ sourceRealmURL: source, publishedRealmURL: published })
      )
    case "unpublish":
      return HttpClientRequest.post("/_unpublish-realm").pipe(
        HttpClientRequest.bodyJsonUnsafe({ publishedRealmURL: published })
      )
    case "remove":
    case "remove and wait":
      return HttpClientRequest.delete(file)
    case "put":
    case "put and wait":
      return HttpClientRequest.put(file).pipe(
        HttpClientRequest.bodyText(`export const version: number = ${version}\n`)
      )
  }
}

const decodeGeneration = Schema.decodeUnknownOption(
  Schema.fromJsonString(Schema.Struct({ generation: Schema.Int }))
)

/** Makes a change through any of the servers, and records what became of it. */
export const change = Effect.fnUntraced(function*(probe: Probe, version: number, kind: Kind) {
  const { history } = probe
  const server = yield* anyServer(probe)
  const realm: Realm = kind.endsWith("publish") ? "published" : "source"
  const attempt: Attempt = {
    realm,
    version,
    server,
    begun: yield* now,
    removes: kind === "unpublish" || kind.startsWith("remove")
  }
  history.begin(attempt)
  const { body, headers, status } = yield* execute(server, probe.source, requestFor(probe, kind, version)).pipe(
    Effect.tapError(({ message }) =>
      Effect.map(now, (ended) => {
        history.doubted(attempt, ended)
        history.failed(server, message)
      })
    )
  )
  const returned = yield* now
  if (status < 300) {
    const generation = Option.getOrUndefined(decodeGeneration(body))?.generation
    return history.changed({
      ...attempt,
      returned,
      promised: kind !== "put" && kind !== "remove",
      ...generation === undefined ? {} : { generation }
    })
  }
  if (status < 500) history.refused(attempt)
  else history.doubted(attempt, returned)
  if (status === 404) {
    // What was to be changed had been confirmed: the server answers from before that.
    const asked = kind === "unpublish" ? "published" : "source"
    const warned = headers["warning"] !== undefined
    history.read("writer", { server, realm: asked, begun: attempt.begun, ended: returned, version: "absent", warned })
  }
  const message = `it answered ${status} to a ${kind}: ${body.trim().slice(0, 200)}`
  history.failed(server, message)
  return yield* new CommandFailed({ message: `${server}: ${message}` })
})

/**
 * Changes the probe's realms, one change after the other, until the time has come. It ends between changes: one that is
 * broken off could happen after the probe's realms were removed.
 */
export const writer = Effect.fnUntraced(function*(probe: Probe, until: number, firstVersion: number) {
  let version = firstVersion
  const pause = Effect.flatMap(Random.nextIntBetween(5, 60), Effect.sleep)
  const step = Effect.fnUntraced(function*(turn: number) {
    yield* change(probe, ++version, turn % 2 === 0 ? "put" : "put and wait")
    if (turn % 4 === 3) yield* change(probe, version, "publish")
    yield* pause
    if (turn % 16 === 7) {
      yield* change(probe, ++version, "unpublish")
      yield* pause
      yield* change(probe, ++version, "put and wait")
      yield* change(probe, version, "publish")
    }
    if (turn % 8 === 5) {
      yield* change(probe, ++version, turn % 16 === 5 ? "remove" : "remove and wait")
      yield* pause
    }
  })
  for (let turn = 0; (yield* now) < until; turn++) {
    yield* Effect.catch(step(turn), () => pause)
  }
})

/** Reads one of the two realms from one server, again and again, until it is interrupted. */
export const reader = Effect.fnUntraced(function*(probe: Probe, name: string, server: string, realm: Realm) {
  const { history } = probe
  const url = realm === "source" ? probe.source : probe.published
  let turn = 0

  const readNewest = Effect.fnUntraced(function*(insists: boolean) {
    const token = insists ? history.token(realm) : undefined
    const request = HttpClientRequest.get(`${pathOf(url)}probe`)
    const begun = yield* now
    const { body, headers, status } = yield* execute(
      server,
      url,
      token === undefined
        ? request
        : HttpClientRequest.setHeader(request, "x-lockstep-min-generation", String(token.generation))
    )
    const shown = versionIn(status, body)
    const generation = headers["x-lockstep-generation"]
    const read = {
      server,
      realm,
      begun,
      ended: yield* now,
      version: shown ?? "absent",
      token,
      warned: headers["warning"] !== undefined,
      ...generation === undefined ? {} : { generation: Number(generation) }
    }
    if (token !== undefined && status === 409) return history.tokenRefused(read, token)
    if (shown === undefined) return history.failed(server, `it answered ${status}: ${body.trim().slice(0, 200)}`)
    history.read(name, read)
  })

  const readPublication = Effect.fnUntraced(function*() {
    const { publications } = history
    const publication = publications[turn % Math.max(1, publications.length)]
    if (publication === undefined) return
    const begun = yield* now
    const path = `${pathOf(url)}@${publication.generation}/probe`
    const { body, status } = yield* execute(server, url, HttpClientRequest.get(path))
    const shown = versionIn(status, body)
    if (shown === undefined) return history.failed(server, `it answered ${status}: ${body.trim().slice(0, 200)}`)
    history.publication(server, publication, begun, shown)
  })

  const step = Effect.suspend(() => {
    turn++
    return realm === "published" && turn % 5 === 0 ? readPublication() : readNewest(turn % 3 === 0)
  })
  // What went wrong is counted for the server, and tried again.
  const counted = Effect.catch(step, ({ message }) => Effect.sync(() => history.failed(server, message)))
  return yield* Effect.repeat(counted, Schedule.spaced("2 millis"))
})

/** The version that an answer shows; nothing for an answer that says nothing of versions. */
const versionIn = (status: number, body: string): number | "absent" | undefined => {
  if (status === 404) return "absent"
  const version = /version = (\d+)/.exec(body)?.[1]
  return status === 200 && version !== undefined ? Number(version) : undefined
}
