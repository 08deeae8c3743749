import { assert, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { SourceCache } from "../../src/cache/SourceCache.ts"
import { TranspiledModuleCache } from "../../src/cache/TranspiledModuleCache.ts"
import { Barrier } from "../../src/coordination/Barrier.ts"
import { Generations } from "../../src/coordination/Generations.ts"
import { Notifications } from "../../src/coordination/Notifications.ts"
import { DatabaseError } from "../../src/domain/errors.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { Invalidation, type Target } from "../../src/lifecycle/Invalidation.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { deleteRealm } from "../../src/lifecycle/retire.ts"
import { deleteFile, putFile } from "../../src/lifecycle/write.ts"
import { emptyRow, ModuleTable } from "../../src/store/ModuleTable.ts"
import { ModuleTranspileTable } from "../../src/store/ModuleTranspileTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { eventually } from "../support/eventually.ts"
import { put } from "../realms/temporaryRealms.ts"
import { notesUrl, oneReplica, publicUrl, publishedUrl, rowOf, served } from "./oneReplica.ts"

type Services = Layer.Success<typeof oneReplica>

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Services>) =>
  it.live(
    name,
    () => Effect.provide(Effect.andThen(put("a.ts", "export const a = 1"), test()), Layer.fresh(oneReplica))
  )

/** Begins to listen to what the other replicas are told of changes. */
const overheard = Effect.gen(function*() {
  const { notify, subscribe } = yield* Notifications
  const heard: Array<string> = []
  let marks = 0
  yield* subscribe((event) => {
    if (event._tag !== "Message" || event.message.channel === "lockstep_acks") return
    heard.push(`${event.message.channel} ${event.message.payload}`)
  })
  return {
    /** What was said since this was asked last. */
    said: Effect.gen(function*() {
      // What was sent before the mark has been heard when the mark has.
      const mark = `mark ${++marks}`
      yield* notify([{ channel: "realm_registry", payload: mark }])
      const all = yield* eventually(
        mark,
        Effect.sync(() => heard),
        (messages) => messages.includes(`realm_registry ${mark}`)
      )
      return all.splice(0).filter((message) => message !== `realm_registry ${mark}`)
    })
  }
})

const generationOf = (realmUrl: RealmUrl) => Effect.map(rowOf(realmUrl), (row) => row?.generation)

live(
  "a write replaces the file, moves the generation by one, and tells the others the path (S23)",
  () =>
    Effect.gen(function*() {
      const { said } = yield* overheard
      assert.deepStrictEqual(yield* putFile(notesUrl, "a.ts", Buffer.from("two")), {
        outcome: "replaced",
        generation: 2,
        replicas: { live: 1, acked: 1 }
      })
      assert.strictEqual(yield* served(notesUrl, "a.ts"), "two")
      assert.deepStrictEqual(yield* putFile(notesUrl, "dir/b.json", Buffer.from("{}")), {
        outcome: "created",
        generation: 3,
        replicas: { live: 1, acked: 1 }
      })
      assert.deepStrictEqual(yield* deleteFile(notesUrl, "a.ts"), {
        outcome: "removed",
        generation: 4,
        replicas: { live: 1, acked: 1 }
      })
      assert.isUndefined(yield* served(notesUrl, "a.ts"))
      assert.deepStrictEqual((yield* said).filter((each) => each.startsWith("realm_file_changes")), [
        `realm_file_changes ${notesUrl}:a.ts`,
        `realm_file_changes ${notesUrl}:dir/b.json`,
        `realm_file_changes ${notesUrl}:a.ts`
      ])
    }).pipe(Effect.scoped)
)

