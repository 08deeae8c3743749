import type * as http from "node:http"
import type * as net from "node:net"

/** How long clients may take, in milliseconds. */
export interface ConnectionLimits {
  /** For the headers of a request. */
  readonly headersMillis: number
  /** For a whole request, body and all. */
  readonly requestMillis: number
  /** Without taking a byte of an answer that waits to be sent. */
  readonly stallMillis: number
}

export const defaultConnectionLimits: ConnectionLimits = {
  headersMillis: 15_000,
  requestMillis: 60_000,
  stallMillis: 30_000
}

/** Of a request's headers, the line with its path included, in bytes. */
export const maxHeaderBytes = 32_768

/** What Node's server is made with, so that slow requests are cut. */
export const serverOptions = ({ headersMillis, requestMillis }: ConnectionLimits): http.ServerOptions => ({
  headersTimeout: headersMillis,
  requestTimeout: requestMillis,
  maxHeaderSize: maxHeaderBytes,
  // Node looks for slow ones this often.
  connectionsCheckingInterval: Math.ceil(Math.min(5_000, headersMillis / 3))
})

/**
 * Cuts clients that do not read what they asked for, and answers what is no HTTP as problems. A connection whose handler is
 * still at work is let be: there is nothing that its client could read.
 */
export const guardConnections = (server: http.Server, { stallMillis }: ConnectionLimits): void => {
  const working = new WeakMap<net.Socket, http.ServerResponse>()
  server.timeout = stallMillis
  server.prependListener("request", (request: http.IncomingMessage, response: http.ServerResponse) => {
    working.set(request.socket, response)
  })
  // Node calls a socket silent only if none of what waits to be sent has gone out meanwhile.
  server.on("timeout", (socket) => {
    const response = working.get(socket)
    const atWork = response !== undefined && !response.writableEnded && socket.writableLength === 0
    if (!atWork) socket.destroy()
  })
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    // Another answer may be on its way out, or nobody may be there to read.
    if (!socket.writable || working.get(socket as net.Socket)?.headersSent === true) return void socket.destroy()
    socket.end(problemOf(error.code ?? ""), () => socket.destroy())
  })
}

const problemOf = (code: string): string => {
  switch (code) {
    case "HPE_HEADER_OVERFLOW":
      return rawProblem(
        431,
        "Request Header Fields Too Large",
        "headers-too-large",
        "The headers are too large",
        `a request's path and headers may have ${maxHeaderBytes} bytes together`
      )
    case "ERR_HTTP_REQUEST_TIMEOUT":
      return rawProblem(
        408,
        "Request Timeout",
        "request-timeout",
        "The request took too long",
        "headers and body must arrive in time"
      )
    default:
      return rawProblem(400, "Bad Request", "invalid-input", "The request is not valid", "this is no HTTP/1.1 request")
  }
}

/** A problem as bytes, where there is no request that could be answered. */
const rawProblem = (status: number, reason: string, type: string, title: string, detail: string): string => {
  const body = JSON.stringify({ type: `urn:lockstep:${type}`, title, status, detail })
  return `HTTP/1.1 ${status} ${reason}\r\ncontent-type: application/problem+json\r\ncache-control: no-store\r\n` +
    `x-content-type-options: nosniff\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`
}
