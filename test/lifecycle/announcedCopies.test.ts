import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import * as fs from "node:fs/promises"
import { DatabaseError } from "../../src/domain/errors.ts"
import { collect, defaultKeep } from "../../src/lifecycle/Collector.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { putFile } from "../../src/lifecycle/write.ts"
import { RealmFiles } from "../../src/realms/RealmFiles.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { WriteIntentTable } from "../../src/store/WriteIntentTable.ts"
import { put, TemporaryRealms } from "../realms/temporaryRealms.ts"
import { olderInMemory } from "../store/olderVersions.ts"
import { notesUrl, oneReplica, publishedUrl, rowOf, served } from "./oneReplica.ts"

type Services = Layer.Success<typeof oneReplica>

/**
 * Each test begins with a publication of `one` at generation 1, and a source that says `two`. The clock stands still, so that
 * nothing in the background comes in between.
 */
const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Services>) =>
  it.effect(name, () =>
    Effect.gen(function*() {
      yield* put("a.ts", "one")
      yield* toPublished
      yield* putFile(notesUrl, "a.ts", Buffer.from("two"))
      return yield* test()
    }).pipe(Effect.provide(Layer.fresh(oneReplica))))

const toPublished = publish({ sourceRealmUrl: notesUrl, publishedRealmUrl: publishedUrl })

const down = (operation: string) => new DatabaseError({ operation, cause: new Error("connection reset") })

const onDisk = Effect.flatMap(
  TemporaryRealms,
  ({ versionsDir }) => Effect.promise(async () => (await fs.readdir(versionsDir)).toSorted())
)

const recorded = Effect.flatMap(
  RealmVersionTable,
  (versions) => Effect.map(versions.list(publishedUrl), (rows) => rows.map((row) => row.directory).toSorted())
)

const announced = Effect.flatMap(
  MemoryDatabase,
  (database) => database.read(({ copies }) => Array.from(copies.keys()))
)

/** What a publish that came to nothing leaves: the publication before it, and no trace of its own. */
const nothingHappened = Effect.gen(function*() {
  assert.deepInclude(yield* rowOf(publishedUrl), { generation: 1, state: "live" })
  assert.strictEqual(yield* served(publishedUrl, "a.ts"), "one")
  assert.deepStrictEqual(yield* onDisk, yield* recorded)
  assert.strictEqual((yield* recorded).length, 1)
  assert.deepStrictEqual(yield* announced, [])
})

/** Runs a publish whose copy is done and that is then held up until the returned effect lets it go on. */
const pausedPublish = Effect.gen(function*() {
  const files = yield* RealmFiles
  const copied = yield* Deferred.make<string>()
  const goOn = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkChild(Effect.provideService(toPublished, RealmFiles, {
    ...files,
    snapshot: (source, directory) =>
      Effect.andThen(
        files.snapshot(source, directory),
        Effect.andThen(Deferred.succeed(copied, directory), Deferred.await(goOn))
      )
  }))
  return { fiber, directory: yield* Deferred.await(copied), goOn: Deferred.succeed(goOn, undefined) }
})

live(
  "a copy is announced before its first byte, and the announcement goes with the commit (rule 9)",
  () =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const database = yield* MemoryDatabase
      let before: ReadonlyArray<string> = []
      let name = ""
      yield* Effect.provideService(toPublished, RealmFiles, {
        ...files,
        snapshot: (source, directory) =>
          Effect.andThen(
            database.read(({ copies }) => {
              name = directory
              before = Array.from(copies.keys())
            }),
            files.snapshot(source, directory)
          )
      })
      assert.deepStrictEqual(before, [name])
      assert.include(yield* recorded, name)
      assert.deepStrictEqual(yield* announced, [])
      assert.deepStrictEqual(yield* onDisk, yield* recorded)
    })
)

live("a copy that cannot be announced is not begun", () =>
  Effect.gen(function*() {
    const versions = yield* RealmVersionTable
    const error = yield* Effect.flip(Effect.provideService(toPublished, RealmVersionTable, {
      ...versions,
      begin: () => Effect.fail(down("announce a version"))
    }))
    assert.strictEqual(error._tag, "DatabaseError")
    yield* nothingHappened
  }))

live(
  "when the reply of the commit is lost, what the row says decides: committed is success (I4)",
  () =>
    Effect.gen(function*() {
      const { run } = yield* Transaction
      const published = yield* Effect.provideService(toPublished, Transaction, {
        run: (work) => Effect.andThen(run(work), Effect.fail(down("commit a transaction")))
      })
      assert.deepInclude(published, { generation: 2, replicas: { live: 1, acked: 1 } })
      assert.strictEqual(yield* served(publishedUrl, "a.ts"), "two")
      assert.deepStrictEqual(yield* onDisk, yield* recorded)
      assert.strictEqual((yield* recorded).length, 2)
    })
)

