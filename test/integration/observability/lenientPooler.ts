import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto"
import { connect, createServer, type Socket } from "node:net"
import { Effect, type Scope } from "effect"

/**
 * A pooler in transaction mode, as far as it matters: a client has a server process from its first message until that one
 * says that it is idle, outside a transaction, and the next time it has another one. What belonged to the session stays
 * behind, and what is notified to it meanwhile is lost. It logs in by itself, with the password of the URL, and takes the
 * startup parameters that other poolers refuse: then nothing but its behaviour shows what it is.
 */
export const lenientPooler = (target: URL): Effect.Effect<string, never, Scope.Scope> =>
  Effect.gen(function*() {
    const sockets = new Set<Socket>()
    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const listener = createServer((client) => serve(client, target, sockets))
        listener.listen(0, "127.0.0.1", () => resume(Effect.succeed(listener)))
      }),
      (listener) =>
        Effect.sync(() => {
          listener.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    const address = server.address()
    const url = new URL(target)
    url.hostname = "127.0.0.1"
    url.port = String(typeof address === "object" && address !== null ? address.port : 0)
    return url.href
  })

/** Server processes that one client meets in turn. */
const processes = 2

const serve = (client: Socket, target: URL, sockets: Set<Socket>) => {
  const backends: Array<Backend> = []
  let current: Backend | undefined
  let next = 0
  let pending: Array<Buffer> = []
  const end = () => {
    client.destroy()
    for (const { socket } of backends) socket.destroy()
  }
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on("error", end)
    socket.on("close", () => {
      sockets.delete(socket)
      end()
    })
  }
  keep(client)
  const forward = () => {
    if (backends.length < processes || backends.some(({ ready }) => !ready)) return
    for (const message of pending) {
      current ??= backends[next++ % processes]
      current?.socket.write(message)
    }
    pending = []
  }
  const onStartup = (startup: Buffer) => {
    for (let at = 0; at < processes; at++) {
      const backend = logIn(target, startup, (greeting) => {
        // Of the greeting the client hears one.
        if (backend === backends[0]) client.write(greeting)
        forward()
      })
      keep(backend.socket)
      backends.push(backend)
      backend.onMessage = (message) => {
        if (current !== backend) return
        client.write(message)
        if (message[0] === readyForQuery && message[5] === idle) {
          current = undefined
          forward()
        }
      }
    }
  }
  let started = false
  frames(client, () => !started, (message) => {
    if (!started) {
      // A request for encryption is refused, as a server without certificates does.
      if (message.length === 8) return void client.write("N")
      started = true
      return onStartup(message)
    }
    pending.push(message)
    forward()
  })
}

interface Backend {
  readonly socket: Socket
  ready: boolean
  onMessage: (message: Buffer) => void
}

const readyForQuery = "Z".charCodeAt(0)
const idle = "I".charCodeAt(0)
const authentication = "R".charCodeAt(0)

/** Logs in with SCRAM-SHA-256 (RFC 7677) and hands over everything that follows. */
const logIn = (target: URL, startup: Buffer, onReady: (greeting: Buffer) => void): Backend => {
  const socket = connect(Number(target.port), target.hostname)
  const backend: Backend = { socket, ready: false, onMessage: () => {} }
  const nonce = randomBytes(18).toString("base64")
  const clientFirst = `n=,r=${nonce}`
  const greeting: Array<Buffer> = []
  const password = (body: Buffer) => socket.write(framed("p", body))
  socket.on("connect", () => socket.write(startup))
  frames(socket, () => false, (message) => {
    if (backend.ready) return backend.onMessage(message)
    if (message[0] !== authentication) {
      greeting.push(message)
      if (message[0] !== readyForQuery) return
      backend.ready = true
      return onReady(Buffer.concat(greeting))
    }
    const body = message.subarray(9)
    switch (message.readInt32BE(5)) {
      case 0:
        return void greeting.push(message)
      case 10: {
        const first = Buffer.from(`n,,${clientFirst}`)
        const length = Buffer.alloc(4)
        length.writeInt32BE(first.length)
        return void password(Buffer.concat([Buffer.from("SCRAM-SHA-256\0"), length, first]))
      }
      case 11:
        return void password(Buffer.from(proof(body.toString(), clientFirst, decodeURIComponent(target.password))))
    }
  })
  return backend
}

const proof = (serverFirst: string, clientFirst: string, password: string): string => {
  const part = (name: string) => new RegExp(`(?:^|,)${name}=([^,]*)`).exec(serverFirst)?.[1] ?? ""
  const hmac = (key: Buffer, text: string) => createHmac("sha256", key).update(text).digest()
  const salted = pbkdf2Sync(password, Buffer.from(part("s"), "base64"), Number(part("i")), 32, "sha256")
  const key = hmac(salted, "Client Key")
  const last = `c=biws,r=${part("r")}`
  const signature = hmac(createHash("sha256").update(key).digest(), `${clientFirst},${serverFirst},${last}`)
  return `${last},p=${Buffer.from(key.map((byte, at) => byte ^ (signature[at] ?? 0))).toString("base64")}`
}

const framed = (kind: string, body: Buffer): Buffer => {
  const head = Buffer.alloc(5)
  head.write(kind)
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** Cuts what arrives into messages; the first ones of a client have no letter before their length. */
const frames = (socket: Socket, isBare: () => boolean, onMessage: (message: Buffer) => void) => {
  let rest = Buffer.alloc(0)
  socket.on("data", (data: Buffer) => {
    rest = Buffer.concat([rest, data])
    for (;;) {
      const head = isBare() ? 0 : 1
      if (rest.length < head + 4) return
      const length = head + rest.readInt32BE(head)
      if (rest.length < length) return
      const message = rest.subarray(0, length)
      rest = rest.subarray(length)
      onMessage(message)
    }
  })
}
