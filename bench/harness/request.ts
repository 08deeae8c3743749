import { Effect } from "effect"
import type { Page } from "../processes/bareServer.ts"
import { BenchFailed } from "./BenchFailed.ts"
import { sourceRealm } from "./replica.ts"

/** One request, for what is prepared and not measured. Fails unless it is answered well, within a minute. */
export const request = (url: string, init: RequestInit = {}) =>
  Effect.tryPromise({
    try: async () => {
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(60_000) })
      const body = new Uint8Array(await response.arrayBuffer())
      if (!response.ok && response.status !== 304) throw new Error(new TextDecoder().decode(body))
      return { body, headers: response.headers }
    },
    catch: (cause) => new BenchFailed({ detail: `${url}: ${String(cause)}` })
  })

/** Where rows publish the realm of effect's modules. */
export const publishedRealm = new URL("/published/", sourceRealm).href

/** Publishes through this replica; answers when every replica has applied it. */
export const publish = (replica: string, source = sourceRealm, published = publishedRealm) =>
  request(`${replica}/_publish-realm`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sourceRealmURL: source, publishedRealmURL: published })
  })

/** A server's answer as it is sent to hammers, uncompressed, which a peer can give too. It is in memory afterwards. */
export const page = (server: string, path: string) =>
  Effect.map(
    request(server + path, { headers: { "accept-encoding": "identity" } }),
    ({ body, headers }): Page => ({ path, body, etag: headers.get("etag") ?? "" })
  )

/** The page at another path, with all the headers that this server sends with it, and with its 304. */
export const pageAsSaid = Effect.fnUntraced(function*(server: string, page: Page) {
  const headers = { "accept-encoding": "identity" }
  const found = yield* request(server + page.path, { headers })
  const unchanged = yield* request(
    server + page.path,
    { headers: { ...headers, "if-none-match": page.etag } }
  )
  const own = (all: Headers) =>
    Object.fromEntries([...all].filter(([name]) => !["date", "connection", "keep-alive"].includes(name)))
  return {
    ...page,
    path: `${page.path}?as-said`,
    says: { found: own(found.headers), notModified: own(unchanged.headers) }
  } satisfies Page
})
