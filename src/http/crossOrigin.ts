import { HttpServerResponse } from "effect/http"

type Headers = { readonly [name: string]: string | undefined }

/** What everybody may read, pages of every origin may: that is how browsers import modules of another host. */
export const readableByAll = {
  "access-control-allow-origin": "*",
  "cross-origin-resource-policy": "cross-origin"
}

/** What no page of another origin may see, unless its origin was named. */
const keptToOwnOrigin = { "cross-origin-resource-policy": "same-origin" }

const readMethods = "GET, HEAD"
const allMethods = "GET, HEAD, PUT, POST, DELETE"
const readHeaders = "accept, if-none-match, priority, x-lockstep-min-generation"
const allHeaders = `authorization, content-type, if-match, ${readHeaders}`
const exposed = "etag, location, retry-after, www-authenticate, x-lockstep-cache, x-lockstep-canonical-path, " +
  "x-lockstep-generation, x-lockstep-replica, x-lockstep-source-hash"

/** The origin that a browser's page says it is of, if the operator named it. */
export const namedOrigin = (headers: Headers, origins: ReadonlySet<string>): string | undefined => {
  const origin = headers["origin"]
  return origin !== undefined && origins.has(origin) ? origin : undefined
}

/**
 * Answers a browser that asks beforehand (a preflight). Pages of named origins may ask for everything, those of others may
 * read what is public: it is the same answer whatever is at the URL. Undefined for another `OPTIONS`.
 */
export const preflight = (method: string, headers: Headers, origins: ReadonlySet<string>, isOurs: boolean) => {
  if (method !== "OPTIONS" || headers["origin"] === undefined) return undefined
  if (headers["access-control-request-method"] === undefined) return undefined
  const named = namedOrigin(headers, origins)
  if (named === undefined && isOurs) return undefined
  return HttpServerResponse.empty({
    status: 204,
    headers: {
      "access-control-allow-origin": named ?? "*",
      "access-control-allow-methods": named === undefined ? readMethods : allMethods,
      "access-control-allow-headers": named === undefined ? readHeaders : allHeaders,
      "access-control-max-age": "600",
      "cache-control": "no-store",
      vary: "origin, access-control-request-method, access-control-request-headers"
    }
  })
}

/** Headers that say which pages may see an answer: all of them, those of a named origin, or those of our own. */
export const crossOriginHeaders = (isPublic: boolean, named: string | undefined): Readonly<Record<string, string>> => {
  if (isPublic) return readableByAll
  if (named === undefined) return keptToOwnOrigin
  return {
    "access-control-allow-origin": named,
    "access-control-expose-headers": exposed,
    "cross-origin-resource-policy": "cross-origin"
  }
}
