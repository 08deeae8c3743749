import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { Clock, Context, Data, Effect, Layer, Schedule, Semaphore } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { FleetPass } from "../access/FleetPass.ts"
import type { DatabaseError } from "../domain/errors.ts"
import { backgroundPriority } from "../domain/Background.ts"
import { encode } from "../domain/ModulePath.ts"
import { ofVersion, type RealmUrl } from "../domain/RealmUrl.ts"
import { ReplicaTable } from "../store/ReplicaTable.ts"

/** A file or directory of a realm, as it is to be read. */
export interface Reading {
  readonly realmUrl: RealmUrl
  readonly path: string
  /** Of a published realm, the publication to be read: never another one's bytes. */
  readonly version: number | undefined
  /** No replica may answer from before this. */
  readonly minGeneration: number
  readonly accept: string
  readonly method?: "GET" | "HEAD"
  /** An entity tag: 304 when this is what is there. */
  readonly known?: string
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** No replica answered, each of them several times (retryable). */
export class ReplicasUnavailable extends Data.TaggedError("ReplicasUnavailable")<{ readonly detail: string }> {
  override get message() {
    return this.detail
  }
}

export interface ReplicasOptions {
  /** Replicas to ask; none for those that are members of the fleet, at the URLs that they advertise. */
  readonly urls: ReadonlyArray<string>
  /** Requests under way at a time. */
  readonly concurrency?: number
}

/** Reads realms over HTTP, as any client does, from one replica after the other. */
export class Replicas extends Context.Service<Replicas, {
  /** What a replica answered. Where one fails, is behind or is busy, another is asked. */
  readonly read: (reading: Reading) => Effect.Effect<Answer, ReplicasUnavailable | DatabaseError>
}>()("lockstep/reindex/Replicas") {
  static readonly layer = (options: ReplicasOptions) =>
    Layer.effect(Replicas, make(options)).pipe(
      Layer.provide(FleetPass.layer),
      Layer.provide(NodeHttpClient.layerNodeHttpOptions({ keepAlive: true, maxSockets: options.concurrency ?? 8 }))
    )
}

const answerDeadline = "30 seconds"

/** How long the list of members is good for, in milliseconds. */
const membersAge = 2000

/** How long a replica that did not answer is asked after all others, in milliseconds: a frozen one costs a deadline. */
const suspicion = 10_000

/** Rounds over all replicas before they count as unavailable. */
const rounds = 4

const make = Effect.fnUntraced(function*({ concurrency = 8, urls }: ReplicasOptions) {
  const client = yield* HttpClient.HttpClient
  const members = yield* ReplicaTable
  const pass = yield* FleetPass
  const turn = Semaphore.makeUnsafe(concurrency)
  const suspects = new Map<string, number>()
  let next = 0
  let known = { urls, until: urls.length > 0 ? Infinity : -Infinity }

  const replicas = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    if (now >= known.until) {
      known = {
        urls: Array.from(new Set((yield* members.members).map(({ advertiseUrl }) => advertiseUrl))),
        until: now + membersAge
      }
    }
    return known.urls
  })

  const ask = Effect.fnUntraced(function*(replica: string, reading: Reading) {
    const request = HttpClientRequest.setHeaders(requestOf(replica, reading), yield* pass.header)
    const response = yield* client.execute(request)
    return {
      status: response.status,
      headers: response.headers as Readonly<Record<string, string>>,
      body: yield* response.text
    }
  }, Effect.timeout(answerDeadline))

  const round = Effect.fnUntraced(function*(reading: Reading) {
    const all = yield* replicas
    const failures: Array<string> = []
    const now = yield* Clock.currentTimeMillis
    const first = next++
    const inTurn = all.map((_, index) => all[(first + index) % all.length] ?? "")
    const isSuspect = (replica: string) => (suspects.get(replica) ?? 0) > now
    for (const replica of inTurn.toSorted((a, b) => Number(isSuspect(a)) - Number(isSuspect(b)))) {
      const answered = yield* Effect.result(ask(replica, reading))
      if (answered._tag === "Success") suspects.delete(replica)
      else suspects.set(replica, now + suspicion)
      if (answered._tag === "Success" && isFinal(answered.success)) return answered.success
      failures.push(
        `${replica}: ${answered._tag === "Success" ? `status ${answered.success.status}` : answered.failure.message}`
      )
    }
    return yield* new ReplicasUnavailable({
      detail: all.length === 0 ? "there is no replica to ask" : `no replica could be asked (${failures.join("; ")})`
    })
  })

  return Replicas.of({
    read: (reading) =>
      turn.withPermit(Effect.retry(round(reading), {
        schedule: Schedule.jittered(Schedule.exponential("100 millis", 3)),
        times: rounds - 1,
        while: (error) => error._tag === "ReplicasUnavailable"
      }))
  })
})

/**
 * Whether an answer is about what was asked for, and not about the replica: one that is behind says 409, one that is busy
 * or cut off says 5xx. A module that takes too long to transpile does so everywhere.
 */
const isFinal = ({ body, status }: Answer) =>
  status < 400 || status === 404 || status === 422 || status === 400 ||
  (status === 503 && body.includes("urn:lockstep:transpile-timeout"))

const requestOf = (
  replica: string,
  { accept, known, method = "GET", minGeneration, path, realmUrl, version }: Reading
) => {
  const url = new URL(version === undefined ? realmUrl : ofVersion(realmUrl, version))
  // The realm is named by the host; a proxy in front of the replica may be asked in its own name.
  return HttpClientRequest.make(method)(new URL(url.pathname + encode(path), replica)).pipe(
    HttpClientRequest.setHeaders({
      host: url.host,
      "x-forwarded-host": url.host,
      "x-forwarded-proto": url.protocol.slice(0, -1),
      accept,
      "x-lockstep-min-generation": String(minGeneration),
      priority: backgroundPriority,
      ...(known === undefined ? {} : { "if-none-match": known })
    })
  )
}