live("a module's new bytes are transpiled and served at once, and only they (S2)", () =>
  Effect.gen(function*() {
    const generations = yield* Generations
    const sources = yield* SourceCache
    const modules = yield* TranspiledModuleCache
    const get = Effect.fnUntraced(function*(path: string) {
      const [view] = yield* generations.view([notesUrl])
      if (view === undefined) return yield* Effect.die("the realm is missing")
      const { origin, value } = yield* modules.get(view, yield* sources.read(view, path))
      return [Buffer.from(value.body).toString().trim(), origin]
    })
    yield* put("b.ts", "export const b: number = 1")
    assert.deepStrictEqual(yield* get("a"), ["export const a = 1;", "computed"])
    assert.deepStrictEqual(yield* get("b.ts"), ["export const b = 1;", "computed"])
    yield* putFile(notesUrl, "a.ts", Buffer.from("export const a: string = 'two'"))
    assert.deepStrictEqual((yield* get("a"))[1], "computed")
    assert.deepStrictEqual(yield* get("b.ts"), ["export const b = 1;", "l1"])
    yield* putFile(notesUrl, "a.gts", Buffer.from("export const a = 'gts'"))
    const [view] = yield* generations.view([notesUrl])
    if (view !== undefined) assert.strictEqual((yield* sources.read(view, "a")).canonicalPath, "a.gts")
  }))

live("a write that is refused, or fails, moves nothing", () =>
  Effect.gen(function*() {
    const { said } = yield* overheard
    yield* publish({ sourceRealmUrl: notesUrl, publishedRealmUrl: publishedUrl })
    yield* said
    const put = (realmUrl: RealmUrl, path: string) =>
      Effect.map(Effect.flip(putFile(realmUrl, path, Buffer.from("x"))), (error) => error._tag)
    for (const path of ["", "a/", "/a", "../a.ts", "a/../b.ts", "_atomic", "@1/a.ts", ".env", "a/.git/x", "a\0.ts"]) {
      assert.strictEqual(yield* put(notesUrl, path), "InvalidInput", path)
      assert.strictEqual((yield* Effect.flip(deleteFile(notesUrl, path)))._tag, "InvalidInput", path)
    }
    assert.strictEqual(yield* put(publishedUrl, "a.ts"), "RealmNotWritable")
    assert.strictEqual(yield* put(`${publicUrl}unknown/` as RealmUrl, "a.ts"), "RealmNotFound")
    assert.strictEqual(yield* put(notesUrl, "a.ts/below.ts"), "FileConflict")
    assert.strictEqual((yield* Effect.flip(deleteFile(notesUrl, "missing.ts")))._tag, "FileNotFound")
    assert.strictEqual(yield* generationOf(notesUrl), 1)
    assert.strictEqual(yield* generationOf(publishedUrl), 1)
    assert.deepStrictEqual(yield* said, [])
  }).pipe(Effect.scoped))

live("writes of one realm at once all take effect, each at a generation of its own", () =>
  Effect.gen(function*() {
    const results = yield* Effect.forEach(
      Array.from({ length: 10 }, (_, index) => `${index}.json`),
      (path) => putFile(notesUrl, path, Buffer.from("{}")),
      { concurrency: "unbounded" }
    )
    assert.deepStrictEqual(
      results.map((each) => each.generation).toSorted((a, b) => a - b),
      Array.from({ length: 10 }, (_, index) => index + 2)
    )
  }))

const rows = Effect.gen(function*() {
  const realms = yield* RealmTable
  const transpiled = yield* ModuleTranspileTable
  const definitions = yield* ModuleTable
  const { incarnation } = yield* realms.read([])
  const token = { generation: 1, incarnation }
  const write = Effect.fnUntraced(function*(path: string) {
    return [
      yield* transpiled.write(notesUrl, path, "key", token, { body: "", headers: {}, dependency_keys: [] }),
      yield* definitions.write(notesUrl, path, "key", token, emptyRow)
    ]
  })
  const read = Effect.fnUntraced(function*(path: string) {
    return [
      Option.isSome(yield* transpiled.read(notesUrl, path, "key")),
      Option.isSome(yield* definitions.read(notesUrl, path, "key"))
    ]
  })
  return { write, read }
})

const targets: ReadonlyArray<{
  readonly target: Target
  /** Whether rows of transpiled modules and of definitions survive: of `a.ts`, and of `b.ts`. */
  readonly survive: readonly [ReadonlyArray<boolean>, ReadonlyArray<boolean>]
  readonly told: ReadonlyArray<string>
}> = [
  {
    target: ["a.ts", "c.json"],
    survive: [[false, false], [true, true]],
    told: [`realm_file_changes ${notesUrl}:a.ts`, `realm_file_changes ${notesUrl}:c.json`]
  },
  {
    target: "realm",
    survive: [[false, false], [false, false]],
    told: [`realm_file_changes ${notesUrl}:*`]
  },
  {
    target: "definitions",
    survive: [[true, false], [true, false]],
    told: [`realm_file_changes ${notesUrl}:*`, `module_cache_invalidated {"k":"realm","r":"${notesUrl}"}`]
  }
]

