import type * as http from "node:http"
import { Context, Effect, Layer } from "effect"
import { LRUCache } from "lru-cache"
import { Counters } from "../coordination/Counters.ts"
import type { Fence } from "../coordination/Fence.ts"
import { Generations } from "../coordination/Generations.ts"
import { Membership } from "../coordination/Membership.ts"
import { l1Bytes, l1MaxBytes, liveGauge } from "../domain/Metrics.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { wantsHtml, wantsSource } from "./accept.ts"
import { matches, unchangedHeadersOf } from "./conditional.ts"
import { codingFor } from "./contentEncoding.ts"
import { type PreparedHead, prepareHead, writeHead } from "./preparedHead.ts"
import { asksForSource, splitQuery } from "./query.ts"

/** What a request is known by: whatever may change its answer. All as sent. */
export interface Asked {
  readonly url: string
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
}

/** An answer, with all that it stands on. */
export interface Finished {
  /** Where the request went, and whether that origin has realms of its own; none for the public one. */
  readonly origin: { readonly url: string; readonly hasRealms: boolean } | undefined
  readonly realmUrl: RealmUrl
  readonly fence: Fence
  readonly token: number
  /** As asked for, and with its extension: both must hold. */
  readonly paths: readonly [string, string]
  readonly body: Uint8Array
  readonly etag: string
  /** Without the realm's generation, which may move while this answer holds. */
  readonly headers: Readonly<Record<string, string>>
  /** Counted as a hit of the transpiled module cache. */
  readonly isModule: boolean
  /** Of a source realm, which anyone may edit in place: says whether the file is still the one that was read. */
  readonly unchanged: Unchanged | undefined
}

/** In Node's own terms: no fiber runs where it is asked. */
export type Unchanged = (then: (isUnchanged: boolean) => void) => void

interface Entry extends Omit<Finished, "body"> {
  /** The body as Node sends it best. */
  readonly sent: Uint8Array | string
  generation: number
  found: PreparedHead
  notModified: PreparedHead
}

/**
 * Answers that are finished: status, headers and bytes, ready to be written. A hit is one look into a map, and the same
 * questions that every other reader of memory asks: is the lease held (I2), is the realm's fence still this one, does the
 * token hold for the path (I1). It runs before any routing, in Node's own request event.
 *
 * Source realms are edited in place by anyone: there the file is looked at, and then the same is asked once more. Private
 * realms have no finished answers: who asks is not known yet.
 */
