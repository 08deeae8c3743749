import { Effect, Schema, type Scope } from "effect"
import * as Http from "node:http"
import { connect } from "node:net"

/** What a request says beyond its path. */
export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** An answer, with the time around it: `began` is read before a byte is sent, `ended` after the last byte came. */
export interface Answer {
  readonly status: number
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Buffer
  readonly text: string
  /** The body as JSON; throws when it is none. */
  readonly json: Record<string, unknown>
  /** Milliseconds of `performance.now()`. */
  readonly began: number
  readonly ended: number
  /** The question and the answer, for failure messages. */
  readonly shown: string
}

export class NoAnswer extends Schema.TaggedError<NoAnswer>("lockstep/test/NoAnswer")("NoAnswer", {
  request: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.request}: ${this.detail}`
  }
}

/** One server, asked as often as one likes. The path goes out as it is: nothing is normalised or encoded. */
export interface HttpClient {
  readonly ask: (path: string, ask?: Ask) => Effect.Effect<Answer, NoAnswer>
}

const deadline = 45_000

/** At most `maxSockets` requests are under way at a time; the others queue here, and `began` counts from their turn. */
export const makeHttpClient = (origin: string, maxSockets = 64): Effect.Effect<HttpClient, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Http.Agent({ keepAlive: true, maxSockets })),
      (agent) => Effect.sync(() => agent.destroy())
    ),
    (agent) => ({ ask: (path, ask = {}) => exchange(origin, agent, path, ask) })
  )

const exchange = (origin: string, agent: Http.Agent, path: string, ask: Ask): Effect.Effect<Answer, NoAnswer> =>
  Effect.callback((resume) => {
    const { body, headers, method = "GET" } = ask
    const length = body === undefined || headers?.["transfer-encoding"] !== undefined
      ? {}
      : { "content-length": String(Buffer.byteLength(body)) }
    const repeatable = method === "GET" || method === "HEAD"
    const { hostname, port } = new URL(origin)
    const request = `${method} ${origin}${path.length > 200 ? `${path.slice(0, 200)}...` : path}`
    let current: Http.ClientRequest | undefined
    const send = () => {
      let began = performance.now()
      // Only what may be sent twice shares connections: the server may close an idle one at any time.
      const sent = Http.request({
        hostname,
        port,
        path,
        method,
        headers: { ...length, ...headers },
        agent: repeatable && agent
      })
      current = sent
      sent.once("socket", () => {
        began = performance.now()
      })
      sent.setTimeout(deadline, () => sent.destroy(new Error(`no answer within ${deadline} ms`)))
      sent.once("response", (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.once("error", ({ message }) => resume(Effect.fail(new NoAnswer({ request, detail: message }))))
        response.once("end", () =>
          resume(Effect.succeed(
            answerOf(request, response.statusCode ?? 0, response.headers, Buffer.concat(chunks), began)
          )))
      })
      sent.on("error", (cause: NodeJS.ErrnoException) => {
        if (sent.reusedSocket && cause.code === "ECONNRESET") return send()
        resume(Effect.fail(new NoAnswer({ request, detail: cause.message })))
      })
      sent.end(body)
    }
    send()
    return Effect.sync(() => current?.destroy())
  })

const answerOf = (
  request: string,
  status: number,
  headers: Http.IncomingHttpHeaders,
  body: Buffer,
  began: number
): Answer => ({
  status,
  headers,
  body,
  began,
  ended: performance.now(),
  get text() {
    return body.toString()
  },
  get json() {
    return JSON.parse(body.toString()) as Record<string, unknown>
  },
  get shown() {
    return `${request} -> ${status} ${JSON.stringify(headers)}\n${body.subarray(0, 1000).toString()}`
  }
})

/**
 * Writes the bytes to a new connection and returns what came back until the server closed or reset it. For requests
 * that no HTTP client would send.
 */
export const sendBytes = (origin: string, bytes: string | Uint8Array): Effect.Effect<string, NoAnswer> =>
  Effect.callback((resume) => {
    const { hostname, port } = new URL(origin)
    const socket = connect(Number(port), hostname)
    const chunks: Array<Buffer> = []
    const received = () => Buffer.concat(chunks).toString("latin1")
    socket.setTimeout(deadline, () => socket.destroy(new Error(`no answer within ${deadline} ms`)))
    socket.on("data", (chunk) => chunks.push(Buffer.from(chunk)))
    socket.once("error", ({ message }) => {
      // A server that answers before it has read everything resets the connection.
      if (chunks.length === 0) resume(Effect.fail(new NoAnswer({ request: `bytes to ${origin}`, detail: message })))
    })
    socket.once("close", () => resume(Effect.succeed(received())))
    socket.write(bytes)
    return Effect.sync(() => socket.destroy())
  })
