import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { DatabaseError, FileFailure } from "../../src/domain/errors.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { putFile } from "../../src/lifecycle/write.ts"
import { RealmFiles } from "../../src/realms/RealmFiles.ts"
import { Reconciler } from "../../src/realms/Reconciler.ts"
import { JobTable } from "../../src/store/JobTable.ts"
import { emptyRow, ModuleTable } from "../../src/store/ModuleTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { RealmVersionTable } from "../../src/store/RealmVersionTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { put, TemporaryRealms } from "../realms/temporaryRealms.ts"
import { notesUrl, oneReplica, publicUrl, publishedUrl, rowOf, served } from "./oneReplica.ts"

type Services = Layer.Success<typeof oneReplica>

const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Services>) =>
  it.live(
    name,
    () => Effect.provide(Effect.andThen(put("a.ts", "one"), test()), Layer.fresh(oneReplica))
  )

const toPublished = publish({ sourceRealmUrl: notesUrl, publishedRealmUrl: publishedUrl })

const versionDirectories = Effect.flatMap(
  TemporaryRealms,
  ({ versionsDir }) => Effect.promise(async () => (await fs.readdir(versionsDir)).toSorted())
)

const recordedDirectories = Effect.flatMap(
  RealmVersionTable,
  (versions) => Effect.map(versions.list(publishedUrl), (rows) => rows.map((row) => row.directory).toSorted())
)

/** Everything that a publish may change. */
const state = Effect.gen(function*() {
  const jobs = yield* JobTable
  return {
    row: yield* rowOf(publishedUrl),
    job: Option.getOrUndefined(yield* jobs.latest(publishedUrl)),
    recorded: yield* recordedDirectories,
    onDisk: yield* versionDirectories,
    served: yield* served(publishedUrl, "a.ts")
  }
})

live(
  "a publish serves a snapshot of its source under its own URL, and asks for a reindex (S29, S31)",
  () =>
    Effect.gen(function*() {
      const jobs = yield* JobTable
      const result = yield* toPublished
      assert.strictEqual(result.generation, 1)
      assert.instanceOf(result.lastPublishedAt, Date)
      assert.deepStrictEqual(result.replicas, { live: 1, acked: 1 })
      assert.strictEqual(yield* served(publishedUrl, "a.ts"), "one")
      assert.deepInclude(yield* rowOf(publishedUrl), { kind: "published", state: "live", sourceUrl: notesUrl })
      assert.deepInclude(Option.getOrThrow(yield* jobs.latest(publishedUrl)), { generation: 1, state: "waiting" })
      yield* putFile(notesUrl, "a.ts", Buffer.from("two"))
      assert.strictEqual(yield* served(publishedUrl, "a.ts"), "one")
    })
)

live(
  "a publish again serves the new snapshot at the next generation, and keeps the old version's files (rule 9)",
  () =>
    Effect.gen(function*() {
      const versions = yield* RealmVersionTable
      yield* toPublished
      yield* putFile(notesUrl, "a.ts", Buffer.from("two"))
      const second = yield* toPublished
      assert.strictEqual(second.generation, 2)
      assert.strictEqual(yield* served(publishedUrl, "a.ts"), "two")
      const [young, old] = yield* versions.list(publishedUrl)
      assert.deepStrictEqual([young?.generation, old?.generation], [2, 1])
      const { versionsDir } = yield* TemporaryRealms
      const oldText = yield* Effect.promise(() =>
        fs.readFile(path.join(versionsDir, old?.directory ?? "", "a.ts"), "utf8")
      )
      assert.strictEqual(oldText, "one")
      assert.strictEqual((yield* rowOf(publishedUrl))?.directory, young?.directory)
    })
)

live("a publish voids the definitions of the publication before it", () =>
  Effect.gen(function*() {
    const definitions = yield* ModuleTable
    const realms = yield* RealmTable
    yield* toPublished
    const { incarnation } = yield* realms.read([])
    assert.isTrue(yield* definitions.write(publishedUrl, "a.ts", "key", { generation: 1, incarnation }, emptyRow))
    yield* toPublished
    assert.isTrue(Option.isNone(yield* definitions.read(publishedUrl, "a.ts", "key")))
    assert.isFalse(yield* definitions.write(publishedUrl, "a.ts", "key", { generation: 1, incarnation }, emptyRow))
  }))

