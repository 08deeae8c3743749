import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { type IndexRow, RealmIndexTable } from "../../src/store/RealmIndexTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { freshRealm } from "./freshRealm.ts"

const liveRealm = Effect.gen(function*() {
  const realms = yield* RealmTable
  const realmUrl = freshRealm()
  yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
  return realmUrl
})

const rowOf = (realmUrl: RealmUrl, more: Partial<IndexRow> = {}) => ({
  realmUrl,
  path: "alice.json",
  hash: "h1",
  dependencies: [{ realm: realmUrl, path: "person.ts", asked: "person", generation: 1, hash: "p1" }],
  renderer: "r",
  isolatedHtml: "<b>é\u{1F600}</b>",
  error: null,
  generation: 5,
  ...more
})

/** What every RealmIndexTable promises. */
export const realmIndexTable = <E>(name: string, tables: Layer.Layer<RealmIndexTable | RealmTable, E>) =>
  layer(tables, { excludeTestServices: true })(`RealmIndexTable on ${name}`, (it) => {
    const html = Effect.fnUntraced(function*(realmUrl: RealmUrl, path = "alice.json") {
      const index = yield* RealmIndexTable
      return Option.getOrUndefined(Option.map(yield* index.read(realmUrl, path), (row) => row.isolatedHtml))
    })

    it.effect("a rendering is read as it was stored, with when", () =>
      Effect.gen(function*() {
        const index = yield* RealmIndexTable
        const realmUrl = yield* liveRealm
        assert.isTrue(yield* index.store(rowOf(realmUrl)))
        const { indexedAt, ...row } = Option.getOrThrow(yield* index.read(realmUrl, "alice.json"))
        assert.deepStrictEqual(row, rowOf(realmUrl))
        assert.isBelow(Math.abs(indexedAt.getTime() - Date.now()), 60_000)
        const { dependencies, hash, path, renderer } = rowOf(realmUrl)
        assert.deepStrictEqual(yield* index.entries(realmUrl), [{ path, hash, dependencies, renderer }])
        assert.deepStrictEqual(yield* index.read(realmUrl, "bob.json"), Option.none())
      }))

    it.effect("what renderings were made from in other realms is told once, and who was made from it is counted", () =>
      Effect.gen(function*() {
        const index = yield* RealmIndexTable
        const realmUrl = yield* liveRealm
        const own = { realm: realmUrl, path: "own.ts", asked: "own", hash: "o" }
        const base = { realm: freshRealm(), path: "base.ts", asked: "base", hash: "b" }
        const missing = { realm: freshRealm(), path: "none", asked: "none", hash: null }
        const at = (generation: number, ...all: ReadonlyArray<typeof own | typeof missing>) =>
          all.map((one) => ({ ...one, generation }))
        yield* index.store(rowOf(realmUrl, { path: "a.json", dependencies: at(1, own, base) }))
        yield* index.store(rowOf(realmUrl, { path: "b.json", dependencies: at(2, base, missing) }))
        yield* index.store(rowOf(realmUrl, { path: "c.json", dependencies: at(3, own) }))
        const found = (yield* index.outside(realmUrl)).toSorted((a, b) => a.path < b.path ? -1 : 1)
        assert.deepStrictEqual(found, [base, missing])
        assert.strictEqual(yield* index.countMadeFrom(realmUrl, [base]), 2)
        assert.strictEqual(yield* index.countMadeFrom(realmUrl, [missing]), 1)
        assert.strictEqual(yield* index.countMadeFrom(realmUrl, [base, missing]), 2)
        assert.strictEqual(yield* index.countMadeFrom(realmUrl, [{ ...base, asked: "other" }]), 0)
        assert.strictEqual(yield* index.countMadeFrom(realmUrl, []), 0)
        assert.deepStrictEqual(yield* index.outside(freshRealm()), [])
      }))

    it.effect("an older job's result never replaces a newer one's, and one of the same job does (I1)", () =>
      Effect.gen(function*() {
        const index = yield* RealmIndexTable
        const realmUrl = yield* liveRealm
        yield* index.store(rowOf(realmUrl, { generation: 6, isolatedHtml: "new" }))
        assert.isFalse(yield* index.store(rowOf(realmUrl, { generation: 5, isolatedHtml: "old" })))
        assert.strictEqual(yield* html(realmUrl), "new")
        assert.isTrue(yield* index.store(rowOf(realmUrl, { generation: 6, isolatedHtml: null, error: "no" })))
        assert.strictEqual(yield* html(realmUrl), null)
      }))

    it.effect("nothing is stored for a realm that is gone, or never was", () =>
      Effect.gen(function*() {
        const index = yield* RealmIndexTable
        const realms = yield* RealmTable
        const realmUrl = yield* liveRealm
        const { realms: [row] } = yield* realms.read([realmUrl])
        yield* realms.retire(realmUrl, row?.generation ?? 0)
        assert.isFalse(yield* index.store(rowOf(realmUrl)))
        assert.isFalse(yield* index.store(rowOf(freshRealm())))
        assert.deepStrictEqual(yield* index.entries(realmUrl), [])
      }))

    it.effect("what is unchanged is carried to the newer generation, never back", () =>
      Effect.gen(function*() {
        const index = yield* RealmIndexTable
        const realmUrl = yield* liveRealm
        for (const path of ["a.json", "b.json"]) yield* index.store(rowOf(realmUrl, { path }))
        yield* index.store(rowOf(realmUrl, { path: "c.json", generation: 9 }))
        assert.strictEqual(yield* index.carry(realmUrl, ["a.json", "c.json", "missing"], 7), 1)
        const generation = (path: string) =>
          Effect.map(index.read(realmUrl, path), (row) => Option.getOrThrow(row).generation)
        assert.deepStrictEqual(
          yield* Effect.forEach(["a.json", "b.json", "c.json"], generation),
          [7, 5, 9]
        )
        assert.strictEqual(yield* index.carry(realmUrl, [], 8), 0)
      }))

    it.effect("only what a job knows is retained, but for what a newer one has stored", () =>
      Effect.gen(function*() {
        const index = yield* RealmIndexTable
        const [realmUrl, other] = [yield* liveRealm, yield* liveRealm]
        for (const path of ["a.json", "b.json"]) yield* index.store(rowOf(realmUrl, { path }))
        yield* index.store(rowOf(realmUrl, { path: "c.json", generation: 9 }))
        yield* index.store(rowOf(other))
        assert.strictEqual(yield* index.retain(realmUrl, ["a.json"], 5), 1)
        assert.deepStrictEqual((yield* index.entries(realmUrl)).map(({ path }) => path), ["a.json", "c.json"])
        assert.lengthOf(yield* index.entries(other), 1)
      }))

    it.effect("clearing a realm leaves the others", () =>
      Effect.gen(function*() {
        const index = yield* RealmIndexTable
        const [realmUrl, other] = [yield* liveRealm, yield* liveRealm]
        yield* index.store(rowOf(realmUrl))
        yield* index.store(rowOf(other))
        yield* index.clear(realmUrl)
        assert.deepStrictEqual(yield* index.entries(realmUrl), [])
        assert.lengthOf(yield* index.entries(other), 1)
      }))
  })
