import { Effect, Fiber, Redacted } from "effect"
import { EmbeddedPostgres } from "../../../src/postgres/EmbeddedPostgres.ts"

// A process that uses the server of the data directory it is given until a signal ends it; prints the URL when it can.
// Without @effect/platform-node, which takes longer to load than the server to start.
const dataDir = process.argv[2] ?? ""

const use = Effect.gen(function*() {
  const { url } = yield* EmbeddedPostgres
  console.log(Redacted.value(url))
  return yield* Effect.never
}).pipe(
  Effect.provide(EmbeddedPostgres.layer({ dataDir, settings: { fsync: "off" } })),
  Effect.tapError((error) => Effect.sync(() => console.error(error.message)))
)

const fiber = Effect.runFork(use)
const alive = setInterval(() => {}, 1_000_000)
fiber.addObserver(() => clearInterval(alive))
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => Effect.runFork(Fiber.interrupt(fiber)))
}
