import type { AddressInfo } from "node:net"
import * as net from "node:net"
import { Effect } from "effect"
import { httpFailure } from "./startupFailure.ts"

/**
 * Holds the replica's port while it starts. A taken port is found before the database is started; with port 0 the
 * replica knows its own address before it can answer; and nobody else is given the port in between.
 */
export const reservePort = Effect.fnUntraced(function*(host: string, port: number) {
  const server = yield* Effect.acquireRelease(listen(host, port), close)
  return { port: (server.address() as AddressInfo).port, release: close(server) }
})

const listen = (host: string, port: number) =>
  Effect.callback<net.Server, ReturnType<ReturnType<typeof httpFailure>>>((resume) => {
    // Whoever connects before the replica can answer is told to come again.
    const server = net.createServer((socket) => socket.destroy())
    server.once("error", (error) => resume(Effect.fail(httpFailure(host, port)(error))))
    server.listen({ host, port }, () => resume(Effect.succeed(server)))
  })

const close = (server: net.Server) =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
  })
