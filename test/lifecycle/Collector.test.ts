import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { DatabaseError } from "../../src/domain/errors.ts"
import { collect, defaultKeep, layerCollector } from "../../src/lifecycle/Collector.ts"
import { RealmFiles } from "../../src/realms/RealmFiles.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { ArtifactTable } from "../../src/store/ArtifactTable.ts"
import { EncodingTable } from "../../src/store/EncodingTable.ts"
import { ModuleTable } from "../../src/store/ModuleTable.ts"
import { ModuleTranspileTable } from "../../src/store/ModuleTranspileTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { collector } from "../contract/collector.ts"
import { freshRealm } from "../contract/freshRealm.ts"
import { realmFiles } from "../realms/temporaryRealms.ts"
import { olderInMemory } from "../store/olderVersions.ts"

// Nothing here looks at a file.
const noFiles = { unchanged: () => () => assert.fail("a file was looked at") }

const tables = Layer.mergeAll(
  ArtifactTable.layerMemory,
  EncodingTable.layerMemory,
  ModuleTable.layerMemory,
  ModuleTranspileTable.layerMemory,
  RealmTable.layerMemory,
  RealmVersionTable.layerMemory
).pipe(Layer.provideMerge(MemoryDatabase.layer))

collector("memory", Layer.mergeAll(tables, realmFiles), olderInMemory)

it.effect("tombstones go only when no write that has seen the older floor can be under way any more (S12)", () =>
  Effect.gen(function*() {
    const database = yield* MemoryDatabase
    const modules = yield* ModuleTranspileTable
    const realms = yield* RealmTable
    const realmUrl = freshRealm()
    yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
    yield* realms.advance(realmUrl, 1, "paths")
    yield* modules.bury(realmUrl, ["a.ts", "b.ts"], 2)
    const tombstones = database.read(({ caches }) => caches.get("module_transpile_cache")?.size)
    yield* Effect.forkChild(collect({ ...defaultKeep, tombstones: 1 }), { startImmediately: true })
    yield* TestClock.adjust("29999 millis")
    assert.strictEqual(yield* tombstones, 2)
    yield* TestClock.adjust("1 millis")
    assert.strictEqual(yield* tombstones, 0)
  }).pipe(Effect.provide(Layer.fresh(Layer.mergeAll(tables, Layer.mock(RealmFiles, noFiles))))))

it.effect("the background goes on collecting every few minutes, whether or not the last time failed (I7)", () =>
  Effect.gen(function*() {
    let passes = 0
    const versions = Layer.mock(RealmVersionTable, {
      sweep: () =>
        Effect.suspend(() =>
          ++passes % 2 === 1
            ? Effect.fail(new DatabaseError({ operation: "sweep", cause: new Error("down") }))
            : Effect.succeed([])
        ),
      expire: () => Effect.succeed([])
    })
    yield* Layer.build(
      layerCollector().pipe(
        Layer.provide(versions),
        Layer.provide(Layer.fresh(tables)),
        Layer.provide(Layer.mock(RealmFiles, noFiles))
      )
    )
    yield* TestClock.adjust("30 minutes")
    assert.isAtLeast(passes, 5)
    assert.isAtMost(passes, 9)
  }))
