import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { start } from "../../src/reindex/isolated/IsolatedProcess.ts"
import { layerIsolated } from "../../src/reindex/isolated/layer.ts"
import { defaultLimits, Prerenderer } from "../../src/reindex/Prerenderer.ts"

const timeoutMillis = 60_000
const well = { code: "export class Person { static isolated() { return 'well' } }" }
const person = { module: "http://realm.test/r/person", name: "Person", model: undefined }

// In a file of its own: what it does to its process would reach the tests beside it.
it.live(
  "a system that could start no process at first is asked again",
  () =>
    Effect.gen(function*() {
      const { open } = yield* Prerenderer
      const { execPath } = process
      process.execPath = path.join(tmpdir(), "no-such-node")
      const first = yield* Effect.result(Effect.scoped(open)).pipe(
        Effect.ensuring(Effect.sync(() => process.execPath = execPath))
      )
      assert.strictEqual(first._tag, "Failure")
      const renderer = yield* open
      assert.deepStrictEqual(yield* renderer.render(person, () => Effect.succeed(well)), Option.some("well"))
    }).pipe(Effect.scoped, Effect.provide(layerIsolated({ timeoutMillis })))
)

it.effect("what does not answer may another time; what ends may not", () =>
  Effect.gen(function*() {
    const started = (...confinement: ReadonlyArray<string>) =>
      start({ confinement, program: { supervisor: "", thread: "" }, limits: defaultLimits }).pipe(
        Effect.scoped,
        Effect.flip,
        Effect.map((failure) => failure._tag === "NotBegun" ? failure.passing : failure)
      )
    const silent = yield* Effect.forkChild(started("sh", "-c", "sleep 600"), { startImmediately: true })
    yield* TestClock.adjust("10 seconds")
    assert.isTrue(yield* Fiber.join(silent))
    assert.isFalse(yield* started("false"))
    assert.isFalse(yield* started("no-such-program"))
  }))
