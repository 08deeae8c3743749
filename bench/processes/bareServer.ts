/** The least that Node can do to serve modules: `node:http`, a Map, and the headers that any module server must send. */
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { answerParent } from "./answerParent.ts"

type Headers = Readonly<Record<string, string>>

export interface Page {
  readonly path: string
  readonly etag: string
  readonly body: Uint8Array
  /** What to say instead of the least: with the bytes, and with a 304. */
  readonly says?: { readonly found: Headers; readonly notModified: Headers }
}

const serve = (given: ReadonlyArray<Page>) => {
  const pages = new Map(given.map(({ body, etag, path, says }) => {
    const validators = { etag, "cache-control": "public, max-age=0, must-revalidate" }
    const headers = { "content-type": "text/javascript; charset=utf-8", "content-length": body.byteLength }
    return [path, { etag, body, found: { ...headers, ...validators }, notModified: validators, ...says }]
  }))
  const server = http.createServer((request, response) => {
    const page = pages.get(request.url ?? "")
    if (page === undefined) response.writeHead(404).end()
    else if (request.headers["if-none-match"] === page.etag) response.writeHead(304, page.notModified).end()
    else response.writeHead(200, page.found).end(page.body)
  })
  return new Promise<number>((resolve) => {
    server.listen({ host: "127.0.0.1", port: 0 }, () => resolve((server.address() as AddressInfo).port))
  })
}

answerParent(serve)
