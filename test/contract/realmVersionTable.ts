import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { freshRealm } from "./freshRealm.ts"

/** What every RealmVersionTable promises. */
export const realmVersionTable = <E>(name: string, tables: Layer.Layer<RealmTable | RealmVersionTable, E>) =>
  layer(tables, { excludeTestServices: true })(`RealmVersionTable on ${name}`, (it) => {
    const published = Effect.fnUntraced(function*(generations: ReadonlyArray<number>) {
      const realms = yield* RealmTable
      const versions = yield* RealmVersionTable
      const realmUrl = freshRealm()
      yield* realms.mount({ realmUrl, kind: "published", directory: "d", sourceUrl: null }, 0)
      for (const generation of generations) {
        yield* versions.begin(realmUrl, `${realmUrl} v${generation}`)
        assert.isTrue(yield* versions.commit(realmUrl, generation, `${realmUrl} v${generation}`))
      }
      return { realmUrl, versions }
    })

    it.effect("the version at a generation is the newest at or below it", () =>
      Effect.gen(function*() {
        const { realmUrl, versions } = yield* published([2, 10, 5])
        const at = (generation: number) =>
          Effect.map(versions.at(realmUrl, generation), Option.map((version) => version.generation))
        assert.deepStrictEqual(yield* at(1), Option.none())
        assert.deepStrictEqual(yield* at(2), Option.some(2))
        assert.deepStrictEqual(yield* at(9), Option.some(5))
        assert.deepStrictEqual(yield* at(10), Option.some(10))
        assert.deepStrictEqual(yield* at(Number.MAX_SAFE_INTEGER), Option.some(10))
      }))

    it.effect("a version names its directory, and other realms' versions are not its own", () =>
      Effect.gen(function*() {
        const { realmUrl, versions } = yield* published([1])
        const version = Option.getOrThrow(yield* versions.at(realmUrl, 1))
        assert.deepInclude(version, { realmUrl, generation: 1, directory: `${realmUrl} v1` })
        assert.deepStrictEqual(yield* versions.at(`${realmUrl}x/` as RealmUrl, 1), Option.none())
      }))

    it.effect("all versions are listed newest first, and a removed one is forgotten", () =>
      Effect.gen(function*() {
        const { realmUrl, versions } = yield* published([9, 10, 2])
        const listed = Effect.map(versions.list(realmUrl), (rows) => rows.map((version) => version.generation))
        assert.deepStrictEqual(yield* listed, [10, 9, 2])
        yield* versions.remove(realmUrl, 9)
        assert.deepStrictEqual(yield* listed, [10, 2])
      }))
  })
