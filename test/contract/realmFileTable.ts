import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { type RecordedFile, RealmFileTable } from "../../src/store/RealmFileTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { freshRealm } from "./freshRealm.ts"

const file = (hash: string, stamp = "") => ({ hash, stamp })

const liveRealm = Effect.gen(function*() {
  const realms = yield* RealmTable
  const realmUrl = freshRealm()
  yield* realms.mount({ realmUrl, kind: "source", directory: realmUrl, sourceUrl: null }, 0)
  return realmUrl
})

/** What every RealmFileTable promises. */
export const realmFileTable = <E>(name: string, tables: Layer.Layer<RealmFileTable | RealmTable, E>) =>
  layer(tables, { excludeTestServices: true })(`RealmFileTable on ${name}`, (it) => {
    it.effect("a realm that was never looked at whole says so, whatever is recorded of its files", () =>
      Effect.gen(function*() {
        const files = yield* RealmFileTable
        const realmUrl = yield* liveRealm
        yield* files.record(realmUrl, new Map([["a.ts", file("1")]]))
        assert.deepStrictEqual(yield* files.all(realmUrl), Option.none())
        yield* files.recordAll(realmUrl, new Map())
        assert.deepStrictEqual(yield* files.all(realmUrl), Option.some(new Map()))
      }))

    it.effect("what is recorded replaces, adds and forgets", () =>
      Effect.gen(function*() {
        const files = yield* RealmFileTable
        const realmUrl = yield* liveRealm
        yield* files.recordAll(realmUrl, new Map([["a.ts", file("1", "s")], ["b.ts", file("1")], ["c.ts", file("1")]]))
        yield* files.record(realmUrl, new Map([["a.ts", file("2")], ["b.ts", null], ["d.ts", file("1")], ["e", null]]))
        assert.deepStrictEqual(
          Object.fromEntries(Option.getOrThrow(yield* files.all(realmUrl))),
          Object.fromEntries([["a.ts", file("2")], ["c.ts", file("1")], ["d.ts", file("1")]])
        )
        yield* files.recordAll(realmUrl, new Map([["z.ts", file("9")]]))
        assert.deepStrictEqual(Array.from(Option.getOrThrow(yield* files.all(realmUrl))), [["z.ts", file("9")]])
        yield* files.clear(realmUrl)
        assert.deepStrictEqual(yield* files.all(realmUrl), Option.none())
      }))

    it.effect("a path stands for itself and what lies below it, not for names that begin with it", () =>
      Effect.gen(function*() {
        const files = yield* RealmFileTable
        const realmUrl = yield* liveRealm
        const names = ["a", "a-b/x.ts", "a.ts", "a/x.ts", "a/deep/y.ts", "a0", "a0/z.ts", "b/a/x.ts", "ä/x.ts", "%/x"]
        yield* files.recordAll(realmUrl, new Map(names.map((path) => [path, file(path)])))
        const at = (...paths: ReadonlyArray<string>) =>
          Effect.map(files.at(realmUrl, paths), (found) => Array.from(found.keys()).toSorted())
        assert.deepStrictEqual(yield* at("a"), ["a", "a/deep/y.ts", "a/x.ts"])
        assert.deepStrictEqual(yield* at("a.ts", "ä", "a.ts"), ["a.ts", "ä/x.ts"])
        assert.deepStrictEqual(yield* at("a", "a/deep"), ["a", "a/deep/y.ts", "a/x.ts"])
        assert.deepStrictEqual(yield* at("%"), ["%/x"])
        assert.deepStrictEqual(yield* at("missing"), [])
        assert.deepStrictEqual(yield* at(), [])
      }))

    it.effect("a stamp is taken for the bytes that it was seen with, and for no others", () =>
      Effect.gen(function*() {
        const files = yield* RealmFileTable
        const realmUrl = yield* liveRealm
        yield* files.recordAll(realmUrl, new Map([["a.ts", file("1")], ["b.ts", file("2")]]))
        yield* files.restamp(
          realmUrl,
          new Map([["a.ts", file("1", "new")], ["b.ts", file("other", "new")], ["c.ts", file("3", "new")]])
        )
        assert.deepStrictEqual(
          Object.fromEntries(yield* files.at(realmUrl, ["a.ts", "b.ts", "c.ts"])),
          Object.fromEntries([
            ["a.ts", file("1", "new")],
            ["b.ts", file("2")]
          ])
        )
      }))

    it.effect("realms' files do not touch each other", () =>
      Effect.gen(function*() {
        const files = yield* RealmFileTable
        const [one, two] = [yield* liveRealm, yield* liveRealm]
        yield* files.recordAll(one, new Map([["a.ts", file("1")]]))
        yield* files.recordAll(two, new Map([["a.ts", file("2")]]))
        yield* files.clear(two)
        assert.deepStrictEqual(Array.from(yield* files.at(one, ["a.ts"])), [["a.ts", file("1")]])
      }))

    it.effect("twenty thousand files are recorded and read", () =>
      Effect.gen(function*() {
        const files = yield* RealmFileTable
        const realmUrl = yield* liveRealm
        const many = new Map(Array.from({ length: 20_000 }, (_, index) => [`d${index % 100}/${index}.ts`, file("h")]))
        yield* files.recordAll(realmUrl, many)
        assert.strictEqual(Option.getOrThrow(yield* files.all(realmUrl)).size, 20_000)
        assert.strictEqual((yield* files.at(realmUrl, ["d7"])).size, 200)
      }))

    it.effect("a realm is measured whole, and at some paths", () =>
      Effect.gen(function*() {
        const files = yield* RealmFileTable
        const [realmUrl, other] = [yield* liveRealm, yield* liveRealm]
        const nothing = { files: 0, bytes: 0 }
        assert.deepStrictEqual(yield* files.measure(realmUrl, ["a"]), { ...nothing, ofPaths: nothing })
        yield* files.recordAll(
          realmUrl,
          new Map<string, RecordedFile>([["a", { ...file("1"), size: 5 }], ["b", { ...file("1"), size: 7 }]])
        )
        yield* files.recordAll(other, new Map([["a", { ...file("1"), size: 100 }]]))
        yield* files.record(
          realmUrl,
          new Map<string, RecordedFile | null>([["a", { ...file("2"), size: 6_000_000_000 }], ["c", file("1")], [
            "d",
            null
          ]])
        )
        assert.deepStrictEqual(yield* files.measure(realmUrl, ["a", "c", "none"]), {
          files: 3,
          bytes: 6_000_000_007,
          ofPaths: { files: 2, bytes: 6_000_000_000 }
        })
      }))
  })