for (const { survive, target, told } of targets) {
  const what = typeof target === "string" ? target : "paths"
  live(
    `an invalidation of ${what} voids what it names, for writers that were under way too (S8, S9, S26)`,
    () =>
      Effect.gen(function*() {
        const { invalidate } = yield* Invalidation
        const { read, write } = yield* rows
        yield* write("a.ts")
        yield* write("b.ts")
        const { said } = yield* overheard
        assert.strictEqual((yield* invalidate(notesUrl, target)).generation, 2)
        assert.deepStrictEqual([yield* read("a.ts"), yield* read("b.ts")], survive)
        // A writer that began before it, also where there was no row.
        assert.deepStrictEqual([yield* write("a.ts"), yield* write("b.ts")], survive)
        assert.deepStrictEqual([yield* read("a.ts"), yield* read("b.ts")], survive)
        assert.deepStrictEqual((yield* said).filter((each) => !each.startsWith("lockstep_generations")), told)
      }).pipe(Effect.scoped)
  )
}

live("an invalidation of a realm that is gone, or was never there, is refused", () =>
  Effect.gen(function*() {
    const { invalidate } = yield* Invalidation
    yield* deleteRealm(notesUrl)
    for (const realmUrl of [notesUrl, `${publicUrl}unknown/` as RealmUrl]) {
      assert.strictEqual((yield* Effect.flip(invalidate(realmUrl, "realm")))._tag, "RealmNotFound")
    }
    assert.strictEqual(yield* generationOf(notesUrl), 2)
  }))

live(
  "a commit by someone who has lost the realm meanwhile changes nothing, tombstones included (I3)",
  () =>
    Effect.gen(function*() {
      const { commit } = yield* Invalidation
      const { read, write } = yield* rows
      const stale = yield* rowOf(notesUrl)
      if (stale === undefined) return yield* Effect.die("the realm is missing")
      yield* putFile(notesUrl, "other.json", Buffer.from("{}"))
      yield* write("a.ts")
      const { said } = yield* overheard
      yield* said
      assert.strictEqual((yield* Effect.flip(commit(stale, ["a.ts"], "call")))._tag, "CommitConflict")
      assert.deepStrictEqual(yield* read("a.ts"), [true, true])
      assert.strictEqual(yield* generationOf(notesUrl), 2)
      assert.deepStrictEqual(yield* said, [])
    }).pipe(Effect.scoped)
)

live("an announcement that cannot be sent does not fail what is committed", () =>
  Effect.gen(function*() {
    const down = Effect.fail(new DatabaseError({ operation: "notify", cause: new Error("down") }))
    const deaf = Layer.mock(Notifications, { subscribe: () => Effect.void, notify: () => down })
    const replica = yield* Layer.build(
      Layer.fresh(Invalidation.layer).pipe(
        Layer.provide(Layer.fresh(Barrier.layer)),
        Layer.provideMerge(Layer.fresh(Generations.layer())),
        Layer.provide(deaf)
      )
    )
    const { invalidate } = yield* Effect.provide(Invalidation, replica)
    const { view } = yield* Effect.provide(Generations, replica)
    // Nobody tells it of its own change either: it is applied here, path by path.
    const [before] = yield* view([notesUrl])
    yield* invalidate(notesUrl, ["b.ts"])
    assert.isTrue(before?.fence.holds(before.token, "a.ts"))
    assert.isFalse(before?.fence.holds(before.token, "b.ts"))
    for (const target of [["a.ts"], "realm", "definitions"] as const) yield* invalidate(notesUrl, target)
    assert.strictEqual(yield* generationOf(notesUrl), 5)
    // The others find it by themselves.
    const generations = yield* Generations
    yield* eventually(
      "the catch-up of a replica that was not told",
      generations.view([notesUrl]),
      ([view]) => view?.row.generation === 5
    )
  }).pipe(Effect.scoped))
