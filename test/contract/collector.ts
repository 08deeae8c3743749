import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import * as fs from "node:fs/promises"
import { randomUUID } from "node:crypto"
import * as path from "node:path"
import { FileFailure } from "../../src/domain/errors.ts"
import { ofVersion, type RealmUrl } from "../../src/domain/RealmUrl.ts"
import { collect, type Keep } from "../../src/lifecycle/Collector.ts"
import { RealmFiles } from "../../src/realms/RealmFiles.ts"
import { ArtifactTable } from "../../src/store/ArtifactTable.ts"
import { EncodingTable } from "../../src/store/EncodingTable.ts"
import { ModuleTable } from "../../src/store/ModuleTable.ts"
import { ModuleTranspileTable } from "../../src/store/ModuleTranspileTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { notes, put, TemporaryRealms } from "../realms/temporaryRealms.ts"
import { definitions, transpiled } from "./cacheTables.ts"
import { freshRealm } from "./freshRealm.ts"

type Services =
  | ArtifactTable
  | EncodingTable
  | ModuleTable
  | ModuleTranspileTable
  | RealmFiles
  | RealmTable
  | RealmVersionTable
  | TemporaryRealms

const keep: Keep = {
  versions: 2,
  versionAge: "30 minutes",
  copyAge: "30 minutes",
  tombstones: 10,
  settle: "10 millis",
  artifactAge: "1 day",
  encodingAge: "1 day",
  contentAge: "1 day"
}

const hour = 3_600_000

// Collecting takes what is old of every realm: not while others look at theirs.
const alone = { concurrent: false }

