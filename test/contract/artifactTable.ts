import { randomUUID } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { ArtifactTable } from "../../src/store/ArtifactTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { freshRealm } from "./freshRealm.ts"

/** What every ArtifactTable promises. */
export const artifactTable = <E>(name: string, tables: Layer.Layer<ArtifactTable | RealmTable, E>) =>
  layer(tables, { excludeTestServices: true })(`ArtifactTable on ${name}`, (it) => {
    const setUp = Effect.gen(function*() {
      const realms = yield* RealmTable
      const realmUrl = freshRealm()
      yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
      return { key: randomUUID(), realmUrl, realms, table: yield* ArtifactTable }
    })

    /** What an explicit invalidation does, at generation 1. */
    const salt = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
      const realms = yield* RealmTable
      yield* realms.advance(realmUrl, 1, "paths")
      yield* realms.salt(realmUrl)
    })

    it.effect("a value is found under its content key, in any realm, after any change", () =>
      Effect.gen(function*() {
        const { key, realmUrl, realms, table } = yield* setUp
        const other = yield* setUp
        const text = JSON.stringify({ text: "naïve ✓ 😀 \\ \" \n" })
        assert.deepStrictEqual(yield* table.read(realmUrl, key), Option.none())
        assert.isTrue(yield* table.write(realmUrl, key, 1, text))
        yield* realms.advance(realmUrl, 1, "realm")
        assert.deepStrictEqual(yield* table.read(realmUrl, key), Option.some(text))
        assert.deepStrictEqual(yield* table.read(other.realmUrl, key), Option.some(text))
        assert.deepStrictEqual(yield* table.read(realmUrl, other.key), Option.none())
        assert.deepStrictEqual(yield* table.read(freshRealm(), key), Option.none())
      }))

    it.effect("an explicit invalidation voids what a realm has, and what somebody has in work for it", () =>
      Effect.gen(function*() {
        const { key, realmUrl, table } = yield* setUp
        const other = yield* setUp
        yield* table.write(realmUrl, key, 1, "1")
        yield* salt(realmUrl)
        assert.deepStrictEqual(yield* table.read(realmUrl, key), Option.none())
        assert.deepStrictEqual(yield* table.read(other.realmUrl, key), Option.some("1"))
        // It captured its generation before the invalidation, and computed what is wrong.
        assert.isFalse(yield* table.write(realmUrl, key, 1, "1"))
        assert.deepStrictEqual(yield* table.read(realmUrl, key), Option.none())
        assert.isTrue(yield* table.write(realmUrl, key, 2, "2"))
        assert.deepStrictEqual(yield* table.read(realmUrl, key), Option.some("2"))
      }))

    it.effect("what is published of an invalidated source has its values, and none from before", () =>
      Effect.gen(function*() {
        const { key, realmUrl, realms, table } = yield* setUp
        const published = freshRealm()
        yield* realms.mount({ realmUrl: published, kind: "published", directory: "v1", sourceUrl: realmUrl }, 0)
        yield* table.write(published, key, 1, "1")
        yield* salt(realmUrl)
        yield* table.write(realmUrl, key, 2, "2")
        yield* realms.mount({ realmUrl: published, kind: "published", directory: "v2", sourceUrl: realmUrl }, 1)
        assert.deepStrictEqual(yield* table.read(published, key), Option.some("2"))
        assert.isFalse(yield* table.write(published, key, 1, "1"))
        assert.deepStrictEqual(yield* table.read(published, key), Option.some("2"))
      }))

    it.effect("a collection takes what is old and leaves what is young", () =>
      Effect.gen(function*() {
        const { key, realmUrl, table } = yield* setUp
        yield* table.write(realmUrl, key, 1, "1")
        yield* table.collect(1)
        assert.deepStrictEqual(yield* table.read(realmUrl, key), Option.some("1"))
        // Made at least a moment ago: a limit in the future is past everything.
        assert.isAbove(yield* table.collect(-1), 0)
        assert.deepStrictEqual(yield* table.read(realmUrl, key), Option.none())
      }), { concurrent: false })
  })
