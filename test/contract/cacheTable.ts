import { assert, layer } from "@effect/vitest"
import { type Context, Effect, type Layer, Option } from "effect"
import { randomUUID } from "node:crypto"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { ofVersion } from "../../src/domain/RealmUrl.ts"
import type { CacheTable } from "../../src/store/CacheTable.ts"
import { ModuleTranspileTable } from "../../src/store/ModuleTranspileTable.ts"
import { type Scope, RealmTable } from "../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { freshRealm } from "./freshRealm.ts"

// Collecting takes from every realm: not while others look at theirs.
const alone = { concurrent: false }

/** What every table of derived artifacts promises. `sample` gives values that differ with their number. */
export const cacheTable = <I, V, E>(
  name: string,
  tables: Layer.Layer<NoInfer<I> | ModuleTranspileTable | RealmTable | RealmVersionTable, E>,
  { raises, sample, spares, tag }: {
    readonly tag: Context.Key<I, CacheTable<V>>
    readonly sample: (version: number) => V
    /** Invalidations that void every row of the realm, and ones that leave them. */
    readonly raises: ReadonlyArray<Scope>
    readonly spares: ReadonlyArray<Scope>
  }
) =>
  layer(tables, { excludeTestServices: true })(name, (it) => {
    /** A live realm, and a token for what is read of it now. */
    const setUp = Effect.gen(function*() {
      const table = yield* tag
      const realms = yield* RealmTable
      const realmUrl = freshRealm()
      yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
      return { table, realms, realmUrl, token: yield* capture(realmUrl) }
    })

    const capture = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
      const { incarnation, realms } = yield* (yield* RealmTable).read([realmUrl])
      return { generation: realms[0]?.generation ?? 0, incarnation }
    })

    it.effect("what was written is read back whole, and only under its own path and content key", () =>
      Effect.gen(function*() {
        const { realmUrl, table, token } = yield* setUp
        assert.isTrue(yield* table.write(realmUrl, "a.ts", "key", token, sample(1)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.some(sample(1)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "other bytes"), Option.none())
        assert.deepStrictEqual(yield* table.read(realmUrl, "b.ts", "key"), Option.none())
        assert.deepStrictEqual(yield* table.read(freshRealm(), "a.ts", "key"), Option.none())
      }))

    it.effect("many rows are read at once, hits as for one, in the order asked for", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, token } = yield* setUp
        const other = yield* setUp
        yield* table.write(realmUrl, "a.ts", "key", token, sample(1))
        yield* table.write(realmUrl, "b.ts", "key", token, sample(2))
        yield* other.table.write(other.realmUrl, "a.ts", "key", other.token, sample(3))
        const keys = [
          { realmUrl, path: "b.ts", contentKey: "key" },
          { realmUrl: other.realmUrl, path: "a.ts", contentKey: "key" },
          { realmUrl, path: "b.ts", contentKey: "other bytes" },
          { realmUrl, path: "nowhere.ts", contentKey: "key" },
          { realmUrl, path: "a.ts", contentKey: "key" },
          { realmUrl, path: "b.ts", contentKey: "key" }
        ]
        const [one, two, three] = [Option.some(sample(1)), Option.some(sample(2)), Option.some(sample(3))]
        const none = Option.none()
        assert.deepStrictEqual(yield* table.readMany(keys), [two, three, none, none, one, two])
        assert.deepStrictEqual(yield* table.readMany([]), [])
        yield* realms.advance(realmUrl, 1, raises[0] ?? "realm")
        assert.deepStrictEqual(yield* table.readMany(keys), [none, three, none, none, none, none])
      }))

    it.effect("a write of an equal or newer generation replaces the row", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, token } = yield* setUp
        yield* table.write(realmUrl, "a.ts", "one", token, sample(1))
        assert.isTrue(yield* table.write(realmUrl, "a.ts", "two", token, sample(2)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "two"), Option.some(sample(2)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "one"), Option.none())
        yield* realms.advance(realmUrl, 1, "paths")
        assert.isTrue(yield* table.write(realmUrl, "a.ts", "three", yield* capture(realmUrl), sample(3)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "three"), Option.some(sample(3)))
      }))

    it.effect("a write is refused by a row that was made under a newer generation", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, token } = yield* setUp
        yield* realms.advance(realmUrl, 1, "paths")
        yield* table.write(realmUrl, "a.ts", "new", yield* capture(realmUrl), sample(2))
        assert.isFalse(yield* table.write(realmUrl, "a.ts", "old", token, sample(1)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "new"), Option.some(sample(2)))
      }))

    it.effect("a tombstone voids the row and refuses the writer from before it, but not the one after (S7, S8)", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, token } = yield* setUp
        yield* table.write(realmUrl, "a.ts", "key", token, sample(1))
        yield* realms.advance(realmUrl, 1, "paths")
        yield* table.bury(realmUrl, ["a.ts"], 2)
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.none())
        assert.isFalse(yield* table.write(realmUrl, "a.ts", "key", token, sample(1)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.none())
        assert.isTrue(yield* table.write(realmUrl, "a.ts", "key", yield* capture(realmUrl), sample(2)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.some(sample(2)))
      }))

    it.effect("a tombstone for a path that had no row refuses the writer from before it (S8)", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, token } = yield* setUp
        yield* realms.advance(realmUrl, 1, "paths")
        yield* table.bury(realmUrl, ["never-written.ts"], 2)
        assert.isFalse(yield* table.write(realmUrl, "never-written.ts", "key", token, sample(1)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "never-written.ts", "key"), Option.none())
      }))

    it.effect("a tombstone leaves other paths alone", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, token } = yield* setUp
        yield* table.write(realmUrl, "kept.ts", "key", token, sample(1))
        yield* realms.advance(realmUrl, 1, "paths")
        yield* table.bury(realmUrl, ["a.ts", "b.ts"], 2)
        assert.deepStrictEqual(yield* table.read(realmUrl, "kept.ts", "key"), Option.some(sample(1)))
        assert.isTrue(yield* table.write(realmUrl, "slow.ts", "key", token, sample(2)))
      }))

    it.effect("burying at a generation that is not newer than the row's does nothing", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table } = yield* setUp
        yield* realms.advance(realmUrl, 1, "paths")
        const token = yield* capture(realmUrl)
        yield* table.write(realmUrl, "a.ts", "key", token, sample(2))
        for (const generation of [1, 2]) yield* table.bury(realmUrl, ["a.ts"], generation)
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.some(sample(2)))
        assert.isTrue(yield* table.write(realmUrl, "a.ts", "key", token, sample(3)))
      }))

    it.effect("burying nothing is allowed", () =>
      Effect.gen(function*() {
        const { realmUrl, table } = yield* setUp
        yield* table.bury(realmUrl, [], 2)
      }))

    for (const scope of raises) {
      it.effect(`a floor (${scope}) voids every older row, checked on read, and refuses writers of any path (S9)`, () =>
        Effect.gen(function*() {
          const { realmUrl, realms, table, token } = yield* setUp
          yield* table.write(realmUrl, "a.ts", "key", token, sample(1))
          yield* realms.advance(realmUrl, 1, scope)
          assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.none())
          assert.isFalse(yield* table.write(realmUrl, "a.ts", "key", token, sample(1)))
          assert.isFalse(yield* table.write(realmUrl, "never-written.ts", "key", token, sample(1)))
          assert.deepStrictEqual(yield* table.read(realmUrl, "never-written.ts", "key"), Option.none())
          assert.isTrue(yield* table.write(realmUrl, "a.ts", "key", yield* capture(realmUrl), sample(2)))
          assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.some(sample(2)))
        }))
    }

    for (const scope of spares) {
      it.effect(`an invalidation of ${scope} leaves rows and writers alone`, () =>
        Effect.gen(function*() {
          const { realmUrl, realms, table, token } = yield* setUp
          yield* table.write(realmUrl, "a.ts", "key", token, sample(1))
          yield* realms.advance(realmUrl, 1, scope)
          assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.some(sample(1)))
          assert.isTrue(yield* table.write(realmUrl, "b.ts", "key", token, sample(1)))
        }))
    }

    it.effect("a writer whose table was lost since its token was taken is refused (rule 2)", () =>
      Effect.gen(function*() {
        const { realmUrl, table, token } = yield* setUp
        const lost = { ...token, incarnation: "00000000-0000-4000-8000-000000000000" }
        assert.isFalse(yield* table.write(realmUrl, "a.ts", "key", lost, sample(1)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.none())
      }))

    it.effect("clearing together with a raised floor leaves nothing, and no writer from before brings it back", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, token } = yield* setUp
        const other = freshRealm()
        yield* table.write(realmUrl, "a.ts", "key", token, sample(1))
        yield* table.write(other, "a.ts", "key", token, sample(1))
        yield* realms.advance(realmUrl, 1, "realm")
        yield* table.clear(realmUrl)
        assert.isFalse(yield* table.write(realmUrl, "a.ts", "key", token, sample(1)))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.none())
        assert.deepStrictEqual(yield* table.read(other, "a.ts", "key"), Option.some(sample(1)))
      }))

    for (const scope of raises) {
      it.effect(`rows that a floor (${scope}) has voided are collected, and no others`, () =>
        Effect.gen(function*() {
          const { realmUrl, realms, table, token } = yield* setUp
          const other = freshRealm()
          yield* realms.mount({ realmUrl: other, kind: "source", directory: "d", sourceUrl: null }, 0)
          yield* table.write(other, "a.ts", "key", token, sample(1))
          for (const path of ["a.ts", "b.ts", "c.ts"]) yield* table.write(realmUrl, path, "key", token, sample(1))
          yield* realms.advance(realmUrl, 1, scope)
          yield* table.write(realmUrl, "c.ts", "key", yield* capture(realmUrl), sample(2))
          assert.isAtLeast(yield* table.collectVoid, 2)
          assert.strictEqual(yield* table.collectVoid, 0)
          assert.deepStrictEqual(yield* table.read(realmUrl, "c.ts", "key"), Option.some(sample(2)))
          assert.deepStrictEqual(yield* table.read(other, "a.ts", "key"), Option.some(sample(1)))
          // The floor goes on refusing whoever began before it, row or no row.
          assert.isFalse(yield* table.write(realmUrl, "a.ts", "key", token, sample(1)))
        }), alone)
    }

    it.effect("rows of versions that are gone are collected, also ones that a slow writer brought back (rule 9)", () =>
      Effect.gen(function*() {
        const { realmUrl, table, token } = yield* setUp
        const versions = yield* RealmVersionTable
        for (const generation of [1, 2]) {
          const directory = randomUUID()
          yield* versions.begin(realmUrl, directory)
          yield* versions.commit(realmUrl, generation, directory)
          yield* table.write(
            ofVersion(realmUrl, generation),
            "a.ts",
            "key",
            { ...token, generation },
            sample(generation)
          )
        }
        yield* table.collectVoid
        yield* versions.remove(realmUrl, 1)
        yield* table.clear(ofVersion(realmUrl, 1))
        assert.isTrue(yield* table.write(ofVersion(realmUrl, 1), "a.ts", "key", token, sample(1)))
        assert.strictEqual(yield* table.collectVoid, 1)
        assert.deepStrictEqual(yield* table.read(ofVersion(realmUrl, 1), "a.ts", "key"), Option.none())
        assert.deepStrictEqual(yield* table.read(ofVersion(realmUrl, 2), "a.ts", "key"), Option.some(sample(2)))
      }), alone)

    it.effect("tombstones stay until the realm's insert floor has made them needless (S12)", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, token } = yield* setUp
        const paths = ["a.ts", "b.ts", "c.ts"]
        yield* realms.advance(realmUrl, 1, "paths")
        yield* table.bury(realmUrl, paths, 2)
        yield* table.collectVoid
        yield* table.collectTombstones(yield* realms.raiseInsertFloors(1_000_000))
        for (const path of paths) {
          assert.isFalse(yield* table.write(realmUrl, path, "key", token, sample(1)), "held by its tombstone")
        }
      }), alone)

    it.effect("an old writer cannot insert behind a collected tombstone, nor where there never was one (S7, S12)", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, token } = yield* setUp
        const transpiles = yield* ModuleTranspileTable
        const paths = Array.from({ length: 12 }, (_, index) =>
          `${index}.ts`)
        yield* realms.advance(realmUrl, 1, "paths")
        // Where tombstones of modules are many, those of every table go.
        yield* transpiles.bury(realmUrl, paths, 2)
        yield* table.bury(realmUrl, paths, 2)
        yield* table.write(realmUrl, "live.ts", "key", yield* capture(realmUrl), sample(2))
        const floors = yield* realms.raiseInsertFloors(11)
        assert.deepInclude(floors, { realmUrl, generation: 2 })
        // The floor refuses from now on, while the tombstones are still there.
        assert.isFalse(yield* table.write(realmUrl, "never-buried.ts", "key", token, sample(1)))
        assert.isAtLeast(yield* table.collectTombstones(floors), 12)
        for (const path of [...paths, "never-buried.ts"]) {
          assert.isFalse(yield* table.write(realmUrl, path, "key", token, sample(1)), path)
          assert.deepStrictEqual(yield* table.read(realmUrl, path, "key"), Option.none())
        }
        // Readers lose nothing, and who begins now is not refused.
        assert.deepStrictEqual(yield* table.read(realmUrl, "live.ts", "key"), Option.some(sample(2)))
        assert.isTrue(yield* table.write(realmUrl, "0.ts", "key", yield* capture(realmUrl), sample(3)))
        yield* transpiles.collectTombstones(floors)
      }), alone)

    it.effect("a tombstone that is newer than the insert floor is kept (S8)", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table } = yield* setUp
        const transpiles = yield* ModuleTranspileTable
        const paths = Array.from({ length: 12 }, (_, index) =>
          `${index}.ts`)
        yield* realms.advance(realmUrl, 1, "paths")
        yield* transpiles.bury(realmUrl, paths, 2)
        yield* table.bury(realmUrl, paths, 2)
        const floors = yield* realms.raiseInsertFloors(11)
        const between = yield* capture(realmUrl)
        yield* realms.advance(realmUrl, 2, "paths")
        yield* table.bury(realmUrl, ["0.ts"], 3)
        yield* table.collectTombstones(floors)
        assert.isFalse(yield* table.write(realmUrl, "0.ts", "key", between, sample(2)))
        assert.isTrue(yield* table.write(realmUrl, "1.ts", "key", between, sample(2)))
        yield* transpiles.collectTombstones(floors)
      }), alone)

    it.effect(
      "of two collections at once, each takes what its own floor has made needless: the other's is too young",
      () =>
        Effect.gen(function*() {
          const { realmUrl, realms, table } = yield* setUp
          const transpiles = yield* ModuleTranspileTable
          const paths = Array.from({ length: 12 }, (_, index) =>
            `${index}.ts`)
          const raise = Effect.map(realms.raiseInsertFloors(11), (floors) =>
            floors.filter((floor) =>
              floor.realmUrl === realmUrl
            ))
          yield* realms.advance(realmUrl, 1, "paths")
          yield* transpiles.bury(realmUrl, paths, 2)
          yield* table.bury(realmUrl, paths, 2)
          const first = yield* raise
          yield* realms.advance(realmUrl, 2, "paths")
          yield* table.bury(realmUrl, ["0.ts", "late.ts"], 3)
          const second = yield* raise
          // Whoever has read the first floor may still be writing over what was buried since.
          assert.strictEqual(yield* table.collectTombstones(first), 11)
          assert.strictEqual(yield* table.collectTombstones(second), 2)
          yield* transpiles.collectTombstones(second)
        }),
      alone
    )

    it.effect("realms with few tombstones are left alone: raising their floor would refuse writers for nothing", () =>
      Effect.gen(function*() {
        const { realmUrl, realms, table, token } = yield* setUp
        const transpiles = yield* ModuleTranspileTable
        yield* realms.advance(realmUrl, 1, "paths")
        yield* transpiles.bury(realmUrl, ["a.ts", "b.ts"], 2)
        yield* realms.raiseInsertFloors(2)
        assert.isTrue(yield* table.write(realmUrl, "slow.ts", "key", token, sample(1)))
      }), alone)

    it.effect("writers of one path at once leave the row of the newest generation", () =>
      Effect.gen(function*() {
        const { realmUrl, table, token } = yield* setUp
        const generations = [5, 1, 4, 2, 3, 5, 1]
        yield* Effect.forEach(
          generations,
          (generation) =>
            table.write(realmUrl, "a.ts", "key", { ...token, generation }, sample(generation)),
          { concurrency: "unbounded" }
        )
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.some(sample(5)))
      }))
  })
