import { assert, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { makeSparingWarning } from "../../src/domain/sparingWarning.ts"

it.effect("of many warnings in a second one is written, and the next says how many were not, and since when", () =>
  Effect.gen(function*() {
    const written: Array<unknown> = []
    const logger = Logger.make(({ message }) => void written.push(Array.isArray(message) ? message[0] : message))
    const warn = makeSparingWarning("No shared cache")
    const warned = (...modules: ReadonlyArray<string>) =>
      Effect.forEach(modules, (module) => warn(module, new Error("away"))).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.map(() => written.splice(0))
      )
    assert.deepStrictEqual(yield* warned("a", "b", "c"), ["No shared cache for a"])
    yield* TestClock.adjust("999 millis")
    assert.deepStrictEqual(yield* warned("d"), [])
    yield* TestClock.adjust("1 minute")
    assert.deepStrictEqual(yield* warned("e"), [
      "No shared cache for e (and 3 more times since 1970-01-01T00:00:00.000Z)"
    ])
    yield* TestClock.adjust("1 second")
    assert.deepStrictEqual(yield* warned("f"), ["No shared cache for f"])
  }))
