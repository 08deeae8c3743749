import { Effect } from "effect"
import { DatabaseError } from "../../src/domain/errors.ts"
import type { Process, Simulation } from "./Simulation.ts"

/** How the network and the server behave in one run. */
export interface Weather {
  /** Milliseconds that most packets take at most. */
  readonly latency: number
  /** How many packets take ten times as long: reorderings that a uniform delay almost never makes. */
  readonly tail: number
  /** How many statements fail. */
  failing: number
  /** How many statements are done, and the connection ends before their reply is there. */
  unanswered: number
  /** The same of commits. */
  unansweredCommits: number
  /** How many statements the server begins late, or whose answer is late. */
  stalling: number
  /** The same of catch-ups. */
  stallingCatchUps: number
}

/** What the connection of a lease's session is for. */
export const sessionPurpose = "keep the session"

/** What the connection of statements outside of transactions is for. */
export const poolPurpose = "use the pool"

/** One TCP connection to the server. When it ends, whoever waits for an answer on it is told so. */
export class Connection {
  alive = true
  readonly #link: Link
  readonly #purpose: string
  readonly #pending = new Set<(error: DatabaseError) => void>()
  readonly #serverSide: Array<() => void> = []
  readonly #clientSide: Array<() => void> = []
  // Packets of one connection arrive in order.
  #arrival = 0

  constructor(link: Link, purpose: string) {
    this.#link = link
    this.#purpose = purpose
  }

  isOf(process: Process): boolean {
    return this.#link.process === process
  }

  /** What the server does when it finds the connection ended: roll back, free locks. */
  onServer(ended: () => void): void {
    this.#serverSide.push(ended)
  }

  /** What the client does when it finds the connection ended. */
  onClient(ended: () => void): void {
    this.#clientSide.push(ended)
  }

