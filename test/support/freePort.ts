import { Effect } from "effect"
import { randomInt } from "node:crypto"
import { createServer } from "node:net"

/** Below what systems give to connections and to port 0 by themselves: nobody is given one of these meanwhile. */
const lowest = 20_000
const beyond = 32_768

const given = new Set<number>()

/**
 * A port that was free a moment ago, for programs that must be told theirs, and that nobody is given unasked while a process
 * that listened there is down. None is given twice by one process.
 */
export const freePort: Effect.Effect<number> = Effect.promise(async () => {
  for (let tries = 0; tries < 1000; tries++) {
    const port = randomInt(lowest, beyond)
    if (given.has(port) || !(await isFree(port))) continue
    given.add(port)
    return port
  }
  throw new Error(`no port is free from ${lowest} to ${beyond - 1}`)
})

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once("error", () => resolve(false))
    // On every address, as a program may.
    server.listen(port, () => server.close(() => resolve(true)))
  })
