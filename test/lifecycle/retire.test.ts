import { assert, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { DatabaseError, FileFailure } from "../../src/domain/errors.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { createRealm } from "../../src/lifecycle/create.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { deleteRealm, unpublish } from "../../src/lifecycle/retire.ts"
import { RealmFiles } from "../../src/realms/RealmFiles.ts"
import { Reconciler } from "../../src/realms/Reconciler.ts"
import { JobTable } from "../../src/store/JobTable.ts"
import { ModuleTranspileTable } from "../../src/store/ModuleTranspileTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { put, TemporaryRealms, tree } from "../realms/temporaryRealms.ts"
import { notesUrl, oneReplica, publicUrl, publishedUrl, rowOf, served } from "./oneReplica.ts"

type Services = Layer.Success<typeof oneReplica>

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Services>) =>
  it.live(
    name,
    () => Effect.provide(Effect.andThen(put("a.ts", "one"), test()), Layer.fresh(oneReplica))
  )

const toPublished = publish({ sourceRealmUrl: notesUrl, publishedRealmUrl: publishedUrl })

const versionsOnDisk = Effect.flatMap(TemporaryRealms, ({ versionsDir }) => tree(versionsDir))

live(
  "an unpublished realm is gone with its rows, jobs and files; its source stays (S30)",
  () =>
    Effect.gen(function*() {
      const jobs = yield* JobTable
      const realms = yield* RealmTable
      const versions = yield* RealmVersionTable
      const transpiled = yield* ModuleTranspileTable
      yield* toPublished
      yield* toPublished
      const { incarnation } = yield* realms.read([])
      const token = { generation: 2, incarnation }
      const row = { body: "", headers: {}, dependency_keys: [] }
      yield* transpiled.write(publishedUrl, "a.ts", "key", token, row)
      const result = yield* unpublish(publishedUrl)
      assert.strictEqual(result.generation, 3)
      assert.isUndefined(yield* served(publishedUrl, "a.ts"))
      assert.deepInclude(yield* rowOf(publishedUrl), { state: "gone", generation: 3 })
      assert.deepStrictEqual(yield* versions.list(publishedUrl), [])
      assert.deepStrictEqual(yield* jobs.latest(publishedUrl), Option.none())
      assert.deepStrictEqual(yield* versionsOnDisk, {})
      assert.isTrue(Option.isNone(yield* transpiled.read(publishedUrl, "a.ts", "key")))
      assert.isFalse(yield* transpiled.write(publishedUrl, "a.ts", "key", token, row))
      assert.strictEqual(yield* served(notesUrl, "a.ts"), "one")
    })
)

live(
  "a realm that is published again goes on counting, and serves nothing from before (S30, I3)",
  () =>
    Effect.gen(function*() {
      yield* toPublished
      yield* unpublish(publishedUrl)
      yield* put("a.ts", "two")
      assert.strictEqual((yield* toPublished).generation, 3)
      assert.strictEqual(yield* served(publishedUrl, "a.ts"), "two")
    })
)

live("unpublish refuses a source realm; neither takes down what is not there", () =>
  Effect.gen(function*() {
    const unknown = `${publicUrl}unknown/` as RealmUrl
    assert.strictEqual((yield* Effect.flip(unpublish(notesUrl)))._tag, "RealmConflict")
    assert.strictEqual((yield* Effect.flip(unpublish(unknown)))._tag, "RealmNotFound")
    assert.strictEqual((yield* Effect.flip(deleteRealm(unknown)))._tag, "RealmNotFound")
    yield* toPublished
    yield* deleteRealm(publishedUrl)
    assert.strictEqual((yield* Effect.flip(unpublish(publishedUrl)))._tag, "RealmNotFound")
    assert.strictEqual(yield* served(notesUrl, "a.ts"), "one")
  }))

live(
  "a deleted source realm is gone with its directory, and what was published from it stays",
  () =>
    Effect.gen(function*() {
      const { realmsDir } = yield* TemporaryRealms
      yield* toPublished
      yield* deleteRealm(notesUrl)
      assert.deepStrictEqual(yield* tree(realmsDir), {})
      assert.isUndefined(yield* served(notesUrl, "a.ts"))
      assert.strictEqual(yield* served(publishedUrl, "a.ts"), "one")
    })
)

live(
  "a directory that could not be removed does not bring its realm back; only create does (S30)",
  () =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const { reconcile } = yield* Reconciler
      const { generation } = yield* Effect.provideService(deleteRealm(notesUrl), RealmFiles, {
        ...files,
        removeSource: (name) =>
          Effect.fail(new FileFailure({ operation: "remove", path: name, code: "EBUSY", detail: "busy" }))
      })
      yield* reconcile
      assert.isUndefined(yield* served(notesUrl, "a.ts"))
      // Neither does another replica, or this one after a restart.
      const fresh = yield* Effect.provide(Reconciler, Layer.fresh(Reconciler.layer(publicUrl)))
      yield* fresh.reconcile
      assert.isUndefined(yield* served(notesUrl, "a.ts"))
      const again = yield* createRealm({ publicUrl, name: "notes" })
      assert.strictEqual(again.generation, generation + 1)
      assert.strictEqual(yield* served(notesUrl, "a.ts"), "one")
    })
)

for (const [realm, retire] of [[publishedUrl, unpublish], [notesUrl, deleteRealm]] as const) {
  live(
    `when ${retire === unpublish ? "an unpublish" : "a delete"} fails before its commit, all is as before`,
    () =>
      Effect.gen(function*() {
        const { realmsDir, versionsDir } = yield* TemporaryRealms
        const versions = yield* RealmVersionTable
        const jobs = yield* JobTable
        yield* toPublished
        const state = Effect.all([
          rowOf(realm),
          served(realm, "a.ts"),
          versions.list(publishedUrl),
          jobs.latest(publishedUrl),
          tree(realmsDir),
          tree(versionsDir)
        ])
        const before = yield* state
        const { run } = yield* Transaction
        const error = yield* Effect.flip(Effect.provideService(retire(realm), Transaction, {
          run: (work) =>
            run(Effect.andThen(work, Effect.fail(new DatabaseError({ operation: "commit", cause: new Error("down") }))))
        }))
        assert.strictEqual(error._tag, "DatabaseError")
        assert.deepStrictEqual(yield* state, before)
      })
  )
}

live("of deletes of one realm at once, one does it and the others find it gone", () =>
  Effect.gen(function*() {
    const outcomes = yield* Effect.forEach(
      Array.from({ length: 5 }),
      () => Effect.result(deleteRealm(notesUrl)),
      { concurrency: "unbounded" }
    )
    assert.strictEqual(outcomes.filter((outcome) => outcome._tag === "Success").length, 1)
    for (const outcome of outcomes) {
      if (outcome._tag === "Failure") assert.strictEqual(outcome.failure._tag, "RealmNotFound")
    }
  }))
