/** Run as a process of its own by a test: starts a worker process, says which, and waits to be killed. */
import { Effect } from "effect"
import { startWorker } from "../../src/transpile/FarmWorker.ts"

// an idle worker keeps nobody alive
setInterval(() => {}, 60_000)
const entry = new URL("./pidWorker.ts", import.meta.url)
await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const worker = yield* startWorker<string, number>({ entry, heapMb: 64, place: "process" })
  process.stdout.write(`${yield* worker.ask("who")}\n`)
  return yield* Effect.never
})))
