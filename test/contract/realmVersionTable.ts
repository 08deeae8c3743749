import { assert, layer } from "@effect/vitest"
import { type Duration, Effect, type Layer, Option } from "effect"
import { randomUUID } from "node:crypto"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { freshRealm } from "./freshRealm.ts"

// Sweeping and expiring take what is old of every realm: not while others look at theirs.
const alone = { concurrent: false }

/** What every RealmVersionTable promises. `pass` makes what is there of a realm older. */
export const realmVersionTable = <E, E1, R>(
  name: string,
  tables: Layer.Layer<RealmTable | RealmVersionTable | R, E>,
  pass: (realmUrl: RealmUrl, millis: number) => Effect.Effect<void, E1, R>
) =>
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

    it.effect("the versions of some realms are counted, each realm's own", () =>
      Effect.gen(function*() {
        const one = yield* published([1, 2, 3])
        const other = yield* published([4])
        const none = freshRealm()
        const counts = yield* one.versions.count([one.realmUrl, none])
        assert.deepStrictEqual(Array.from(counts), [[one.realmUrl, 3]])
        assert.strictEqual((yield* one.versions.count([other.realmUrl])).get(other.realmUrl), 1)
        assert.strictEqual((yield* one.versions.count([])).size, 0)
      }))

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

    it.effect("a copy that was announced becomes a version once, and one that was not never does", () =>
      Effect.gen(function*() {
        const { realmUrl, versions } = yield* published([])
        const directory = randomUUID()
        assert.isFalse(yield* versions.commit(realmUrl, 1, directory))
        yield* versions.begin(realmUrl, directory)
        assert.deepStrictEqual(yield* versions.list(realmUrl), [])
        assert.isTrue(yield* versions.commit(realmUrl, 1, directory))
        assert.isFalse(yield* versions.commit(realmUrl, 2, directory))
        assert.deepStrictEqual((yield* versions.list(realmUrl)).map((version) => version.generation), [1])
      }))

    it.effect("an announcement that was taken back cannot be committed; one that was committed cannot be taken back", () =>
      Effect.gen(function*() {
        const { realmUrl, versions } = yield* published([])
        const [given, kept] = [randomUUID(), randomUUID()]
        yield* versions.begin(realmUrl, given)
        yield* versions.begin(realmUrl, kept)
        assert.isTrue(yield* versions.abandon(given))
        assert.isFalse(yield* versions.abandon(given))
        assert.isFalse(yield* versions.commit(realmUrl, 1, given))
        assert.isTrue(yield* versions.commit(realmUrl, 1, kept))
        assert.isFalse(yield* versions.abandon(kept))
        assert.deepStrictEqual((yield* versions.list(realmUrl)).map((version) => version.directory), [kept])
      }))

    it.effect(
      "the sweeper takes announcements that are old enough, each once, and none that was committed (rule 9)",
      () =>
        Effect.gen(function*() {
          const { realmUrl, versions } = yield* published([])
          const [old, committed, young] = [randomUUID(), randomUUID(), randomUUID()]
          yield* versions.begin(realmUrl, old)
          yield* versions.begin(realmUrl, committed)
          yield* versions.commit(realmUrl, 1, committed)
          yield* pass(realmUrl, 3_600_000)
          yield* versions.begin(realmUrl, young)
          const swept = yield* versions.sweep("30 minutes")
          assert.include(swept, old)
          assert.notInclude(swept, committed)
          assert.notInclude(swept, young)
          assert.notInclude(yield* versions.sweep("30 minutes"), old)
          // Whoever wakes up now is too late, and the young one is not.
          assert.isFalse(yield* versions.commit(realmUrl, 2, old))
          assert.isTrue(yield* versions.commit(realmUrl, 3, young))
        }),
      alone
    )

    it.effect("versions expire when they are neither among the newest nor superseded lately", () =>
      Effect.gen(function*() {
        const { realmUrl, versions } = yield* published([1, 2, 3, 4])
        const expired = Effect.fnUntraced(function*(keep: number, age: Duration.Input) {
          const rows = yield* versions.expire(keep, age)
          return rows.filter((row) =>
            row.realmUrl === realmUrl
          ).map((row) => row.directory).toSorted()
        })
        yield* pass(realmUrl, 3_600_000)
        yield* versions.begin(realmUrl, `${realmUrl} v9`)
        yield* versions.commit(realmUrl, 9, `${realmUrl} v9`)
        assert.deepStrictEqual(yield* expired(1, "2 hours"), [])
        assert.deepStrictEqual(yield* expired(5, 0), [])
        assert.deepStrictEqual(yield* expired(3, "30 minutes"), [`${realmUrl} v1`, `${realmUrl} v2`])
        assert.deepStrictEqual((yield* versions.list(realmUrl)).map((row) => row.generation), [9, 4, 3])
        // However few are kept and however old it is: what was the newest until just now stays for a while.
        assert.deepStrictEqual(yield* expired(0, "30 minutes"), [`${realmUrl} v3`])
        assert.deepStrictEqual((yield* versions.list(realmUrl)).map((row) => row.generation), [9, 4])
        yield* pass(realmUrl, 3_600_000)
        assert.deepStrictEqual(yield* expired(0, "30 minutes"), [`${realmUrl} v4`])
        // And what is served stays, whatever its age.
        assert.deepStrictEqual((yield* versions.list(realmUrl)).map((row) => row.generation), [9])
      }), alone)

    it.effect("each realm keeps its own newest versions", () =>
      Effect.gen(function*() {
        const [one, other] = [yield* published([5]), yield* published([1, 2])]
        for (const { realmUrl } of [one, other]) {
          yield* pass(realmUrl, 3_600_000)
        }
        const gone = yield* one.versions.expire(1, "30 minutes")
        const mine = gone.filter((row) =>
          row.realmUrl === one.realmUrl || row.realmUrl === other.realmUrl
        )
        assert.deepStrictEqual(mine.map((row) => row.directory), [`${other.realmUrl} v1`])
      }), alone)
  })