export class FinishedAnswers extends Context.Service<FinishedAnswers, {
  /** Writes the answer, if there is one that holds; else has done nothing and goes on with `otherwise`. */
  readonly answer: (request: http.IncomingMessage, response: http.ServerResponse, otherwise: () => void) => void
  /** Keeps an answer for those who ask the same. */
  readonly keep: (asked: Asked, finished: Finished) => void
}>()("lockstep/http/FinishedAnswers") {
  static readonly layer = (capacityBytes: number, trustProxy: boolean) =>
    Layer.effect(
      FinishedAnswers,
      Effect.gen(function*() {
        const counters = yield* Counters
        const generations = yield* Generations
        const { replicaId } = yield* Membership
        const entries = new LRUCache<string, Entry>({
          maxSize: capacityBytes,
          sizeCalculation: ({ sent }, id) => sent.length + 2 * id.length + 1024
        })
        yield* liveGauge(l1Bytes({ cache: "finished" }), () => entries.calculatedSize)
        yield* liveGauge(l1MaxBytes({ cache: "finished" }), () => capacityBytes)
        const identify = trustProxy ? behindProxy : direct

        // Anew when the realm moved and this path did not.
        const prepare = (finished: Omit<Finished, "body">, sent: Entry["sent"], generation: number): Entry => {
          const found = {
            ...finished.headers,
            "content-length": String(sent.length),
            "x-lockstep-generation": String(generation),
            "x-lockstep-replica": replicaId
          }
          return {
            ...finished,
            sent,
            generation,
            found: prepareHead(200, found),
            notModified: prepareHead(304, unchangedHeadersOf(found))
          }
        }

        // The realm's generation, if the entry holds. Entries of a realm that became private are void with its
        // fence; this does not rest on that alone.
        const holdsAt = ({ fence, origin, paths: [asked, canonical], realmUrl, token }: Entry): number | undefined => {
          const known = generations.known(realmUrl)
          const holds = known?.fence === fence && !known.isPrivate && fence.holds(token, asked) &&
            fence.holds(token, canonical) &&
            (origin === undefined || generations.knownOrigin(origin.url) === origin.hasRealms)
          return holds ? known.generation : undefined
        }

        const write = (
          id: string,
          kept: Entry,
          generation: number,
          { headers, method }: http.IncomingMessage,
          response: http.ServerResponse
        ) => {
          let entry = kept
          if (generation !== kept.generation) entries.set(id, entry = prepare(kept, kept.sent, generation))
          counters.finishedHits++
          if (entry.isModule) {
            counters.l1Hits++
          }
          const condition = headers["if-none-match"]
          if (condition !== undefined && matches(condition, entry.etag)) writeHead(response, entry.notModified).end()
          else if (method === "HEAD") writeHead(response, entry.found).end()
          else writeHead(response, entry.found).end(entry.sent, "latin1")
        }

        return FinishedAnswers.of({
          answer: (request, response, otherwise) => {
            const { headers, method } = request
            if ((method !== "GET" && method !== "HEAD") || isUnusual(headers)) return otherwise()
            const id = identify(request.url ?? "", headers)
            const entry = entries.get(id)
            const generation = entry && holdsAt(entry)
            if (entry === undefined || generation === undefined) return otherwise()
            if (entry.unchanged === undefined) return write(id, entry, generation, request, response)
            entry.unchanged((isUnchanged) => {
              if (response.destroyed) return
              const generation = isUnchanged ? holdsAt(entry) : undefined
              if (generation !== undefined) return write(id, entry, generation, request, response)
              if (entries.peek(id) === entry) entries.delete(id)
              otherwise()
            })
          },
          keep: (asked, { body, ...finished }) => {
            const known = generations.known(finished.realmUrl)
            // Nobody is asked here who they are: what only some may read is not kept.
            if (known?.fence !== finished.fence || known.isPrivate) return
            const sent = body.length <= smallBody ? Buffer.from(body).toString("latin1") : body
            entries.set(identify(asked.url, asked.headers), prepare(finished, sent, known.generation))
          }
        })
      })
    )
}

/**
 * Up to so many bytes a body is kept as text, a character for each byte, which Node sends with its head in one write: that
 * is cheaper than two parts.
 */
const smallBody = 8192

type Headers = Asked["headers"]

/** Asks for more than an answer from memory: a generation, a part, or has a body; or brings credentials to be checked. */
const isUnusual = (headers: Headers): boolean =>
  headers["authorization"] !== undefined || headers["x-lockstep-fleet"] !== undefined ||
  headers["x-lockstep-min-generation"] !== undefined || headers["content-length"] !== undefined ||
  headers["transfer-encoding"] !== undefined || headers["expect"] !== undefined || headers["upgrade"] !== undefined

const direct = (url: string, headers: Headers): string => {
  const accept = headers["accept"]
  const wanted = typeof accept === "string" ? representationOf(accept) : 0
  return `${wanted}${codingFor(String(headers["accept-encoding"] ?? ""))} ${String(headers["host"])} ${resourceOf(url)}`
}

/** What the router makes of it: a client's `?v=2` finds, and keeps, what all others do. */
const resourceOf = (url: string): string => {
  if (!url.includes("?")) return url
  const { path, query } = splitQuery(url)
  return asksForSource(new URLSearchParams(query)) ? `${path}?source` : path
}

const behindProxy = (url: string, headers: Headers): string =>
  `${String(headers["x-forwarded-proto"])} ${String(headers["x-forwarded-host"])} ${direct(url, headers)}`

/** Of what `accept` may say, only these make a difference. */
const representationOf = (accept: string): number =>
  accept === "*/*"
    ? 0
    : (wantsSource(accept) ? 1 : 0) + (wantsHtml(accept) ? 2 : 0)
