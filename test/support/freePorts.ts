import { Effect } from "effect"
import { randomInt } from "node:crypto"
import { createServer } from "node:net"

/** Below what systems give to connections and to port 0 by themselves: nobody is given one of these meanwhile. */
const lowest = 20_000
const beyond = 32_768

const given = new Set<number>()

/** Ports that were free a moment ago, for programs that must be told theirs. None is given twice by one process. */
export const freePorts = (count: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.promise(async () => {
    const ports: Array<number> = []
    for (let tries = 0; ports.length < count; tries++) {
      if (tries > 1000) throw new Error(`no ${count} ports are free from ${lowest} to ${beyond - 1}`)
      const port = randomInt(lowest, beyond)
      if (given.has(port) || !(await isFree(port))) continue
      given.add(port)
      ports.push(port)
    }
    return ports
  })

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    // On every address, as a program may.
    server.listen(port, () => server.close(() => resolve(true)))
  })
