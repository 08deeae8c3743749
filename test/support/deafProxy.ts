import { Effect } from "effect"
import * as net from "node:net"

const sslRequest = 80877103
const notificationResponse = "A".charCodeAt(0)

/** A proxy to a PostgreSQL server that passes everything on but notifications: yields the database's URL through it. */
export const deafProxy = Effect.fnUntraced(function*(databaseUrl: string) {
  const upstream = new URL(databaseUrl)
  const sockets = new Set<net.Socket>()
  const keep = (socket: net.Socket) => {
    sockets.add(socket)
    socket.on("error", () => socket.destroy()).on("close", () => sockets.delete(socket))
    return socket
  }
  const server = yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((client) => {
        keep(client)
        const database = keep(net.connect(Number(upstream.port), upstream.hostname))
        let begun = false
        client.on("data", (chunk: Buffer) => {
          if (!begun && chunk.length === 8 && chunk.readInt32BE(4) === sslRequest) return void client.write("N")
          begun = true
          database.write(chunk)
        })
        let rest = Buffer.alloc(0)
        database.on("data", (chunk: Buffer) => {
          rest = Buffer.concat([rest, chunk])
          while (rest.length >= 5 && rest.length >= 1 + rest.readInt32BE(1)) {
            const message = rest.subarray(0, 1 + rest.readInt32BE(1))
            rest = rest.subarray(message.length)
            if (message[0] !== notificationResponse) client.write(message)
          }
        })
        client.on("close", () => database.destroy())
        database.on("close", () => client.destroy())
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )
  const deaf = new URL(upstream)
  deaf.hostname = "127.0.0.1"
  deaf.port = String((server.address() as net.AddressInfo).port)
  return deaf.href
})
