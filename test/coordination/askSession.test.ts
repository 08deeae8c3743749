import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { askSession } from "../../src/coordination/askSession.ts"
import { standStill } from "../support/standStill.ts"

/** Answers whatever it is told, on a thread of its own. */
const echo = Effect.acquireRelease(
  Effect.promise(async () => {
    const worker = new Worker(
      "const { parentPort } = require('node:worker_threads'); parentPort.on('message', (m) => parentPort.postMessage(m))",
      { eval: true }
    )
    await once(worker, "online")
    return worker
  }),
  (worker) => Effect.promise(() => worker.terminate())
)

it.live("an answer that arrived while this process stood still is taken, though its time had passed", () =>
  Effect.gen(function*() {
    const worker = yield* echo
    for (let round = 0; round < 2; round++) {
      const answer = yield* Effect.forkChild(
        askSession(
          Effect.promise(() => {
            const heard = once(worker, "message")
            worker.postMessage(round)
            return heard
          }),
          2000
        ),
        { startImmediately: true }
      )
      yield* Effect.promise(() => new Promise(setImmediate))
      standStill(2600)
      assert.deepStrictEqual(yield* Fiber.join(answer), [round])
    }
  }).pipe(Effect.scoped))

it.effect("an answer that does not come fails when its time has passed, and the question is not interrupted", () =>
  Effect.gen(function*() {
    let interrupted = false
    const asked = yield* Effect.forkChild(
      askSession(Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted = true)), 2000),
      { startImmediately: true }
    )
    yield* TestClock.adjust(1999)
    assert.isUndefined(asked.pollUnsafe())
    yield* TestClock.adjust(1)
    const exit = yield* Fiber.await(asked)
    assert.isTrue(Exit.isFailure(exit))
    assert.include(String(Exit.isFailure(exit) && exit.cause), "no answer in 2000 ms")
    assert.isFalse(interrupted)
  }))
