import { Effect } from "effect"
import { createServer } from "node:net"

/** Below what systems give to whoever asks for any port, and to connections that go out. */
const lowest = 20_000
const count = 12_000

// Each is asked for once in this process, and two processes begin at different places.
let asked = Math.floor(Math.random() * count)

const isFree = (port: number) =>
  Effect.callback<boolean>((resume) => {
    const server = createServer()
    server.once("error", () => resume(Effect.succeed(false)))
    server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
  })

/** A port that nobody has, and that nobody is given unasked while a process that listened there is down. */
export const freePort = Effect.gen(function*() {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = lowest + asked++ % count
    if (yield* isFree(port)) return port
  }
  return yield* Effect.die(new Error(`a hundred ports from ${lowest} on are taken`))
})
