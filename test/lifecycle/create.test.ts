import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { DatabaseError } from "../../src/domain/errors.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { createRealm } from "../../src/lifecycle/create.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { Reconciler } from "../../src/realms/Reconciler.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { put, TemporaryRealms, tree } from "../realms/temporaryRealms.ts"
import { notesUrl, oneReplica, publicUrl, rowOf, served } from "./oneReplica.ts"

type Services = Layer.Success<typeof oneReplica>

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Services>) =>
  it.live(
    name,
    () => Effect.provide(Effect.andThen(put("a.ts", "one"), test()), Layer.fresh(oneReplica))
  )

const freshUrl = `${publicUrl}fresh/` as RealmUrl

const failing = <A, E, R>(how: "before the commit" | "after it", self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Transaction, ({ run }) => {
    const lost = Effect.fail(new DatabaseError({ operation: "commit", cause: new Error("down") }))
    let failed = false
    return Effect.provideService(self, Transaction, {
      run: (work) => {
        if (failed) return run(work)
        failed = true
        return how === "after it" ? Effect.andThen(run(work), lost) : run(Effect.andThen(work, lost))
      }
    })
  })

live("a created realm is empty, live, and at generation 1", () =>
  Effect.gen(function*() {
    const { realmsDir } = yield* TemporaryRealms
    assert.deepStrictEqual(yield* createRealm({ publicUrl, name: "fresh" }), { realmUrl: freshUrl, generation: 1 })
    assert.deepInclude(yield* rowOf(freshUrl), { kind: "source", state: "live", directory: "fresh" })
    assert.include(Object.keys(yield* tree(realmsDir)), "fresh/")
  }))

live("a realm may begin with a copy of a directory", () =>
  Effect.gen(function*() {
    const { outside } = yield* TemporaryRealms
    yield* createRealm({ publicUrl, name: "fresh", from: outside })
    assert.strictEqual(yield* served(freshUrl, "secret.ts"), "export const secret = 1")
  }))

live("names with spaces and any script are realms of their own", () =>
  Effect.gen(function*() {
    for (const name of ["my notes", "заметки", "100%"]) {
      const { realmUrl } = yield* createRealm({ publicUrl, name })
      assert.strictEqual(realmUrl, `${publicUrl}${encodeURIComponent(name)}/`)
    }
  }))

live("what cannot be created is refused, and says why", () =>
  Effect.gen(function*() {
    const { outside, realmsDir } = yield* TemporaryRealms
    const refused = (name: string, from?: string) =>
      Effect.map(
        Effect.flip(createRealm({ publicUrl, name, ...(from === undefined ? {} : { from }) })),
        (error) => error._tag
      )
    for (const name of ["", "..", ".hidden", "_x", "a/b", "a@1"]) {
      assert.strictEqual(yield* refused(name), "InvalidInput", name)
    }
    assert.strictEqual(yield* refused("fresh", "relative/path"), "InvalidInput")
    assert.strictEqual(yield* refused("notes"), "RealmConflict")
    yield* publish({ sourceRealmUrl: notesUrl, publishedRealmUrl: `${publicUrl}blog/live/` as RealmUrl })
    assert.strictEqual(yield* refused("blog"), "RealmConflict")
    assert.strictEqual(yield* refused("fresh", path.join(outside, "missing")), "FileFailure")
    yield* Effect.promise(() => fs.mkdir(path.join(realmsDir, "fresh")))
    assert.strictEqual(yield* refused("fresh", outside), "RealmConflict")
    assert.deepStrictEqual(Object.keys(yield* tree(realmsDir)).toSorted(), ["fresh/", "notes/", "notes/a.ts"])
  }))

live(
  "a create that fails leaves no directory that would be adopted later, and can be repeated",
  () =>
    Effect.gen(function*() {
      const { outside } = yield* TemporaryRealms
      const { reconcile } = yield* Reconciler
      for (const from of [outside, undefined]) {
        const create = createRealm({ publicUrl, name: "fresh", ...(from === undefined ? {} : { from }) })
        assert.strictEqual((yield* Effect.flip(failing("before the commit", create)))._tag, "DatabaseError")
        yield* reconcile
        assert.isUndefined(yield* rowOf(freshUrl))
      }
      assert.strictEqual((yield* createRealm({ publicUrl, name: "fresh", from: outside })).generation, 1)
    })
)

