import { type Headers, HttpServerResponse } from "effect/http"

/** One representation of a resource, ready to be sent. */
export interface Representation {
  readonly body: Uint8Array
  readonly contentType: string
  /** Strong: equal tags mean equal bytes. */
  readonly etag: string
  readonly headers: Readonly<Record<string, string>>
}

/** Whether the client has this representation already (RFC 9110, `If-None-Match` compares weakly). */
const matches = (header: string | undefined, etag: string): boolean =>
  header !== undefined &&
  (header.trim() === "*" || header.split(",").some((candidate) => candidate.trim().replace(/^W\//, "") === etag))

/** Answers with the representation, or with 304 when the client has it. */
export const respond = (request: { readonly headers: Headers.Headers }, representation: Representation) => {
  const { body, contentType, etag } = representation
  const headers = { ...representation.headers, etag, vary: "accept, accept-encoding" }
  return matches(request.headers["if-none-match"], etag)
    ? HttpServerResponse.empty({ status: 304, headers })
    : HttpServerResponse.uint8Array(body, { contentType, headers: { ...headers, "x-content-type-options": "nosniff" } })
}
