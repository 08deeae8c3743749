import * as http from "node:http"
import { Socket } from "node:net"

/**
 * The head of an answer, put together once for all who get it. Node checks and joins every header of every answer anew:
 * with the dozen of a module's that was a quarter of all that a hit in memory cost (see docs/BENCHMARKS.md).
 */
export interface PreparedHead {
  readonly status: number
  /** Flat list of names and values, as Node takes them: all of them, and those that tell it how long the body is. */
  readonly all: Array<string>
  readonly framing: Array<string>
  /** The first line, and all lines but the framing's. */
  readonly start: string
  readonly firstLine: string
}

/** Checks the headers as Node would. `content-length` is the framing; where it is left out, there is no body. */
export const prepareHead = (status: number, headers: Readonly<Record<string, string>>): PreparedHead => {
  const firstLine = firstLineOf(status)
  let start = firstLine
  const framing = new Array<string>()
  for (const [name, value] of Object.entries(headers)) {
    http.validateHeaderName(name)
    http.validateHeaderValue(name, value)
    if (name === "content-length") framing.push(name, value)
    else start += `${name}: ${value}\r\n`
  }
  return { status, all: Object.entries(headers).flat(), framing, start, firstLine }
}

const firstLineOf = (status: number): string => `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ""}\r\n`

/** What Node is going to send before the body: its own field, of which it makes no promise. */
interface WithHead {
  _header?: unknown
}

/** Node says what is its own to say (date, connection, framing), and the lines that are known already are put in front. */
export const writeHead = (response: http.ServerResponse, head: PreparedHead): http.ServerResponse => {
  if (!isOpen) return response.writeHead(head.status, head.all)
  response.writeHead(head.status, head.framing)
  const opened = response as http.ServerResponse & WithHead
  opened._header = head.start + String(opened._header).slice(head.firstLine.length)
  return response
}

/** Whether this Node keeps a head where it can be completed; one that does not is told every header. */
const isOpen = (() => {
  const response = new http.ServerResponse(new http.IncomingMessage(new Socket()))
  response.writeHead(304, [])
  const head = (response as http.ServerResponse & WithHead)._header
  return typeof head === "string" && head.startsWith(firstLineOf(304)) && head.endsWith("\r\n\r\n")
})()
