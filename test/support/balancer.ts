import { Effect, type Scope } from "effect"
import * as Http from "node:http"

const checkMillis = 200

/** Longer than a machine stands still: of all replicas that are late at once none would be left. */
const checkPatience = 15_000

interface Target {
  readonly port: number
  failures: number
  isUp: boolean
}

/**
 * Sends requests to these ports of this machine in turn, as a balancer in front of a fleet does. It asks each for `/_ready`
 * every 200 ms and takes it out after two answers that are not 200. A request that no connection could be made for goes to
 * another; one that was sent and had no answer does so only if it is safe to repeat. Anything else is 502.
 */
export const makeBalancer = (ports: ReadonlyArray<number>): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function*() {
    const agent = yield* Effect.acquireRelease(
      Effect.sync(() => new Http.Agent({ keepAlive: true })),
      (made) => Effect.sync(() => made.destroy())
    )
    const targets = ports.map((port): Target => ({ port, failures: 2, isUp: false }))
    const check = (target: Target) =>
      Effect.callback<boolean>((resume) => {
        const asked = Http.get(
          { port: target.port, path: "/_ready", timeout: checkPatience, agent: false },
          (response) => {
            response.resume()
            resume(Effect.succeed(response.statusCode === 200))
          }
        )
        asked.on("timeout", () => asked.destroy(new Error("timeout")))
        asked.on("error", () => resume(Effect.succeed(false)))
      }).pipe(Effect.map((up) => {
        target.failures = up ? 0 : target.failures + 1
        target.isUp = target.failures < 2
      }))
    yield* Effect.forEach(
      targets,
      (target) => Effect.forkScoped(Effect.forever(Effect.andThen(check(target), Effect.sleep(checkMillis))))
    )

    let turn = 0
    const server = Http.createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const body = Buffer.concat(chunks)
        const send = (tried: ReadonlyArray<Target>) => {
          const able = targets.filter((target) => target.isUp && !tried.includes(target))
          const target = able[turn++ % able.length]
          if (target === undefined) return void response.writeHead(502).end("no replica answered")
          const sent = Http.request({
            port: target.port,
            agent,
            path: request.url,
            method: request.method,
            headers: request.headers
          })
          let connected = false
          sent.on("socket", (socket) => {
            connected = !socket.connecting
            if (!connected) socket.once("connect", () => void (connected = true))
          })
          sent.on("response", (answer) => {
            const hop = new Set(["connection", "keep-alive", "transfer-encoding"])
            const answered = Object.entries(answer.headers).filter(([name]) => !hop.has(name))
            response.writeHead(answer.statusCode ?? 502, Object.fromEntries(answered))
            answer.pipe(response)
            answer.on("error", () => response.destroy())
          })
          sent.on("error", (error) => {
            if (response.headersSent) return void response.destroy()
            if (!connected || request.method === "GET") return send([...tried, target])
            response.writeHead(502).end(error.message)
          })
          sent.end(body)
        }
        send([])
      })
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    const address = server.address()
    return `http://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`
  })