const failures: ReadonlyArray<
  readonly [string, <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R | Services>]
> = [
  [
    "the copy fails",
    (self) =>
      Effect.flatMap(RealmFiles, (files) =>
        Effect.provideService(self, RealmFiles, {
          ...files,
          snapshot: () =>
            Effect.fail(
              new FileFailure({ operation: "copy", path: "a.ts", code: "ENOSPC", detail: "the disk is full" })
            )
        }))
  ],
  [
    "the copy fails after it has appeared",
    (self) =>
      Effect.flatMap(RealmFiles, (files) =>
        Effect.provideService(self, RealmFiles, {
          ...files,
          snapshot: (source, directory) =>
            Effect.andThen(
              files.snapshot(source, directory),
              Effect.fail(new FileFailure({ operation: "sync", path: directory, code: "EIO", detail: "EIO" }))
            )
        }))
  ],
  [
    "the transaction cannot begin",
    (self) =>
      Effect.provideService(self, Transaction, {
        run: () => Effect.fail(new DatabaseError({ operation: "begin", cause: new Error("down") }))
      })
  ],
  [
    "the transaction fails at its end",
    (self) =>
      Effect.flatMap(Transaction, ({ run }) =>
        Effect.provideService(self, Transaction, {
          run: (work) =>
            run(Effect.andThen(work, Effect.fail(new DatabaseError({ operation: "commit", cause: new Error("down") }))))
        }))
  ],
  [
    "another writer commits first",
    (self) =>
      Effect.gen(function*() {
        const files = yield* RealmFiles
        const realms = yield* RealmTable
        let moved = false
        return yield* Effect.provideService(self, RealmFiles, {
          ...files,
          snapshot: (source, directory) =>
            Effect.andThen(
              files.snapshot(source, directory),
              Effect.suspend(() => {
                if (moved) return Effect.void
                moved = true
                // Someone whose lock was lost unknowingly.
                return Effect.orDie(Effect.asVoid(realms.advance(publishedUrl, 1, "paths")))
              })
            )
        })
      })
  ]
]

for (const [how, breaking] of failures) {
  live(
    `when ${how}, the previous publication stays as it was, and nothing is left on disk (S29)`,
    () =>
      Effect.gen(function*() {
        yield* toPublished
        const before = yield* state
        yield* putFile(notesUrl, "a.ts", Buffer.from("two"))
        const error = yield* Effect.flip(breaking(toPublished))
        assert.include(["FileFailure", "DatabaseError", "CommitConflict"], error._tag)
        const { row, ...rest } = yield* state
        const { row: rowBefore, ...restBefore } = before
        assert.deepStrictEqual(rest, restBefore)
        assert.strictEqual(row?.directory, rowBefore?.directory)
        // And the next one goes through.
        yield* toPublished
        assert.strictEqual(yield* served(publishedUrl, "a.ts"), "two")
      })
  )
}

live("a first publish that fails leaves no realm behind", () =>
  Effect.gen(function*() {
    const before = yield* state
    const run = failures[3]?.[1]
    yield* Effect.flip(run === undefined ? Effect.die("no such failure") : run(toPublished))
    assert.deepStrictEqual(yield* state, before)
    assert.isUndefined(before.row)
  }))

live(
  "when only the reply of the commit is lost, the publish has succeeded, and its files stand",
  () =>
    Effect.gen(function*() {
      yield* toPublished
      yield* putFile(notesUrl, "a.ts", Buffer.from("two"))
      const { run } = yield* Transaction
      const published = yield* Effect.provideService(toPublished, Transaction, {
        run: (work) =>
          Effect.andThen(run(work), Effect.fail(new DatabaseError({ operation: "commit", cause: new Error("reset") })))
      })
      assert.strictEqual(published.generation, 2)
      assert.instanceOf(published.lastPublishedAt, Date)
      assert.strictEqual((yield* rowOf(publishedUrl))?.generation, 2)
      assert.strictEqual(yield* served(publishedUrl, "a.ts"), "two")
      assert.deepStrictEqual(yield* versionDirectories, yield* recordedDirectories)
    })
)

