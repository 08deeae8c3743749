import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { type DefinitionsRow, ModuleTable } from "../../src/store/ModuleTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { definitions } from "./cacheTables.ts"
import { freshRealm } from "./freshRealm.ts"

/** What the table of definitions promises beyond other tables of artifacts. */
export const moduleTable = <E>(name: string, tables: Layer.Layer<ModuleTable | RealmTable, E>) =>
  layer(tables, { excludeTestServices: true })(`ModuleTable on ${name}`, (it) => {
    const setUp = Effect.gen(function*() {
      const table = yield* ModuleTable
      const realms = yield* RealmTable
      const realmUrl = freshRealm()
      yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
      const write = Effect.fnUntraced(function*(path: string, row: Partial<DefinitionsRow>, realm = realmUrl) {
        const { incarnation, realms: [found] } = yield* realms.read([realm])
        const token = { generation: found?.generation ?? 0, incarnation }
        const whole = { ...definitions.sample(1), depends_on: [], depends_on_realms: [], ...row }
        assert.isTrue(yield* table.write(realm, path, "key", token, whole))
        return whole
      })
      const isHit = (path: string, realm: RealmUrl = realmUrl) =>
        Effect.map(table.read(realm, path, "key"), Option.isSome)
      return { isHit, realmUrl, realms, table, write }
    })

    it.effect("many rows are read at once, each under its own key and its realm's floor", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, write } = yield* setUp
        const other = freshRealm()
        yield* realms.mount({ realmUrl: other, kind: "source", directory: "d", sourceUrl: null }, 0)
        const a = yield* write("a.ts", definitions.sample(1))
        yield* write("b.ts", definitions.sample(2))
        yield* write("a.ts", definitions.sample(3), other)
        yield* realms.advance(other, 1, "definitions")
        const key = { realmUrl, path: "a.ts", contentKey: "key" }
        assert.deepStrictEqual(yield* table.readMany([]), [])
        assert.deepStrictEqual(
          yield* table.readMany([
            { ...key, path: "b.ts", contentKey: "other bytes" },
            key,
            { ...key, realmUrl: other },
            { ...key, path: "c.ts" },
            key
          ]),
          [Option.none(), Option.some(a), Option.none(), Option.none(), Option.some(a)]
        )
      }))

    it.effect("dependents are voided across realms by any URL that they depend on, and no others (S27)", () =>
      Effect.gen(function*() {
        const { isHit, realmUrl, realms, table, write } = yield* setUp
        const other = freshRealm()
        yield* realms.mount({ realmUrl: other, kind: "source", directory: "d", sourceUrl: null }, 0)
        yield* write("sub.ts", { depends_on: [`${realmUrl}base`, `${realmUrl}base.ts`] })
        yield* write("unrelated.ts", { depends_on: [`${realmUrl}base.tsx`] })
        yield* write("far.ts", { depends_on: ["http://x.example/", `${realmUrl}base`] }, other)
        const voided = yield* table.voidDependents({ urls: [`${realmUrl}base`, `${realmUrl}nothing`] }, {
          realmUrl,
          generation: 2
        })
        assert.sameDeepMembers([...voided], [{ realmUrl, path: "sub.ts" }, { realmUrl: other, path: "far.ts" }])
        assert.deepStrictEqual(
          [yield* isHit("sub.ts"), yield* isHit("unrelated.ts"), yield* isHit("far.ts", other)],
          [false, true, false]
        )
        yield* write("sub.ts", {})
        assert.isTrue(yield* isHit("sub.ts"))
      }))

    it.effect("dependents on a realm are voided in other realms", () =>
      Effect.gen(function*() {
        const { isHit, realmUrl, realms, table, write } = yield* setUp
        const other = freshRealm()
        yield* realms.mount({ realmUrl: other, kind: "source", directory: "d", sourceUrl: null }, 0)
        yield* write("far.ts", { depends_on_realms: [realmUrl] }, other)
        yield* write("near.ts", { depends_on_realms: [other] }, other)
        const voided = yield* table.voidDependents({ realmUrl }, { realmUrl, generation: 2 })
        assert.deepStrictEqual([...voided], [{ realmUrl: other, path: "far.ts" }])
        assert.isTrue(yield* isHit("near.ts", other))
      }))

    it.effect("dependents that were made at the change's generation or later know of it, and stay", () =>
      Effect.gen(function*() {
        const { isHit, realmUrl, realms, table, write } = yield* setUp
        const depends_on = [`${realmUrl}base.ts`]
        yield* write("old.ts", { depends_on })
        yield* realms.advance(realmUrl, 1, "paths")
        yield* write("new.ts", { depends_on })
        const voided = yield* table.voidDependents({ urls: depends_on }, { realmUrl, generation: 2 })
        assert.deepStrictEqual([...voided], [{ realmUrl, path: "old.ts" }])
        assert.isTrue(yield* isHit("new.ts"))
      }))

    it.effect("a voided row remembers its generation: a writer from before that is refused (S8)", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, write } = yield* setUp
        const { incarnation } = yield* realms.read([realmUrl])
        yield* realms.advance(realmUrl, 1, "paths")
        yield* write("sub.ts", { depends_on: ["u"] })
        yield* table.voidDependents({ urls: ["u"] }, { realmUrl, generation: 3 })
        assert.isFalse(
          yield* table.write(realmUrl, "sub.ts", "key", { generation: 1, incarnation }, definitions.sample(1))
        )
      }))
  })