/** What a collection promises, whatever the tables are. `pass` makes what is there of a realm's versions older. */
export const collector = <E, E1, R>(
  name: string,
  services: Layer.Layer<Services | R, E>,
  pass: (realmUrl: RealmUrl, millis: number) => Effect.Effect<void, E1, R>
) =>
  layer(services, { excludeTestServices: true })(`a collection on ${name}`, (it) => {
    /** Copies the source realm under a new name, as a publish does. */
    const copied = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
      const files = yield* RealmFiles
      const versions = yield* RealmVersionTable
      const directory = randomUUID()
      yield* put("a.ts", "export const a = 1")
      yield* versions.begin(realmUrl, directory)
      yield* files.snapshot(notes, directory)
      return directory
    })

    /** A published realm with a version at each generation, cached. */
    const published = Effect.fnUntraced(function*(generations: ReadonlyArray<number>) {
      const analyses = yield* ModuleTable
      const modules = yield* ModuleTranspileTable
      const realms = yield* RealmTable
      const versions = yield* RealmVersionTable
      const realmUrl = freshRealm()
      const directories = new Map<number, string>()
      yield* realms.mount({ realmUrl, kind: "published", directory: "d", sourceUrl: null }, 0)
      const { incarnation } = yield* realms.read([])
      for (const generation of generations) {
        const directory = yield* copied(realmUrl)
        yield* versions.commit(realmUrl, generation, directory)
        directories.set(generation, directory)
        const own = ofVersion(realmUrl, generation)
        yield* modules.write(own, "a.ts", "key", { generation, incarnation }, transpiled.sample(generation))
        yield* analyses.write(own, "a.ts", "key", { generation, incarnation }, definitions.sample(generation))
      }
      const remaining = Effect.gen(function*() {
        const found: Array<readonly [number, boolean, boolean, boolean, boolean]> = []
        for (const [generation, directory] of directories) {
          const own = ofVersion(realmUrl, generation)
          found.push([
            generation,
            (yield* versions.list(realmUrl)).some((row) => row.generation === generation),
            yield* isThere(directory),
            Option.isSome(yield* modules.read(own, "a.ts", "key")),
            Option.isSome(yield* analyses.read(own, "a.ts", "key"))
          ])
        }
        // Its row, its files and what was made of them go together.
        for (const [generation, ...parts] of found) {
          assert.strictEqual(new Set(parts).size, 1, `${generation}: ${parts.join()}`)
        }
        return found.filter(([, row]) => row).map(([generation]) => generation)
      })
      return { realmUrl, directories, remaining }
    })

    const isThere = (directory: string) =>
      Effect.flatMap(
        TemporaryRealms,
        ({ versionsDir }) =>
          Effect.promise(() => fs.stat(path.join(versionsDir, directory)).then(() => true, () => false))
      )

    it.effect("versions that are neither among the newest nor young go, with their files and rows (rule 9)", () =>
      Effect.gen(function*() {
        const { realmUrl, remaining } = yield* published([1, 2, 5, 9])
        yield* collect(keep)
        assert.deepStrictEqual(yield* remaining, [1, 2, 5, 9])
        yield* pass(realmUrl, hour)
        yield* collect(keep)
        assert.deepStrictEqual(yield* remaining, [5, 9])
        yield* collect(keep)
        assert.deepStrictEqual(yield* remaining, [5, 9])
      }), alone)

    it.effect("a copy that nobody has committed for long is removed, half done or whole; a young one is not", () =>
      Effect.gen(function*() {
        const versions = yield* RealmVersionTable
        const { versionsDir } = yield* TemporaryRealms
        const { realmUrl } = yield* published([])
        const whole = yield* copied(realmUrl)
        const half = randomUUID()
        yield* versions.begin(realmUrl, half)
        yield* Effect.promise(() =>
          fs.mkdir(path.join(versionsDir, `.lockstep-${half}`, "dir"), { recursive: true })
        )
        yield* pass(realmUrl, hour)
        const young = yield* copied(realmUrl)
        yield* collect(keep)
        assert.deepStrictEqual(
          yield* Effect.forEach([whole, half, `.lockstep-${half}`, young], isThere),
          [false, false, false, true]
        )
        assert.isTrue(yield* versions.commit(realmUrl, 1, young))
      }), alone)

    it.effect("a publisher that wakes while its copy is being removed cannot commit it any more (rule 9)", () =>
      Effect.gen(function*() {
        const files = yield* RealmFiles
        const versions = yield* RealmVersionTable
        const { realmUrl } = yield* published([])
        const directory = yield* copied(realmUrl)
        yield* pass(realmUrl, hour)
        let late: boolean | undefined
        yield* Effect.provideService(collect(keep), RealmFiles, {
          ...files,
          removeVersion: (name) =>
            Effect.andThen(
              name !== directory ? Effect.void : Effect.orDie(Effect.map(
                versions.commit(realmUrl, 1, directory),
                (committed) =>
                  void (late = committed)
              )),
              files.removeVersion(name)
            )
        })
        assert.isFalse(late)
        assert.deepStrictEqual(yield* versions.list(realmUrl), [])
      }), alone)

    it.effect("a directory that cannot be removed keeps nothing else from being collected (I7)", () =>
      Effect.gen(function*() {
        const files = yield* RealmFiles
        const { directories, realmUrl } = yield* published([1, 2, 3, 4])
        const abandoned = [yield* copied(realmUrl), yield* copied(realmUrl)]
        yield* pass(realmUrl, hour)
        const stuck = new Set([directories.get(1), abandoned[0]])
        yield* Effect.provideService(collect(keep), RealmFiles, {
          ...files,
          removeVersion: (name) =>
            stuck.has(name)
              ? Effect.fail(new FileFailure({ operation: "remove", path: name, code: "EBUSY", detail: "busy" }))
              : files.removeVersion(name)
        })
        assert.deepStrictEqual(
          yield* Effect.forEach([...directories.values(), ...abandoned], isThere),
          [true, false, true, true, true, false]
        )
      }), alone)

    it.effect(
      "rows that a floor has voided go, and tombstones behind a raised floor: no old writer gets in (S9, S12)",
      () =>
        Effect.gen(function*() {
          const analyses = yield* ModuleTable
          const modules = yield* ModuleTranspileTable
          const realms = yield* RealmTable
          const realmUrl = freshRealm()
          yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
          const { incarnation } = yield* realms.read([])
          const at = (generation: number) => ({ generation, incarnation })
          const paths = Array.from({ length: 11 }, (_, index) =>
            `${index}.ts`)
          yield* modules.write(realmUrl, "void.ts", "key", at(1), transpiled.sample(1))
          yield* realms.advance(realmUrl, 1, "realm")
          yield* modules.write(realmUrl, "live.ts", "key", at(2), transpiled.sample(2))
          yield* realms.advance(realmUrl, 2, "paths")
          yield* modules.bury(realmUrl, paths, 3)
          yield* analyses.bury(realmUrl, paths, 3)
          yield* collect(keep)
          for (const path of [...paths, "void.ts", "never.ts"]) {
            assert.isFalse(yield* modules.write(realmUrl, path, "key", at(2), transpiled.sample(2)), path)
            assert.isFalse(yield* analyses.write(realmUrl, path, "key", at(2), definitions.sample(2)), path)
          }
          assert.isTrue(Option.isSome(yield* modules.read(realmUrl, "live.ts", "key")))
          assert.isTrue(yield* modules.write(realmUrl, "0.ts", "key", at(3), transpiled.sample(3)))
          // Nothing is left to collect.
          assert.deepStrictEqual(
            yield* Effect.all([
              modules.collectVoid,
              modules.collectTombstones([{ realmUrl, generation: 3 }]),
              analyses.collectTombstones([{ realmUrl, generation: 3 }])
            ]),
            [0, 0, 0]
          )
        }),
      alone
    )

    it.effect("collections at once, on several replicas, do not get in each other's way", () =>
      Effect.gen(function*() {
        const { realmUrl, remaining } = yield* published([1, 2, 3, 4, 5, 6])
        const abandoned = yield* Effect.forEach([1, 2, 3], () =>
          copied(realmUrl))
        yield* pass(realmUrl, hour)
        yield* Effect.all([collect(keep), collect(keep), collect(keep)], { concurrency: "unbounded", discard: true })
        assert.deepStrictEqual(yield* remaining, [5, 6])
        assert.deepStrictEqual(yield* Effect.forEach(abandoned, isThere), [false, false, false])
      }), alone)
  })
