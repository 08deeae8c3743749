import { assert, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { makePatience, timeoutAwake } from "../../src/domain/timeoutAwake.ts"
import { standStill } from "../support/standStill.ts"

// What stands still here does so for every test of the file.
const alone = { concurrent: false }
const late = { orElse: () => Effect.succeed("late") }

it.effect("what takes longer is given up at its time, and interrupted", () =>
  Effect.gen(function*() {
    let interrupted = false
    const never = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted = true))
    const waiting = yield* Effect.forkChild(timeoutAwake(never, { patience: "10 seconds", ...late }), {
      startImmediately: true
    })
    yield* TestClock.adjust(9_999)
    assert.isUndefined(waiting.pollUnsafe())
    yield* TestClock.adjust(1)
    assert.strictEqual(yield* Fiber.join(waiting), "late")
    assert.isTrue(interrupted)
  }))

it.effect("what fails in time fails, and what comes in time is there", () =>
  Effect.gen(function*() {
    assert.strictEqual(yield* Effect.flip(timeoutAwake(Effect.fail("no"), { patience: 10, ...late })), "no")
    assert.strictEqual(yield* timeoutAwake(Effect.succeed("yes"), { patience: 10, ...late }), "yes")
  }))

it.effect("a patience is spent by all that is waited for with it", () =>
  Effect.gen(function*() {
    const patience = yield* makePatience("10 seconds")
    const waiting = yield* Effect.forkChild(
      Effect.gen(function*() {
        for (let waits = 0;; waits++) {
          const answer = yield* timeoutAwake(Effect.as(Effect.sleep("3 seconds"), "in time"), { patience, ...late })
          if (answer === "late") return waits
          yield* Effect.sleep("1 hour")
        }
      }),
      { startImmediately: true }
    )
    yield* TestClock.adjust("3 hours")
    yield* TestClock.adjust(9_999)
    assert.isUndefined(waiting.pollUnsafe())
    yield* TestClock.adjust(1)
    assert.strictEqual(yield* Fiber.join(waiting), 3)
  }))

it.live("time in which the process stood still is not spent, whenever that was", () =>
  Effect.gen(function*() {
    for (const [before, answered] of [[0, 500], [350, 430]] as const) {
      const patience = yield* makePatience(400)
      const waiting = yield* Effect.forkChild(
        timeoutAwake(Effect.as(Effect.sleep(answered), "in time"), { patience, ...late }),
        { startImmediately: true }
      )
      yield* Effect.sleep(before)
      standStill(1000)
      assert.strictEqual(yield* Fiber.join(waiting), "in time")
      // It is there to be spent, for all that.
      assert.strictEqual(yield* timeoutAwake(Effect.never, { patience, ...late }), "late")
    }
  }), alone)

it.live("a process that does nothing but stand still gives up nevertheless", () =>
  Effect.gen(function*() {
    let stops = 0
    const stopping = setInterval(() => {
      stops++
      standStill(200)
    }, 1)
    yield* timeoutAwake(Effect.never, { patience: 100, ...late }).pipe(
      Effect.ensuring(Effect.sync(() => clearInterval(stopping)))
    )
    assert.isAtMost(stops, 20)
  }), alone)
