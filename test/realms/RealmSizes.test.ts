import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { RealmFiles } from "../../src/realms/RealmFiles.ts"
import { RealmSizes } from "../../src/realms/RealmSizes.ts"
import type { RealmRow } from "../../src/store/RealmTable.ts"
import { eventually } from "../support/eventually.ts"
import { link, notes, put, realmFiles, TemporaryRealms } from "./temporaryRealms.ts"

const row = (generation: number): RealmRow => ({
  ...notes,
  isPrivate: false,
  generation,
  state: "live",
  wipeFloor: 0,
  definitionFloor: 0,
  sourceUrl: null,
  lastPublishedAt: null
})

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, RealmFiles | RealmSizes | TemporaryRealms>) =>
  it.live(
    name,
    () => Effect.scoped(Effect.provide(test(), Layer.fresh(RealmSizes.layer.pipe(Layer.provideMerge(realmFiles)))))
  )

live("a realm is measured behind the back of who asks, and again when it has moved", () =>
  Effect.gen(function*() {
    const sizes = yield* RealmSizes
    yield* put("a.ts", "12345")
    yield* put("deep/er/b.json", "123")
    yield* put(".hidden/c", "1234567")
    yield* link("d.ts", "a.ts")
    assert.isUndefined(yield* sizes.of(row(1)))
    const measured = yield* eventually("it is measured", sizes.of(row(1)), (size) => size !== undefined)
    assert.deepInclude(measured, { files: 2, bytes: 8 })
    yield* put("e.ts", "12")
    assert.deepInclude(yield* sizes.of(row(1)), { files: 2, bytes: 8 })
    // What was known until now is shown until it is known better.
    assert.deepInclude(yield* sizes.of(row(2)), { files: 2, bytes: 8 })
    yield* eventually("it is measured again", sizes.of(row(2)), (size) => size?.files === 3 && size.bytes === 10)
  }))

live("what cannot be measured is unknown, and no reason to fail", () =>
  Effect.gen(function*() {
    const sizes = yield* RealmSizes
    const gone = { ...row(1), kind: "published" as const, directory: "gone" }
    yield* sizes.of(gone)
    yield* eventually("it counts as empty", sizes.of(gone), (size) => size?.files === 0)
  }))
