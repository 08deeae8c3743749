import { Effect } from "effect"
import { type Headers, HttpServerResponse } from "effect/http"
import type { RealmView } from "../coordination/Generations.ts"
import { matches, unchangedHeadersOf } from "./conditional.ts"
import { codingFor, isCompressible } from "./contentEncoding.ts"
import { always } from "./always.ts"
import { readableByAll } from "./crossOrigin.ts"
import { Encodings } from "./Encodings.ts"
import { FinishedAnswers, type Unchanged } from "./FinishedAnswers.ts"
import type { RequestedRealm } from "./RequestedRealm.ts"

/** One representation of a resource, before it is compressed. */
export interface Representation {
  readonly body: Uint8Array
  readonly contentType: string
  /** Strong: equal tags mean equal bytes. */
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
}

/** One of a realm's file or module. */
export interface RealmFile extends Representation {
  readonly canonicalPath: string
  readonly isModule: boolean
  /** False while the next answer may say more than this one does, or something else of the same bytes. */
  readonly isFinal: boolean
  /** See `Finished`. */
  readonly unchanged: Unchanged | undefined
}

interface WithHeaders {
  readonly headers: Headers.Headers
}

interface Request extends WithHeaders {
  /** Path and query, as sent. */
  readonly url: string
}

/** Answers with the representation in the coding that the client wants, or with 304 when the client has it. */
export const represent = Effect.fnUntraced(function*(
  request: WithHeaders,
  view: RealmView,
  representation: Representation
) {
  return respond(request, yield* encode(request, view, representation))
})

/**
 * The same for a file or module of a realm, whose answer is kept for those who ask the same, `headers` replaced by
 * `finishedHeaders` for them.
 */
export const representFile = Effect.fnUntraced(function*(
  request: Request,
  { immutable, origin, path, view }: RequestedRealm,
  file: RealmFile
) {
  const encoded = yield* encode(request, view, file)
  const lasting = file.isFinal && !immutable && view.unconfirmed !== true
  if (lasting) {
    const answers = yield* FinishedAnswers
    answers.keep({ url: request.url, headers: request.headers }, {
      origin,
      realmUrl: view.row.realmUrl,
      fence: view.fence,
      token: view.token,
      paths: [path, file.canonicalPath],
      body: encoded.body,
      etag: encoded.etag,
      headers: {
        ...headersOf(encoded),
        ...file.isModule && { "x-lockstep-cache": "l1" },
        ...readableByAll,
        ...always
      },
      isModule: file.isModule,
      unchanged: file.unchanged
    })
  }
  return respond(request, encoded)
})

interface Encoded extends Representation {
  readonly coding: "br" | "gzip" | "identity"
}

/**
 * Each coding has a tag of its own: its bytes are others. What was compressed of a private realm is known by that realm
 * too: how soon other bytes of the same tag are there must not tell that it has them.
 */
const encode = Effect.fnUntraced(function*(request: WithHeaders, { row }: RealmView, representation: Representation) {
  const { body, contentType, etag } = representation
  const coding = codingFor(request.headers["accept-encoding"])
  if (coding === "identity" || !isCompressible(contentType, body.length)) {
    return { ...representation, coding: "identity" } satisfies Encoded
  }
  const encodings = yield* Encodings
  const encoded = yield* encodings.encode(coding, { body, etag: row.isPrivate ? `${etag} ${row.realmUrl}` : etag })
  return { ...representation, body: encoded, etag: etag.replace(/"$/, `-${coding}"`), coding } satisfies Encoded
})

const headersOf = ({ coding, contentType, etag, headers }: Encoded): Record<string, string> => ({
  "content-type": contentType,
  ...headers,
  ...coding !== "identity" && { "content-encoding": coding },
  etag,
  vary: "accept, accept-encoding"
})

const respond = (request: WithHeaders, encoded: Encoded) => {
  const { "content-type": contentType, ...headers } = headersOf(encoded)
  return matches(request.headers["if-none-match"], encoded.etag)
    ? HttpServerResponse.empty({ status: 304, headers: unchangedHeadersOf(headers) })
    : HttpServerResponse.uint8Array(encoded.body, { contentType: contentType ?? "", headers })
}
