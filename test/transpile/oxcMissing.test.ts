import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { vi } from "vitest"
import { Transpiler } from "../../src/transpile/Transpiler.ts"

vi.mock("oxc-transform", () => {
  throw new Error("Cannot find native binding")
})

it.live("a machine without oxc-transform hears at the start what to install, or what else to choose", () =>
  Effect.gen(function*() {
    const failure = yield* Effect.flip(Effect.provide(Transpiler, Transpiler.layerOxc({ workers: 1 })))
    assert.deepInclude(failure, { _tag: "TranspilerUnavailable", reason: "start" })
    assert.include(failure.message, "npm install oxc-transform")
    assert.include(failure.message, "--transpiler babel")
  }))