live("what a failing create has made is not adopted by who waits for its lock", () =>
  Effect.gen(function*() {
    const { reconcile } = yield* Reconciler
    const made = yield* Deferred.make<void>()
    const goOn = yield* Deferred.make<void>()
    const { run } = yield* Transaction
    let held = false
    const creating = yield* Effect.provideService(createRealm({ publicUrl, name: "fresh" }), Transaction, {
      run: (work) => {
        if (held) return run(work)
        held = true
        return Deferred.succeed(made, undefined).pipe(
          Effect.andThen(Deferred.await(goOn)),
          Effect.andThen(new DatabaseError({ operation: "commit", cause: new Error("down") }))
        )
      }
    }).pipe(Effect.exit, Effect.forkChild({ startImmediately: true }))
    yield* Deferred.await(made)
    // It sees the directory, and waits for the realm.
    const adopting = yield* Effect.forkChild(reconcile, { startImmediately: true })
    yield* Effect.sleep("50 millis")
    yield* Deferred.succeed(goOn, undefined)
    yield* Fiber.join(creating)
    yield* Fiber.join(adopting)
    assert.isUndefined(yield* rowOf(freshUrl))
  }))

live("a create that fails keeps a directory that was there before", () =>
  Effect.gen(function*() {
    const { realmsDir } = yield* TemporaryRealms
    yield* Effect.promise(async () => {
      await fs.mkdir(path.join(realmsDir, "fresh"))
      await fs.writeFile(path.join(realmsDir, "fresh", "mine.ts"), "mine")
    })
    yield* Effect.flip(failing("before the commit", createRealm({ publicUrl, name: "fresh" })))
    assert.include(Object.keys(yield* tree(realmsDir)), "fresh/mine.ts")
  }))

live("when only the reply of the commit is lost, the realm and its files are there", () =>
  Effect.gen(function*() {
    const { outside } = yield* TemporaryRealms
    yield* Effect.flip(failing("after it", createRealm({ publicUrl, name: "fresh", from: outside })))
    assert.strictEqual(yield* served(freshUrl, "secret.ts"), "export const secret = 1")
  }))

live(
  "directories that appear become realms, and the registry says which are mounted (S28)",
  () =>
    Effect.gen(function*() {
      const { realmsDir } = yield* TemporaryRealms
      const { mount, mounted, reconcile } = yield* Reconciler
      const realms = yield* RealmTable
      const urls = Effect.map(realms.list, (rows) => rows.map((row) => row.realmUrl))
      assert.deepStrictEqual(yield* urls, [notesUrl])
      yield* Effect.promise(async () => {
        for (const name of ["fresh", ".hidden", "_reserved", "x@1"]) await fs.mkdir(path.join(realmsDir, name))
      })
      yield* Effect.all([reconcile, reconcile, reconcile], { concurrency: "unbounded" })
      assert.deepStrictEqual(yield* urls, [freshUrl, notesUrl])
      assert.strictEqual((yield* rowOf(freshUrl))?.generation, 1)
      const row = yield* rowOf(freshUrl)
      if (row !== undefined) yield* mount(row)
      assert.deepStrictEqual(yield* mounted, [freshUrl])
      yield* realms.retire(freshUrl, 1)
      yield* reconcile
      assert.deepStrictEqual(yield* mounted, [])
      assert.deepStrictEqual(yield* urls, [notesUrl])
    })
)

live("a directory whose realm would lie around or inside another is not adopted", () =>
  Effect.gen(function*() {
    const { realmsDir } = yield* TemporaryRealms
    const { reconcile } = yield* Reconciler
    yield* publish({ sourceRealmUrl: notesUrl, publishedRealmUrl: `${publicUrl}blog/live/` as RealmUrl })
    yield* Effect.promise(() => fs.mkdir(path.join(realmsDir, "blog")))
    yield* reconcile
    assert.isUndefined(yield* rowOf(`${publicUrl}blog/` as RealmUrl))
  }))