  /** Sends something to the client, in order. */
  push(deliver: () => void, delay = this.#link.delay()): void {
    const { process, simulation } = this.#link
    this.#arrival = Math.max(this.#arrival, simulation.now + delay)
    process.after(this.#arrival - simulation.now, () => {
      if (this.alive) deliver()
    })
  }

  /** Asks the server: a request that may be lost, one or more instants over there, an answer that may be lost. */
  call<A>(operation: string, execute: (answer: (value: A) => void) => void): Effect.Effect<A, DatabaseError> {
    return Effect.callback<A, DatabaseError>((resume) => {
      const { process, simulation, weather } = this.#link
      const error = (cause: string) => new DatabaseError({ operation, cause: new Error(cause) })
      const fail = (failure: DatabaseError) => {
        this.#pending.delete(fail)
        resume(Effect.fail(failure))
      }
      this.#pending.add(fail)
      if (!this.alive) {
        process.after(this.#link.delay(), () => fail(error("the connection has ended")))
        return
      }
      const stalling = operation === "catch up" ? weather.stallingCatchUps : 0
      const stall = simulation.chance(Math.max(stalling, weather.stalling)) ? simulation.random() * 400 : 0
      const isReplyLate = stall > 0 && simulation.chance(0.5)
      if (stall > 0) simulation.befell(isReplyLate ? "replies stalled" : "requests stalled")
      const reply = (deliver: () => void) => {
        process.after(this.#link.delay() + (isReplyLate ? stall : 0) + this.#replyStall(), () => {
          if (this.alive) deliver()
        })
      }
      simulation.after(this.#link.delay() + (isReplyLate ? 0 : stall), () => {
        if (!this.alive) return
        if (simulation.strikes("statements failed", weather.failing)) {
          reply(() => fail(error("a statement failed")))
          return
        }
        const unanswered = operation === "commit a transaction" ? weather.unansweredCommits : 0
        const isUnanswered = simulation.chance(Math.max(unanswered, weather.unanswered))
        execute((value) => {
          if (isUnanswered) {
            simulation.befell("replies lost")
            return this.end()
          }
          reply(() => {
            this.#pending.delete(fail)
            resume(Effect.succeed(value))
          })
        })
      })
      return Effect.sync(() => this.#pending.delete(fail))
    })
  }

  #replyStall(): number {
    if (this.#purpose !== sessionPurpose) return 0
    const { replyStall } = this.#link
    this.#link.replyStall = 0
    return replyStall
  }

  /** Ends it: both sides notice a little later. */
  end(): void {
    if (!this.alive) return
    this.alive = false
    this.#link.connections.delete(this)
    const { process, simulation } = this.#link
    simulation.after(simulation.between(0, 10), () => {
      for (const ended of this.#serverSide) ended()
    })
    process.after(simulation.between(0, 10), () => {
      const error = new DatabaseError({ operation: this.#purpose, cause: new Error("the connection was cut") })
      for (const fail of Array.from(this.#pending)) fail(error)
      for (const ended of this.#clientSide) ended()
    })
  }
}

/** A replica's way to PostgreSQL: all its connections, and what the network does to them. */
export class Link {
  readonly simulation: Simulation
  readonly process: Process
  readonly weather: Weather
  readonly connections = new Set<Connection>()
  /** How much later the next reply on the lease's session arrives. */
  replyStall = 0
  /** Attempts to connect the lease's session, held up until somebody lets them go. */
  #heldSessions: Array<() => void> | undefined
  /** Until when nothing passes and nobody is told: packets wait. */
  #blackUntil = 0
  /** Until when every attempt to connect is refused. */
  #refusedUntil = 0

  constructor(simulation: Simulation, process: Process, weather: Weather) {
    this.simulation = simulation
    this.process = process
    this.weather = weather
  }

  delay(): number {
    const { now } = this.simulation
    const { latency, tail } = this.weather
    const usual = this.simulation.random() * (this.simulation.strikes("packets late", tail) ? 10 * latency : latency)
    return Math.max(0, this.#blackUntil - now) + usual
  }

  get isRefused(): boolean {
    return this.simulation.now < this.#refusedUntil
  }

  connect(purpose: string): Effect.Effect<Connection, DatabaseError> {
    return Effect.callback<Connection, DatabaseError>((resume) => {
      const cancel = this.process.after(2 * this.delay(), () => {
        if (purpose === sessionPurpose && this.#heldSessions !== undefined) {
          this.#heldSessions.push(() => resume(Effect.succeed(this.#opened(purpose))))
          return
        }
        if (!this.isRefused) return resume(Effect.succeed(this.open(purpose)))
        this.simulation.befell("connections refused")
        resume(Effect.fail(new DatabaseError({ operation: purpose, cause: new Error("connection refused") })))
      })
      return Effect.sync(cancel)
    })
  }

  /** A connection of a pool, which is made when it is needed. */
  open(purpose: string): Connection {
    const connection = this.#opened(purpose)
    if (this.isRefused) {
      this.simulation.befell("connections refused")
      connection.end()
    }
    return connection
  }

  #opened(purpose: string): Connection {
    const connection = new Connection(this, purpose)
    this.connections.add(connection)
    return connection
  }

  /** Ends every connection and refuses new ones for a while. */
  cut(millis: number): void {
    this.#refusedUntil = Math.max(this.#refusedUntil, this.simulation.now + millis)
    for (const connection of Array.from(this.connections)) connection.end()
  }

  /** Holds up the lease's session, however often it is opened anew; nothing refuses it when it is let go. */
  holdSession(): void {
    this.#heldSessions ??= []
  }

  letSession(): void {
    const held = this.#heldSessions ?? []
    this.#heldSessions = undefined
    for (const connect of held) this.process.after(this.delay(), connect)
  }

  /** Holds up every packet for a while. */
  blackHole(millis: number): void {
    this.#blackUntil = Math.max(this.#blackUntil, this.simulation.now + millis)
  }
}
