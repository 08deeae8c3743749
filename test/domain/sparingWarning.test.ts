import { assert, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import { makeSparingWarning } from "../../src/domain/sparingWarning.ts"

it.effect("of many warnings in a second one is written, and the next says how many were not", () =>
  Effect.gen(function*() {
    const written: Array<unknown> = []
    const logger = Logger.make(({ message }) => void written.push(Array.isArray(message) ? message[0] : message))
    const warn = makeSparingWarning()
    const logged = Effect.provide(
      Effect.forEach(["a", "b", "c"], (module) => warn(`no shared cache for ${module}`, new Error("away"))),
      Logger.layer([logger])
    )
    yield* logged
    assert.deepStrictEqual(written, ["no shared cache for a"])
    yield* TestClock.adjust("1 second")
    yield* logged
    assert.deepStrictEqual(written.slice(1), ["no shared cache for a (and 2 more like it before)"])
    yield* TestClock.adjust("1 minute")
    yield* Effect.provide(warn("again", undefined), Logger.layer([logger]))
    assert.deepStrictEqual(written.slice(2), ["again (and 2 more like it before)"])
    yield* TestClock.adjust("1 minute")
    yield* Effect.provide(warn("once more", undefined), Logger.layer([logger]))
    assert.deepStrictEqual(written.slice(3), ["once more"])
  }))