live(
  "when the reply of the commit is lost, what the row says decides: not committed is a failure",
  () =>
    Effect.gen(function*() {
      const { run } = yield* Transaction
      const error = yield* Effect.flip(Effect.provideService(toPublished, Transaction, {
        run: (work) => run(Effect.andThen(work, Effect.fail(down("commit a transaction"))))
      }))
      assert.strictEqual(error._tag, "DatabaseError")
      yield* nothingHappened
    })
)

live(
  "a commit in doubt, after which nothing can be asked, removes no files: the sweeper will know (I4)",
  () =>
    Effect.gen(function*() {
      const versions = yield* RealmVersionTable
      const { run } = yield* Transaction
      let reachable = true
      const cut = <A>(self: Effect.Effect<A, DatabaseError>): Effect.Effect<A, DatabaseError> =>
        Effect.suspend(() => reachable ? self : Effect.fail(down("answer")))
      yield* Effect.ignore(
        toPublished.pipe(
          Effect.provideService(Transaction, {
            run: (work) =>
              Effect.andThen(
                run(work),
                Effect.suspend(() => {
                  reachable = false
                  return Effect.fail(down("commit a transaction"))
                })
              )
          }),
          Effect.provideService(RealmVersionTable, {
            ...versions,
            abandon: (directory) => cut(versions.abandon(directory)),
            list: (realmUrl) => cut(versions.list(realmUrl))
          })
        )
      )
      // It was committed: what is served now is there.
      assert.strictEqual((yield* rowOf(publishedUrl))?.generation, 2)
      assert.strictEqual(yield* served(publishedUrl, "a.ts"), "two")
    })
)

live(
  "a publish whose copy the sweeper took is refused, the publication before it stays, and nothing is left (rule 9)",
  () =>
    Effect.gen(function*() {
      const { directory, fiber, goOn } = yield* pausedPublish
      yield* olderInMemory(publishedUrl, 2 * 3_600_000)
      yield* collect(defaultKeep)
      assert.notInclude(yield* onDisk, directory)
      yield* goOn
      assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "CommitConflict")
      yield* nothingHappened
      assert.strictEqual((yield* toPublished).generation, 2)
    })
)

live("a publish that was taken from while it had not copied yet leaves no copy behind", () =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    const services = yield* Effect.context<Services>()
    const sweep = Effect.andThen(olderInMemory(publishedUrl, 2 * 3_600_000), collect(defaultKeep))
    const error = yield* Effect.flip(Effect.provideService(toPublished, RealmFiles, {
      ...files,
      snapshot: (source, directory) =>
        Effect.andThen(Effect.orDie(Effect.provideContext(sweep, services)), files.snapshot(source, directory))
    }))
    assert.strictEqual(error._tag, "CommitConflict")
    yield* nothingHappened
  }))

live("a publish that is interrupted after the sweeper took its copy leaves nothing", () =>
  Effect.gen(function*() {
    const versions = yield* RealmVersionTable
    const { fiber } = yield* pausedPublish
    yield* olderInMemory(publishedUrl, 2 * 3_600_000)
    yield* versions.sweep("1 hour")
    yield* Fiber.interrupt(fiber)
    yield* nothingHappened
  }))

for (const how of ["edited", "being edited"] as const) {
  live(
    `a copy of a source that was ${how} by another writer meanwhile is not published: it may be torn`,
    () =>
      Effect.gen(function*() {
        const { fiber, goOn } = yield* pausedPublish
        // What a writer does that found the lock free: the publisher was frozen and lost it.
        if (how === "being edited") yield* (yield* WriteIntentTable).begin(notesUrl, 2, "batch", [])
        else yield* (yield* RealmTable).advance(notesUrl, 2, "paths")
        yield* goOn
        assert.strictEqual((yield* Effect.flip(Fiber.join(fiber)))._tag, "CommitConflict")
        yield* nothingHappened
      })
  )
}

live(
  "nor is one whose source's other writer ends between the publisher's last two looks (I4)",
  () =>
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const intents = yield* WriteIntentTable
      const realms = yield* RealmTable
      let writing = false
      // Whichever look comes first, the writer is done before the second.
      const end = Effect.suspend(() => {
        if (!writing) return Effect.void
        writing = false
        return Effect.andThen(intents.finish(notesUrl, "batch"), realms.advance(notesUrl, 2, "paths"))
      })
      const publishing = toPublished.pipe(
        Effect.provideService(RealmFiles, {
          ...files,
          snapshot: (source, directory) =>
            files.snapshot(source, directory).pipe(
              Effect.andThen(Effect.orDie(intents.begin(notesUrl, 2, "batch", []))),
              Effect.andThen(Effect.sync(() => writing = true))
            )
        }),
        Effect.provideService(RealmTable, { ...realms, read: (urls) => Effect.tap(realms.read(urls), end) }),
        Effect.provideService(WriteIntentTable, { ...intents, find: (url) => Effect.tap(intents.find(url), end) })
      )
      assert.strictEqual((yield* Effect.flip(publishing))._tag, "CommitConflict")
      yield* nothingHappened
    })
)