live(
  "a publish that is interrupted while it copies leaves the previous publication and no files",
  () =>
    Effect.gen(function*() {
      yield* toPublished
      const before = yield* state
      const files = yield* RealmFiles
      const copying = yield* Deferred.make<void>()
      const fiber = yield* Effect.forkChild(Effect.provideService(toPublished, RealmFiles, {
        ...files,
        snapshot: (source, directory) =>
          Effect.andThen(
            files.snapshot(source, directory),
            Effect.andThen(Deferred.succeed(copying, undefined), Effect.never)
          )
      }))
      yield* Deferred.await(copying)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* state, before)
      assert.strictEqual((yield* toPublished).generation, 2)
    })
)

live("publishes of one URL at once take turns, and the last one stands", () =>
  Effect.gen(function*() {
    const results = yield* Effect.forEach(Array.from({ length: 6 }), () => toPublished, { concurrency: "unbounded" })
    assert.deepStrictEqual(results.map((each) => each.generation).toSorted((a, b) => a - b), [1, 2, 3, 4, 5, 6])
    const versions = yield* RealmVersionTable
    const [newest] = yield* versions.list(publishedUrl)
    assert.strictEqual((yield* rowOf(publishedUrl))?.directory, newest?.directory)
    assert.deepStrictEqual(yield* versionDirectories, yield* recordedDirectories)
  }))

live("publishes of one URL from different sources take turns too", () =>
  Effect.gen(function*() {
    const { realmsDir } = yield* TemporaryRealms
    const { reconcile } = yield* Reconciler
    yield* Effect.promise(() => fs.mkdir(path.join(realmsDir, "other")))
    yield* reconcile
    const sources = [notesUrl, `${publicUrl}other/` as RealmUrl]
    const results = yield* Effect.forEach(
      Array.from({ length: 6 }, (_, index) => sources[index % 2] ?? notesUrl),
      (sourceRealmUrl) => publish({ sourceRealmUrl, publishedRealmUrl: publishedUrl }),
      { concurrency: "unbounded" }
    )
    assert.deepStrictEqual(results.map((each) => each.generation).toSorted((a, b) => a - b), [1, 2, 3, 4, 5, 6])
  }))

live("the source does not change while it is copied", () =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    const copying = yield* Deferred.make<void>()
    const goOn = yield* Deferred.make<void>()
    const publishing = yield* Effect.forkChild(Effect.provideService(toPublished, RealmFiles, {
      ...files,
      snapshot: (source, directory) =>
        Effect.andThen(
          Deferred.succeed(copying, undefined),
          Effect.andThen(Deferred.await(goOn), files.snapshot(source, directory))
        )
    }))
    yield* Deferred.await(copying)
    const writing = yield* Effect.forkChild(putFile(notesUrl, "a.ts", Buffer.from("two")))
    yield* Effect.sleep("20 millis")
    yield* Deferred.succeed(goOn, undefined)
    yield* Fiber.join(publishing)
    yield* Fiber.join(writing)
    assert.strictEqual(yield* served(publishedUrl, "a.ts"), "one")
    assert.strictEqual(yield* served(notesUrl, "a.ts"), "two")
  }))

live("a publish that makes no sense is refused, and says why", () =>
  Effect.gen(function*() {
    const at = (url: string) => url as RealmUrl
    const refused = (sourceRealmUrl: RealmUrl, publishedRealmUrl: RealmUrl) =>
      Effect.map(Effect.flip(publish({ sourceRealmUrl, publishedRealmUrl })), (error) => error._tag)
    assert.strictEqual(yield* refused(at(`${publicUrl}unknown/`), publishedUrl), "RealmNotFound")
    assert.include(["RealmConflict", "InvalidInput"], yield* refused(notesUrl, notesUrl))
    yield* toPublished
    assert.strictEqual(yield* refused(publishedUrl, at("http://other.example/")), "RealmConflict")
    assert.strictEqual(yield* refused(notesUrl, at(`${notesUrl}inside/`)), "RealmConflict")
    assert.strictEqual(yield* refused(notesUrl, publicUrl), "RealmConflict")
    assert.strictEqual(yield* refused(notesUrl, at("http://published.example/")), "RealmConflict")
    const { realmsDir } = yield* TemporaryRealms
    yield* Effect.promise(() => fs.mkdir(path.join(realmsDir, "other")))
    const { reconcile } = yield* Reconciler
    yield* reconcile
    assert.strictEqual(yield* refused(notesUrl, at(`${publicUrl}other/`)), "RealmConflict")
    assert.deepStrictEqual(yield* recordedDirectories, yield* versionDirectories)
  }))
