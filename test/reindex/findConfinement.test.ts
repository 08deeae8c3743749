import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { confinements } from "../../src/reindex/isolated/confinement.ts"
import { findConfinement } from "../../src/reindex/isolated/findConfinement.ts"
import { NotBegun } from "../../src/reindex/isolated/IsolatedProcess.ts"
import { RenderFailure } from "../../src/reindex/Prerenderer.ts"

const all = confinements()

/** What each attempt meets, in turn; and which confinements were tried. */
const scripted = (...outcomes: ReadonlyArray<"starts" | "ends" | "late" | "nowhere">) => {
  const tried: Array<number> = []
  const found = findConfinement((confinement) =>
    Effect.suspend(() => {
      const outcome = outcomes[tried.length]
      tried.push(all.findIndex(({ command }) => command.join() === confinement.command.join()))
      if (outcome === "starts") return Effect.void
      return Effect.fail(
        outcome === "nowhere"
          ? new RenderFailure({ reason: "unavailable", detail: "it is nowhere" })
          : new NotBegun({ detail: `it is ${outcome}`, passing: outcome === "late" })
      )
    })
  )
  return { found, tried }
}

it.effect("the strictest confinement that is permitted is found by trying", () =>
  Effect.gen(function*() {
    const strictest = scripted("starts")
    assert.deepStrictEqual(yield* strictest.found, all[0])
    assert.deepStrictEqual(strictest.tried, [0])
    if (all.length === 1) return
    const second = scripted("ends", "ends", "starts")
    assert.deepStrictEqual(yield* second.found, all[1])
    assert.deepStrictEqual(second.tried, [0, 0, 1])
  }))

for (const shortage of ["late", "nowhere"] as const) {
  it.effect(`one that is ${shortage} is tried again, and nothing weaker is settled for`, () =>
    Effect.gen(function*() {
      for (const first of ["ends", shortage] as const) {
        const once = scripted(first, "starts")
        assert.deepStrictEqual(yield* once.found, all[0])
        const twice = scripted(first, shortage, "starts")
        const failure = yield* Effect.flip(twice.found)
        assert.instanceOf(failure, RenderFailure)
        assert.strictEqual(failure.reason, "unavailable")
        assert.include(failure.detail, `it is ${shortage}`)
        assert.deepStrictEqual(twice.tried, [0, 0])
      }
    }))
}

it.effect("where none is permitted, the reasons of all are told", () =>
  Effect.gen(function*() {
    const none = scripted(...all.flatMap(() => ["ends", "ends"] as const))
    const { detail, reason } = yield* Effect.flip(none.found)
    assert.strictEqual(reason, "unavailable")
    assert.strictEqual(detail.split("it is ends").length - 1, all.length)
  }))
