import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { freshRealm } from "./freshRealm.ts"

const source = (realmUrl: RealmUrl, directory = "somewhere") => ({
  realmUrl,
  kind: "source" as const,
  directory,
  sourceUrl: null
})

const row = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
  const realms = yield* RealmTable
  return (yield* realms.read([realmUrl])).realms[0]
})

/** What every RealmTable promises. */
export const realmTable = <E>(name: string, table: Layer.Layer<RealmTable, E>) =>
  layer(table, { excludeTestServices: true })(`RealmTable on ${name}`, (it) => {
    it.effect("a URL never seen has no row, and the incarnation is known all the same", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const first = yield* realms.read([freshRealm()])
        assert.deepStrictEqual(first.realms, [])
        assert.isAbove(first.incarnation.length, 0)
        assert.strictEqual((yield* realms.read([])).incarnation, first.incarnation)
      }))

    it.effect("a mounted realm begins at generation 1, live, with both floors at it", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        assert.deepStrictEqual(yield* realms.mount(source(realmUrl, "home"), 0), Option.some(1))
        assert.deepStrictEqual(yield* row(realmUrl), {
          ...source(realmUrl, "home"),
          generation: 1,
          state: "live",
          wipeFloor: 1,
          definitionFloor: 1,
          lastPublishedAt: null,
          isPrivate: false
        })
        assert.include((yield* realms.list).map((each) => each.realmUrl), realmUrl)
      }))

    it.effect("a published realm knows its source and when it was published", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        const sourceUrl = freshRealm()
        yield* realms.mount({ realmUrl, kind: "published", directory: "v1", sourceUrl }, 0)
        const published = yield* row(realmUrl)
        assert.strictEqual(published?.kind, "published")
        assert.strictEqual(published?.sourceUrl, sourceUrl)
        assert.instanceOf(published?.lastPublishedAt, Date)
      }))

    it.effect("mounting again at the expected generation replaces the directory and raises both floors", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        yield* realms.mount({ ...source(realmUrl, "v1"), kind: "published" }, 0)
        assert.deepStrictEqual(
          yield* realms.mount({ ...source(realmUrl, "v2"), kind: "published" }, 1),
          Option.some(2)
        )
        const mounted = yield* row(realmUrl)
        assert.deepInclude(mounted, { directory: "v2", generation: 2, wipeFloor: 2, definitionFloor: 2 })
      }))

    it.effect("a mount, an advance or a retirement that expects another generation changes nothing (I3)", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        assert.deepStrictEqual(yield* realms.mount(source(realmUrl), 3), Option.none())
        yield* realms.mount(source(realmUrl), 0)
        yield* realms.advance(realmUrl, 1, "paths")
        const before = yield* row(realmUrl)
        for (const expected of [0, 1, 3]) {
          assert.deepStrictEqual(yield* realms.mount(source(realmUrl, "other"), expected), Option.none())
          assert.deepStrictEqual(yield* realms.advance(realmUrl, expected, "realm"), Option.none())
          assert.deepStrictEqual(yield* realms.retire(realmUrl, expected), Option.none())
        }
        assert.deepStrictEqual(yield* row(realmUrl), before)
        assert.include((yield* realms.list).map((each) => each.realmUrl), realmUrl)
      }))

    it.effect("of writers that expect one generation, one moves it", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        yield* realms.mount(source(realmUrl), 0)
        const outcomes = yield* Effect.forEach(
          Array.from({ length: 8 }),
          () => realms.advance(realmUrl, 1, "paths"),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(outcomes.filter(Option.isSome).length, 1)
        assert.strictEqual((yield* row(realmUrl))?.generation, 2)
      }))

    it.effect("each scope raises the floors that it names, and no other", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        yield* realms.mount(source(realmUrl), 0)
        const floors = Effect.map(row(realmUrl), (at) => [at?.generation, at?.wipeFloor, at?.definitionFloor])
        yield* realms.advance(realmUrl, 1, "paths")
        assert.deepStrictEqual(yield* floors, [2, 1, 1])
        yield* realms.advance(realmUrl, 2, "definitions")
        assert.deepStrictEqual(yield* floors, [3, 1, 3])
        yield* realms.advance(realmUrl, 3, "realm")
        assert.deepStrictEqual(yield* floors, [4, 4, 4])
      }))

    it.effect("a retired realm is gone from the list, and its row goes on counting when it comes back", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        yield* realms.mount(source(realmUrl), 0)
        assert.deepStrictEqual(yield* realms.retire(realmUrl, 1), Option.some(2))
        assert.deepInclude(yield* row(realmUrl), { state: "gone", generation: 2, wipeFloor: 2, definitionFloor: 2 })
        assert.notInclude((yield* realms.list).map((each) => each.realmUrl), realmUrl)
        assert.deepStrictEqual(yield* realms.advance(realmUrl, 2, "paths"), Option.none())
        assert.deepStrictEqual(yield* realms.retire(realmUrl, 2), Option.none())
        assert.deepStrictEqual(yield* realms.mount(source(realmUrl), 0), Option.none())
        assert.deepStrictEqual(yield* realms.mount(source(realmUrl), 2), Option.some(3))
        assert.deepInclude(yield* row(realmUrl), { state: "live", generation: 3, wipeFloor: 3, definitionFloor: 3 })
      }))

    it.effect("realms around and inside a URL overlap it; itself, siblings and gone ones do not", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const base = freshRealm()
        const at = (path: string) => (base + path) as RealmUrl
        yield* realms.mount(source(at("a/")), 0)
        yield* realms.mount(source(at("a/b/c/")), 0)
        yield* realms.mount(source(at("ab/")), 0)
        yield* realms.mount(source(at("a/gone/")), 0)
        yield* realms.retire(at("a/gone/"), 1)
        const overlapping = Effect.fnUntraced(function*(path: string) {
          return (yield* realms.overlapping(at(path))).toSorted()
        })
        assert.deepStrictEqual(yield* overlapping("a/b/"), [at("a/"), at("a/b/c/")])
        assert.deepStrictEqual(yield* overlapping("a/"), [at("a/b/c/")])
        assert.deepStrictEqual(yield* overlapping("b/"), [])
        assert.deepStrictEqual(yield* overlapping(""), [at("a/"), at("a/b/c/"), at("ab/")])
      }))

    it.effect("URLs with the patterns' own characters are compared as text", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const base = freshRealm()
        yield* realms.mount(source((base + "x/") as RealmUrl), 0)
        assert.deepStrictEqual(yield* realms.overlapping((base + "%25/") as RealmUrl), [])
        assert.deepStrictEqual(yield* realms.overlapping((base + "_/") as RealmUrl), [])
      }))

    it.effect("many URLs are read at once, live or gone", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const live = freshRealm()
        const gone = freshRealm()
        yield* realms.mount(source(live), 0)
        yield* realms.mount(source(gone), 0)
        yield* realms.retire(gone, 1)
        const { realms: rows } = yield* realms.read([live, freshRealm(), gone])
        assert.deepStrictEqual(
          new Map(rows.map((each) => [each.realmUrl, each.state])),
          new Map([[live, "live"], [gone, "gone"]])
        )
      }))

    it.effect("a realm is as private as it was mounted or set, and one that is gone is nobody's to see", () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        const isPrivate = Effect.map(row(realmUrl), (found) => found?.isPrivate)
        yield* realms.mount({ ...source(realmUrl, realmUrl), isPrivate: true }, 0)
        assert.isTrue(yield* isPrivate)
        yield* realms.setPrivate(realmUrl, false)
        assert.isFalse(yield* isPrivate)
        yield* realms.setPrivate(realmUrl, true)
        // Mounted anew it stays what it is, unless that is said.
        yield* realms.mount(source(realmUrl, realmUrl), 1)
        assert.isTrue(yield* isPrivate)
        yield* realms.mount({ ...source(realmUrl, realmUrl), isPrivate: false }, 2)
        assert.isFalse(yield* isPrivate)
        yield* realms.setPrivate(realmUrl, true)
        assert.isTrue((yield* realms.list).find((each) => each.realmUrl === realmUrl)?.isPrivate)
        yield* realms.retire(realmUrl, 3)
        assert.isTrue(yield* isPrivate)
        // Another realm of that name begins as any other.
        yield* realms.mount(source(realmUrl, realmUrl), 4)
        assert.isFalse(yield* isPrivate)
      }))
  })
