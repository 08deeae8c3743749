import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"

/** What a pooler passes on. Anything else it refuses, since the server's sessions are not this client's. */
const passed = new Set(["user", "database", "application_name", "client_encoding", "datestyle", "timezone"])

/**
 * PostgreSQL behind something that pools as PgBouncer does in transaction mode: a client has a server's session from the
 * first message of a transaction to its end, and the next one is on the session that has been idle for longest. So whatever a
 * session keeps (what it listens to, its locks, its prepared statements) is somebody else's a moment later.
 */
export const makeTransactionPooler = (target: number): Effect.Effect<number, never, Scope.Scope> =>
  Effect.gen(function*() {
    const pool = new Pool()
    const sockets = new Set<Socket>()
    const server = createServer((client) => {
      sockets.add(client)
      const upstream = connect(target, "127.0.0.1")
      sockets.add(upstream)
      for (const socket of [client, upstream]) socket.on("error", () => {}).setNoDelay()
      attach(pool, client, upstream)
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        })
    )
    const address = server.address()
    return typeof address === "object" && address !== null ? address.port : 0
  })

interface Session {
  readonly socket: Socket
  /** Who hears what the server says; nobody between transactions. */
  hear: ((message: Buffer) => void) | undefined
}

class Pool {
  readonly #idle: Array<Session> = []
  readonly #waiting: Array<(session: Session) => void> = []

  release(session: Session): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(session)
    else next(session)
  }

  acquire(use: (session: Session) => void): void {
    const session = this.#idle.shift()
    if (session === undefined) this.#waiting.push(use)
    else if (session.socket.destroyed) this.acquire(use)
    else use(session)
  }
}

/** Cuts a stream into messages; a startup message has no type before its length. */
const messages = (take: (message: Buffer) => void, typed: () => boolean) => {
  let rest = Buffer.alloc(0)
  return (data: Buffer) => {
    rest = Buffer.concat([rest, data])
    while (true) {
      const offset = typed() ? 1 : 0
      if (rest.length < offset + 4) return
      const length = offset + rest.readInt32BE(offset)
      if (rest.length < length) return
      const message = rest.subarray(0, length)
      rest = rest.subarray(length)
      take(message)
    }
  }
}

const typeOf = (message: Buffer) => String.fromCharCode(message[0] ?? 0)

const refusal = (text: string) => {
  const fields = Buffer.from(`SFATAL\0C08P01\0M${text}\0\0`)
  const message = Buffer.alloc(5 + fields.length)
  message.write("E")
  message.writeInt32BE(4 + fields.length, 1)
  fields.copy(message, 5)
  return message
}

const sslRequest = 80877103

const attach = (pool: Pool, client: Socket, upstream: Socket) => {
  let phase: "startup" | "authentication" | "pooled" = "startup"
  const session: Session = { socket: upstream, hear: (message) => void client.write(message) }
  let mine: Session | undefined
  let wanted = false
  let unanswered = 0
  let queued: Array<Buffer> = []

  const hear = (message: Buffer) => {
    client.write(message)
    if (typeOf(message) !== "Z" || --unanswered > 0 || message[5] !== "I".charCodeAt(0)) return
    const used = mine
    mine = undefined
    if (used === undefined) return
    used.hear = undefined
    pool.release(used)
  }
  const send = (message: Buffer) => {
    // Sync, a simple query and a function call are answered by one ReadyForQuery each.
    if ("SQF".includes(typeOf(message))) unanswered++
    mine?.socket.write(message)
  }
  const use = (given: Session) => {
    wanted = false
    mine = given
    mine.hear = hear
    const held = queued
    queued = []
    for (const message of held) send(message)
  }

  client.on(
    "data",
    messages((message) => {
      if (phase === "startup") {
        if (message.readInt32BE(4) === sslRequest) return void client.write("N")
        const words = message.subarray(8).toString().split("\0")
        const unknown = words.filter((_, index) => index % 2 === 0).find((name) => name !== "" && !passed.has(name))
        if (unknown !== undefined) return void client.end(refusal(`unsupported startup parameter: ${unknown}`))
        phase = "authentication"
        return void upstream.write(message)
      }
      if (phase === "authentication") return void upstream.write(message)
      if (typeOf(message) === "X") return void client.end()
      if (mine !== undefined) return send(message)
      queued.push(message)
      if (wanted) return
      // It may be had at once.
      wanted = true
      pool.acquire(use)
    }, () => phase !== "startup")
  )
  upstream.on(
    "data",
    messages((message) => {
      session.hear?.(message)
      if (phase !== "authentication" || typeOf(message) !== "Z") return
      phase = "pooled"
      session.hear = undefined
      pool.release(session)
    }, () => true)
  )
  upstream.on("close", () => {
    if (phase !== "pooled") client.destroy()
    session.hear = undefined
  })
  client.on("close", () => {
    if (phase !== "pooled") upstream.destroy()
    // In the middle of a transaction: the server's session is of no use to anybody.
    mine?.socket.destroy()
  })
}
