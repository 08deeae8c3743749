import { Effect, type Scope } from "effect"
import { connect, createServer, type Socket } from "node:net"

/** Which connections: by the name that the client gave itself in PostgreSQL (`application_name`). */
export type Which = (applicationName: string) => boolean

export const everyConnection: Which = () => true

/** Between a replica and PostgreSQL: passes bytes on until it is told to fail. */
export interface TcpProxy {
  readonly port: number
  /**
   * A black hole: nothing passes in either direction, not even that an end is gone, and new connections get no answer.
   * Both ends see a connection that looks alive.
   */
  readonly hold: (which?: Which) => Effect.Effect<void>
  /** A message of a client of which this is true is held back, and from then on its connection. */
  readonly holdAt: (matches: (message: string) => boolean) => Effect.Effect<void>
  /** How many connections are held. */
  readonly held: Effect.Effect<number>
  /** Ends every hold. What was held back arrives now, late. */
  readonly release: Effect.Effect<void>
  /** From now on each piece of data takes this long, drawn anew for each, in both directions; in order. */
  readonly delay: (millis: () => number) => Effect.Effect<void>
  /** Ends the connections at both ends. */
  readonly cut: (which?: Which) => Effect.Effect<void>
}

/** Stands in front of a port of this machine until the scope closes. */
export const makeTcpProxy = (target: number): Effect.Effect<TcpProxy, never, Scope.Scope> =>
  Effect.gen(function*() {
    const links = new Set<Link>()
    let isHeld: Which | undefined
    let holdsAt: ((message: string) => boolean) | undefined
    let delay = () => 0

    const server = yield* Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const listener = createServer((client) => {
          const link = new Link(client, target, {
            isHeld: (name) => isHeld?.(name) === true,
            holdsAt: (data) => holdsAt?.(data.toString("latin1")) === true,
            delay: () => delay(),
            ended: () => links.delete(link)
          })
          links.add(link)
        })
        listener.listen(0, "127.0.0.1", () => resume(Effect.succeed(listener)))
      }),
      (listener) =>
        Effect.sync(() => {
          listener.close()
          for (const link of links) link.cut()
        })
    )
    const address = server.address()
    return {
      port: typeof address === "object" && address !== null ? address.port : 0,
      hold: (which = everyConnection) =>
        Effect.sync(() => {
          isHeld = which
          for (const link of links) if (which(link.name)) link.hold()
        }),
      holdAt: (matches) => Effect.sync(() => void (holdsAt = matches)),
      held: Effect.sync(() => Array.from(links).filter((link) => link.held).length),
      release: Effect.sync(() => {
        isHeld = undefined
        holdsAt = undefined
        for (const link of links) link.release()
      }),
      delay: (millis) => Effect.sync(() => void (delay = millis)),
      cut: (which = everyConnection) =>
        Effect.sync(() => {
          for (const link of links) if (which(link.name)) link.cut()
        })
    }
  })

interface Faults {
  readonly isHeld: Which
  readonly holdsAt: (data: Buffer) => boolean
  readonly delay: () => number
  readonly ended: () => void
}

/** One connection, and its continuation to the server. */
class Link {
  /** The client's `application_name`; empty until its first message has come. */
  name = ""
  held = false
  readonly #client: Socket
  readonly #server: Socket
  readonly #faults: Faults
  /** What to do when the hold ends, in order: pass data on, or tell one end that the other is gone. */
  #withheld: Array<() => void> = []

  constructor(client: Socket, target: number, faults: Faults) {
    this.#client = client
    this.#server = connect(target, "127.0.0.1")
    this.#faults = faults
    client.setNoDelay()
    this.#server.setNoDelay()
    client.on("data", (data: Buffer) => this.#recognise(data))
    this.#pass(client, this.#server)
    this.#pass(this.#server, client)
  }

  hold(): void {
    this.held = true
  }

  release(): void {
    this.held = false
    const withheld = this.#withheld
    this.#withheld = []
    for (const step of withheld) step()
  }

  cut(): void {
    this.#client.destroy()
    this.#server.destroy()
    this.#faults.ended()
  }

  #recognise(data: Buffer): void {
    if (this.name === "") {
      this.name = /application_name\0([^\0]*)\0/.exec(data.toString("latin1"))?.[1] ?? ""
      if (this.name !== "" && this.#faults.isHeld(this.name)) this.held = true
    }
    if (this.#faults.holdsAt(data)) this.held = true
  }

  #pass(from: Socket, to: Socket): void {
    let last = Promise.resolve()
    const inTurn = (step: () => void) => {
      const millis = this.#faults.delay()
      const passed = () => this.held ? void this.#withheld.push(step) : step()
      if (millis === 0) return void (last = last.then(passed))
      const due = new Promise((resolve) => setTimeout(resolve, millis))
      last = last.then(() => due).then(passed)
    }
    from.on("data", (data: Buffer) => inTurn(() => void to.write(data)))
    from.on("error", () => {})
    from.on("close", () => inTurn(() => this.cut()))
  }
}
