import { Effect, Layer } from "effect"
import { Lease } from "../../src/coordination/Lease.ts"
import { Notifications } from "../../src/coordination/Notifications.ts"
import type { Message } from "../../src/coordination/Sessions.ts"
import type { Connection, Link } from "./Link.ts"
import type { Process, Simulation } from "./Simulation.ts"

/** What may happen to a message on its way to one listener. */
export interface Mishaps {
  lost: number
  delayed: number
  /** How many listeners hear nothing although their connection is alive. */
  deaf: number
  duplicated: number
  reordered: number
  /** How many are heard late by the process that sent them, as when its listening session is opened anew meanwhile. */
  late: number
}

interface Listener {
  readonly connection: Connection
  readonly bootId: string
  readonly hear: (message: Message) => void
}

/** NOTIFY: every listening session hears what is sent, unless something happens to it. */
export class Channels {
  readonly #simulation: Simulation
  readonly #mishaps: Mishaps
  readonly #listeners = new Set<Listener>()

  constructor(simulation: Simulation, mishaps: Mishaps) {
    this.#simulation = simulation
    this.#mishaps = mishaps
  }

  /** Hears what is sent to all, or to this boot, until its connection has ended. */
  listen(connection: Connection, bootId: string, hear: (message: Message) => void): void {
    if (this.#simulation.strikes("listeners deaf", this.#mishaps.deaf)) return
    const listener = { connection, bootId, hear }
    this.#listeners.add(listener)
    connection.onServer(() => this.#listeners.delete(listener))
  }

  send(message: Message, sender: Process, to?: string): void {
    const simulation = this.#simulation
    const { delayed, duplicated, late, lost, reordered } = this.#mishaps
    for (const { bootId, connection, hear } of this.#listeners) {
      if (to !== undefined && to !== bootId) continue
      if (simulation.strikes("notifications lost", lost)) continue
      // What is delayed holds up all that comes after it on this connection; what is reordered does not.
      if (simulation.strikes("notifications delayed", delayed)) {
        connection.push(() => hear(message), simulation.between(0, 600))
        continue
      }
      for (let copies = simulation.strikes("notifications duplicated", duplicated) ? 2 : 1; copies > 0; copies--) {
        const deliver = () => connection.push(() => hear(message))
        if (connection.isOf(sender) && simulation.strikes("own notifications late", late)) {
          simulation.after(simulation.between(100, 400), deliver)
        } else if (simulation.strikes("notifications reordered", reordered)) {
          simulation.after(simulation.between(0, 400), deliver)
        } else deliver()
      }
    }
  }
}

/** Heard on the lease's session, sent over the pool: statements of one replica may go over different backends. */
export const layerNotifications = (link: Link, channels: Channels) =>
  Layer.effect(
    Notifications,
    Effect.map(Lease, (lease) => {
      const connections: Array<Connection> = []
      return Notifications.of({
        subscribe: lease.subscribe,
        notify: (messages) =>
          Effect.suspend(() => {
            const backend = Math.trunc(link.simulation.random() * 2)
            const known = connections[backend]
            const connection = known?.alive === true ? known : connections[backend] = link.open("notify")
            const sender = link.process.index * 10 + backend
            return connection.call<void>("notify", (answer) => {
              for (const message of messages) channels.send({ ...message, sender }, link.process)
              answer(undefined)
            })
          })
      })
    })
  )
