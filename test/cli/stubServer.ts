import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { Effect } from "effect"

export interface Received {
  readonly method: string
  readonly path: string
  readonly host: string
  readonly body: string
  readonly headers: http.IncomingHttpHeaders
}

export interface StubAnswer {
  readonly status: number
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
}

/** The status of an answer that is none: the connection is cut. */
export const noAnswer = 0

/** A server that answers as it is told, until the scope closes, and keeps what it was asked. */
export const stubServer = Effect.fnUntraced(function*(answer: (request: Received) => StubAnswer) {
  const received: Array<Received> = []
  const server = http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const asked: Received = {
        method: request.method ?? "",
        path: request.url ?? "",
        host: request.headers.host ?? "",
        body: Buffer.concat(chunks).toString(),
        headers: request.headers
      }
      received.push(asked)
      const { body, headers = {}, status } = answer(asked)
      if (status === noAnswer) return void request.socket.destroy()
      response.writeHead(status, headers).end(typeof body === "string" ? body : JSON.stringify(body))
    })
  })
  yield* Effect.acquireRelease(
    Effect.callback<void>((resume) => {
      server.listen(0, "127.0.0.1", () => resume(Effect.void))
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      })
  )
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
})
