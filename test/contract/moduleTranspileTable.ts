import { randomUUID } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { ofVersion } from "../../src/domain/RealmUrl.ts"
import { ModuleTranspileTable } from "../../src/store/ModuleTranspileTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { transpiled } from "./cacheTables.ts"
import { freshRealm } from "./freshRealm.ts"

// Collecting takes from every realm: not while others look at theirs.
const alone = { concurrent: false }

/** What the table of transpiled modules promises beyond what every cache table does: reuse by content (rule 11). */
export const moduleTranspileTable = <E>(
  name: string,
  tables: Layer.Layer<ModuleTranspileTable | RealmTable, E>
) =>
  layer(tables, { excludeTestServices: true })(`ModuleTranspileTable on ${name}`, (it) => {
    const { sample } = transpiled

    const setUp = Effect.gen(function*() {
      const table = yield* ModuleTranspileTable
      const realms = yield* RealmTable
      const realm = Effect.gen(function*() {
        const realmUrl = freshRealm()
        yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
        return { realmUrl, token: { generation: 1, incarnation: (yield* realms.read([])).incarnation } }
      })
      return { table, realms, one: yield* realm, other: yield* realm, key: randomUUID() }
    })

    it.effect("what was kept of one realm is adopted by another, as a row of its own", () =>
      Effect.gen(function*() {
        const { key, one, other, table } = yield* setUp
        const adopt = table.adoptContent(other.realmUrl, "a.ts", key, other.token)
        assert.deepStrictEqual(yield* adopt, Option.none())
        assert.deepStrictEqual(yield* table.read(other.realmUrl, "a.ts", key), Option.none())
        assert.isTrue(yield* table.writeAndKeep(one.realmUrl, "a.ts", key, one.token, sample(1)))
        assert.deepStrictEqual(yield* table.read(one.realmUrl, "a.ts", key), Option.some(sample(1)))
        assert.deepStrictEqual(yield* adopt, Option.some({ row: sample(1), accepted: true }))
        assert.deepStrictEqual(yield* table.read(other.realmUrl, "a.ts", key), Option.some(sample(1)))
        const another = table.adoptContent(other.realmUrl, "a.ts", randomUUID(), other.token)
        assert.deepStrictEqual(yield* another, Option.none())
      }))

    it.effect("it outlives the row that it came with: other bytes, a tombstone, a wipe", () =>
      Effect.gen(function*() {
        const { key, one, realms, table } = yield* setUp
        yield* table.writeAndKeep(one.realmUrl, "a.ts", key, one.token, sample(1))
        yield* table.writeAndKeep(one.realmUrl, "a.ts", randomUUID(), one.token, sample(2))
        yield* realms.advance(one.realmUrl, 1, "realm")
        yield* table.bury(one.realmUrl, ["a.ts"], 2)
        const token = { ...one.token, generation: 2 }
        const adopted = yield* table.adoptContent(one.realmUrl, "a.ts", key, token)
        assert.deepStrictEqual(adopted, Option.some({ row: sample(1), accepted: true }))
        assert.deepStrictEqual(yield* table.read(one.realmUrl, "a.ts", key), Option.some(sample(1)))
      }))

    it.effect("a row made of it is fenced like any other (I1, I2)", () =>
      Effect.gen(function*() {
        const { key, one, realms, table } = yield* setUp
        yield* table.writeAndKeep(one.realmUrl, "a.ts", key, one.token, sample(1))
        yield* realms.advance(one.realmUrl, 1, "paths")
        yield* table.bury(one.realmUrl, ["a.ts"], 2)
        const refused = Option.some({ row: sample(1), accepted: false })
        assert.deepStrictEqual(yield* table.adoptContent(one.realmUrl, "a.ts", key, one.token), refused)
        assert.deepStrictEqual(yield* table.read(one.realmUrl, "a.ts", key), Option.none())
        const lost = { generation: 2, incarnation: randomUUID() }
        assert.deepStrictEqual(yield* table.adoptContent(one.realmUrl, "b.ts", key, lost), refused)
        assert.deepStrictEqual(yield* table.read(one.realmUrl, "b.ts", key), Option.none())
      }))

    it.effect("salt keeps contents of before apart, also from writers of before, and goes with a publish", () =>
      Effect.gen(function*() {
        const { key, one, other, realms, table } = yield* setUp
        yield* table.writeAndKeep(one.realmUrl, "a.ts", key, one.token, sample(1))
        yield* realms.advance(one.realmUrl, 1, "realm")
        yield* realms.salt(one.realmUrl)
        const token = { ...one.token, generation: 2 }
        const adopt = table.adoptContent(one.realmUrl, "a.ts", key, token)
        assert.deepStrictEqual(yield* adopt, Option.none())
        // It computed under the old salt, and writes under the new.
        assert.isFalse(yield* table.writeAndKeep(one.realmUrl, "a.ts", key, one.token, sample(1)))
        assert.deepStrictEqual(yield* adopt, Option.none())
        // Realms that were not invalidated still share it.
        assert.isTrue(Option.isSome(yield* table.adoptContent(other.realmUrl, "a.ts", key, other.token)))

        const realmUrl = freshRealm()
        const mount = { realmUrl, kind: "published", directory: "v", sourceUrl: one.realmUrl } as const
        yield* realms.mount(mount, 0)
        const version = ofVersion(realmUrl, 1)
        assert.isTrue(Option.isNone(yield* table.adoptContent(version, "a.ts", key, one.token)))
        yield* table.writeAndKeep(one.realmUrl, "a.ts", key, token, sample(2))
        const adopted = Option.some({ row: sample(2), accepted: true })
        assert.deepStrictEqual(yield* table.adoptContent(realmUrl, "a.ts", key, one.token), adopted)
        assert.deepStrictEqual(yield* table.adoptContent(version, "a.ts", key, one.token), adopted)
        // What is published of another source is of that one's salt.
        yield* realms.mount({ ...mount, sourceUrl: other.realmUrl }, 1)
        const again = yield* table.adoptContent(realmUrl, "a.ts", key, { ...one.token, generation: 2 })
        assert.deepStrictEqual(again, Option.some({ row: sample(1), accepted: true }))
      }))

    it.effect("a collection takes what was not adopted for long", () =>
      Effect.gen(function*() {
        const { key, one, table } = yield* setUp
        yield* table.writeAndKeep(one.realmUrl, "a.ts", key, one.token, sample(1))
        yield* table.collectContents(1)
        const adopt = table.adoptContent(one.realmUrl, "b.ts", key, one.token)
        assert.isTrue(Option.isSome(yield* adopt))
        // Used at least a moment ago: a limit in the future is past everything.
        assert.isAbove(yield* table.collectContents(-1), 0)
        assert.deepStrictEqual(yield* adopt, Option.none())
      }), alone)
  })
