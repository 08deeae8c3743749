import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { Counters } from "../../src/coordination/Counters.ts"
import type { Change } from "../../src/coordination/Generations.ts"
import { RealmWriteLock } from "../../src/coordination/RealmWriteLock.ts"
import { DatabaseError, FileFailure } from "../../src/domain/errors.ts"
import { sha256 } from "../../src/domain/sha256.ts"
import { finishBatches, sweepStaged } from "../../src/lifecycle/finishBatches.ts"
import { Invalidation } from "../../src/lifecycle/Invalidation.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { deleteRealm } from "../../src/lifecycle/retire.ts"
import { deleteAllFiles, deleteFile, editAtomically, putFile } from "../../src/lifecycle/write.ts"
import { type Operation, RealmFiles } from "../../src/realms/RealmFiles.ts"
import { JobTable } from "../../src/store/JobTable.ts"
import { RealmFileTable } from "../../src/store/RealmFileTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { WriteIntentTable } from "../../src/store/WriteIntentTable.ts"
import { put, TemporaryRealms, tree } from "../realms/temporaryRealms.ts"
import { notesUrl, oneReplica, publishedUrl, rowOf, served } from "./oneReplica.ts"

type Services = Layer.Success<typeof oneReplica>

// Under a clock that stands still: the background, which finishes batches as well, comes only when it is told to.
const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Services>) =>
  it.effect(name, () =>
    Effect.provide(
      Effect.andThen(Effect.andThen(put("a.ts", "a 1"), put("b.ts", "b 1")), test()),
      Layer.fresh(oneReplica)
    ))

const add = (file: string, text: string): Operation => ({ op: "add", path: file, bytes: Buffer.from(text) })
const update = (file: string, text: string): Operation => ({ op: "update", path: file, bytes: Buffer.from(text) })
const remove = (file: string): Operation => ({ op: "remove", path: file })

const files = Effect.flatMap(TemporaryRealms, ({ notes }) => tree(notes))

/** What is beside the realms. */
const beside = Effect.flatMap(
  TemporaryRealms,
  ({ realmsDir }) => Effect.promise(async () => (await fs.readdir(realmsDir)).filter((name) => name !== "notes"))
)

const generation = Effect.map(rowOf(notesUrl), (row) => row?.generation)

const lost = new DatabaseError({ operation: "commit a transaction", cause: new Error("down") })

/** Runs `self` with a database whose next commit is lost before it, or whose reply is. */
const losingCommit = <A, E, R>(when: "before" | "after", self: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Effect.all([Invalidation, Transaction]), ([invalidation, { run }]) => {
    let first = true
    return Effect.provideService(self, Invalidation, {
      ...invalidation,
      commit: (realm, target, cause, alongside) => {
        if (!first) return invalidation.commit(realm, target, cause, alongside)
        first = false
        return when === "before"
          ? Effect.andThen(run(Effect.void), lost)
          : Effect.andThen(invalidation.commit(realm, target, cause, alongside), lost)
      }
    })
  })

/** A write lock that others do not see: what is left to a writer that has lost its own. */
const layerOwnLock = RealmWriteLock.layerMemory

live("a batch adds, updates and removes in one change, and is announced path by path", () =>
  Effect.gen(function*() {
    const done = yield* editAtomically(notesUrl, [
      add("deep/new.ts", "new"),
      update("a.ts", "a 2"),
      remove("b.ts")
    ])
    assert.deepStrictEqual(done, {
      generation: 2,
      outcomes: ["created", "replaced", "removed"],
      replicas: { live: 1, acked: 1 }
    })
    assert.deepStrictEqual(yield* files, { "a.ts": "a 2", "deep/": "", "deep/new.ts": "new" })
    assert.deepStrictEqual(yield* beside, [])
    assert.deepStrictEqual(yield* (yield* WriteIntentTable).find(notesUrl), Option.none())
  }))

live(
  "one operation that cannot be done fails the whole batch, and nothing has changed (S32)",
  () =>
    Effect.gen(function*() {
      const { outside, notes } = yield* TemporaryRealms
      yield* put("dir/x.ts", "x")
      yield* Effect.promise(() => fs.symlink(outside, path.join(notes, "away")))
      const before = yield* files
      const failing: ReadonlyArray<readonly [Operation, string]> = [
        [add("b.ts", "b 2"), "FileConflict"],
        [update("missing.ts", "x"), "FileNotFound"],
        [remove("missing.ts"), "FileNotFound"],
        [remove("dir"), "FileNotFound"],
        [update("dir", "x"), "FileConflict"],
        [add("b.ts/below.ts", "x"), "FileConflict"],
        [add("away/x.ts", "x"), "FileConflict"],
        [remove("away/secret.ts"), "FileNotFound"]
      ]
      for (const [operation, tag] of failing) {
        const error = yield* Effect.flip(
          editAtomically(notesUrl, [add("made/first.ts", "x"), update("a.ts", "a 2"), operation])
        )
        assert.strictEqual(error._tag, tag, JSON.stringify(operation))
        assert.deepStrictEqual(yield* files, before)
        assert.deepStrictEqual(yield* beside, [])
      }
      assert.strictEqual(yield* generation, 1)
    })
)

live(
  "a batch that contradicts itself, is empty or too long, or names what is not served is refused",
  () =>
    Effect.gen(function*() {
      const refused: ReadonlyArray<ReadonlyArray<Operation>> = [
        [],
        [update("a.ts", "1"), update("a.ts", "2")],
        [remove("a.ts"), add("a.ts", "2")],
        [add("x", "1"), add("x/y/z.ts", "2")],
        [add("x/y.ts/z", "1"), add("x/y.ts", "2")],
        [update("a.ts", "1"), add("../b.ts", "2")],
        [update("a.ts", "1"), add("_atomic", "2")],
        [update("a.ts", "1"), add(".env", "2")],
        Array.from({ length: 10_001 }, (_, index) => add(`${index}.ts`, ""))
      ]
      for (const operations of refused) {
        assert.strictEqual((yield* Effect.flip(editAtomically(notesUrl, operations)))._tag, "InvalidInput")
      }
      // Names that only begin alike are apart.
      yield* editAtomically(notesUrl, [add("x", ""), add("x.ts", ""), add("x-y/z.ts", "")])
      assert.strictEqual(yield* generation, 2)
    })
)

live(
  "all files go in one change, and so do the directories that were theirs; hidden ones stay",
  () =>
    Effect.gen(function*() {
      for (const file of ["deep/er/c.ts", "deep/d.json", ".git/config", "kept/.env", ".well-known/x.json"]) {
        yield* put(file, file)
      }
      assert.deepStrictEqual(yield* deleteAllFiles(notesUrl), {
        removed: 5,
        generation: 2,
        replicas: { live: 1, acked: 1 }
      })
      assert.deepStrictEqual(yield* files, {
        ".git/": "",
        ".git/config": ".git/config",
        "kept/": "",
        "kept/.env": "kept/.env"
      })
      // There is nothing left to change.
      assert.deepInclude(yield* deleteAllFiles(notesUrl), { removed: 0, generation: 2 })
    })
)

const batch = [update("a.ts", "a 2"), remove("b.ts"), add("c/d.ts", "d")]
const whole = { "a.ts": "a 2", "c/": "", "c/d.ts": "d" }

for (
  const [who, next] of [
    ["the next writer", putFile(notesUrl, "e.json", Buffer.from("{}"))],
    ["a publish", publish({ sourceRealmUrl: notesUrl, publishedRealmUrl: publishedUrl })],
    ["the background", finishBatches(0)]
  ] as const
) {
  live(`what a writer decided on and could not commit, ${who} finishes (I4)`, () =>
    Effect.gen(function*() {
      const counters = yield* Counters
      assert.strictEqual(
        (yield* Effect.flip(losingCommit("before", editAtomically(notesUrl, batch))))._tag,
        "DatabaseError"
      )
      assert.strictEqual(yield* generation, 1)
      yield* next
      assert.deepInclude(yield* files, whole)
      assert.isUndefined((yield* files)["b.ts"])
      assert.deepStrictEqual(yield* beside, [])
      assert.strictEqual(counters.batchesFinished, 1)
      const recorded = yield* (yield* RealmFileTable).at(notesUrl, ["a.ts", "b.ts", "c"])
      assert.deepStrictEqual(Object.fromEntries(Array.from(recorded, ([file, { hash }]) => [file, hash])), {
        "a.ts": sha256("a 2"),
        "c/d.ts": sha256("d")
      })
      if (who === "a publish") assert.strictEqual(yield* served(publishedUrl, "c/d.ts"), "d")
    }))
}

live("directories that an edit has emptied go with it, and others stay", () =>
  Effect.gen(function*() {
    const { notes, outside } = yield* TemporaryRealms
    for (const file of ["x/y/z/1.ts", "x/y/2.ts", "kept/3.ts", "kept/.env", "real/4.ts"]) yield* put(file, "")
    yield* Effect.promise(() => fs.mkdir(path.join(notes, "x/empty")))
    yield* Effect.promise(() => fs.symlink("real", path.join(notes, "link")))
    yield* deleteFile(notesUrl, "x/y/z/1.ts")
    assert.notProperty(yield* files, "x/y/z/")
    assert.property(yield* files, "x/y/2.ts")
    yield* editAtomically(notesUrl, [remove("x/y/2.ts"), remove("kept/3.ts"), remove("link/4.ts"), remove("a.ts")])
    // What was empty before is nobody's, and what is behind a link is another's.
    assert.deepStrictEqual(yield* files, {
      "b.ts": "b 1",
      "kept/": "",
      "kept/.env": "",
      "link": "-> real",
      "real/": "",
      "x/": "",
      "x/empty/": ""
    })
    yield* deleteFile(notesUrl, "b.ts")
    yield* Effect.promise(() => fs.access(notes))
    yield* Effect.promise(() => fs.access(outside))
    yield* putFile(notesUrl, "x/y/z/1.ts", Buffer.from("again"))
  }))

live("the reply of a commit may be lost: the batch stands, and its writer is told so", () =>
  Effect.gen(function*() {
    const { generation: reached } = yield* losingCommit("after", editAtomically(notesUrl, batch))
    assert.strictEqual(reached, 2)
    assert.deepStrictEqual(yield* files, whole)
  }))

for (const later of [false, true]) {
  live(
    `after a lost reply this replica applies the batch, and tells of ${
      later ? "all, for others have edited since" : "its files"
    }`,
    () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const { run } = yield* Transaction
        const applied: Array<Change> = []
        const invalidation = yield* Invalidation
        // Committed behind this replica's back, as far as its memory knows.
        const silent = Effect.provideService(editAtomically(notesUrl, batch), Invalidation, {
          ...invalidation,
          clearLocalSourceCaches: (change) => Effect.sync(() => void applied.push(change)),
          commit: (realm, target, cause, alongside) =>
            invalidation.commit(realm, target, cause, alongside).pipe(
              Effect.andThen(
                later ? run(realms.advance(notesUrl, 2, "realm")) : Effect.void
              ),
              Effect.andThen(lost)
            )
        })
        yield* silent
        const paths = later ? "*" : batch.map(({ path }) => path)
        assert.deepStrictEqual(applied, [{ realmUrl: notesUrl, generation: later ? 3 : 2, paths, cause: "write" }])
      })
  )
}

live("a crash between any two renames leaves a batch that is finished as a whole", () =>
  Effect.gen(function*() {
    const realmFiles = yield* RealmFiles
    for (let moved = 0; moved <= batch.length; moved++) {
      yield* putFile(notesUrl, "a.ts", Buffer.from("a 1"))
      yield* putFile(notesUrl, "b.ts", Buffer.from("b 1"))
      const crashing = RealmFiles.of({
        ...realmFiles,
        apply: (realm, name, edits) =>
          Effect.andThen(realmFiles.apply(realm, name, edits.slice(0, moved)), Effect.die("crash"))
      })
      yield* Effect.exit(Effect.provideService(editAtomically(notesUrl, batch), RealmFiles, crashing))
      yield* finishBatches(0)
      assert.deepStrictEqual(yield* files, whole, `after ${moved} renames`)
      yield* deleteAllFiles(notesUrl)
    }
  }))

live(
  "a writer that was frozen and wakes after its batch was finished undoes nothing that came later (I4)",
  () =>
    Effect.gen(function*() {
      const realmFiles = yield* RealmFiles
      const frozen = yield* Deferred.make<void>()
      const wake = yield* Deferred.make<void>()
      const sleeping = RealmFiles.of({
        ...realmFiles,
        // What it had looked at before it froze is done after it wakes.
        apply: (realm, name, edits) =>
          Deferred.succeed(frozen, undefined).pipe(
            Effect.andThen(Deferred.await(wake)),
            Effect.andThen(realmFiles.apply(realm, name, edits))
          )
      })
      // Another's lock: in one process, the frozen writer would keep it.
      const elsewhere = yield* Layer.build(Layer.fresh(layerOwnLock))
      const writer = yield* Effect.forkChild(
        Effect.provideService(editAtomically(notesUrl, batch), RealmFiles, sleeping).pipe(
          Effect.provideContext(elsewhere)
        )
      )
      yield* Deferred.await(frozen)
      yield* finishBatches(0)
      yield* putFile(notesUrl, "a.ts", Buffer.from("a 3"))
      yield* putFile(notesUrl, "b.ts", Buffer.from("b 3"))
      yield* Deferred.succeed(wake, undefined)
      // It was done, by somebody else.
      assert.strictEqual((yield* Fiber.join(writer)).generation, 4)
      assert.deepStrictEqual(yield* files, { "a.ts": "a 3", "b.ts": "b 3", "c/": "", "c/d.ts": "d" })
      assert.strictEqual(yield* generation, 4)
    }).pipe(Effect.scoped)
)

live(
  "a writer that was frozen before it decided cannot decide after somebody has swept what it staged",
  () =>
    Effect.gen(function*() {
      const intents = yield* WriteIntentTable
      const frozen = yield* Deferred.make<void>()
      const wake = yield* Deferred.make<void>()
      const sleeping = WriteIntentTable.of({
        ...intents,
        begin: (...args) =>
          Deferred.succeed(frozen, undefined).pipe(
            Effect.andThen(Deferred.await(wake)),
            Effect.andThen(intents.begin(...args))
          )
      })
      const elsewhere = yield* Layer.build(Layer.fresh(layerOwnLock))
      const writer = yield* Effect.forkChild(
        Effect.provideService(editAtomically(notesUrl, batch), WriteIntentTable, sleeping).pipe(
          Effect.provideContext(elsewhere)
        )
      )
      yield* Deferred.await(frozen)
      assert.lengthOf(yield* beside, 1)
      yield* sweepStaged
      assert.deepStrictEqual(yield* beside, [])
      yield* Deferred.succeed(wake, undefined)
      assert.strictEqual((yield* Effect.flip(Fiber.join(writer)))._tag, "CommitConflict")
      yield* finishBatches(0)
      assert.deepStrictEqual(yield* files, { "a.ts": "a 1", "b.ts": "b 1", "c/": "" })
    }).pipe(Effect.scoped)
)

live(
  "a disk that fails half way keeps the batch: it is finished when the disk is well again",
  () =>
    Effect.gen(function*() {
      const realmFiles = yield* RealmFiles
      const full = new FileFailure({ operation: "write", path: "c/d.ts", code: "ENOSPC", detail: "the disk is full" })
      const failing = RealmFiles.of({
        ...realmFiles,
        apply: (realm, name, edits) => Effect.andThen(realmFiles.apply(realm, name, edits.slice(0, 1)), full)
      })
      const error = yield* Effect.flip(Effect.provideService(editAtomically(notesUrl, batch), RealmFiles, failing))
      assert.strictEqual(error._tag, "FileFailure")
      // Nobody writes past it,
      const blocked = Effect.provideService(putFile(notesUrl, "a.ts", Buffer.from("a 9")), RealmFiles, failing)
      assert.strictEqual((yield* Effect.flip(blocked))._tag, "FileFailure")
      // and then everybody does.
      yield* putFile(notesUrl, "e.json", Buffer.from("{}"))
      assert.deepStrictEqual(yield* files, { ...whole, "e.json": "{}" })
    })
)

live(
  "what somebody else has put in a batch's way meanwhile is the later change, and stays",
  () =>
    Effect.gen(function*() {
      const { notes } = yield* TemporaryRealms
      const realmFiles = yield* RealmFiles
      const crashing = RealmFiles.of({ ...realmFiles, apply: () => Effect.die("crash") })
      yield* Effect.exit(Effect.provideService(editAtomically(notesUrl, batch), RealmFiles, crashing))
      yield* Effect.promise(async () => {
        await fs.rm(path.join(notes, "a.ts"))
        await fs.mkdir(path.join(notes, "a.ts"))
        await fs.rm(path.join(notes, "c"), { recursive: true })
      })
      yield* finishBatches(0)
      assert.deepStrictEqual(yield* files, { "a.ts/": "", "c/": "", "c/d.ts": "d" })
      assert.deepStrictEqual(yield* beside, [])
    })
)

live("a realm that goes takes its open batch along", () =>
  Effect.gen(function*() {
    yield* Effect.flip(losingCommit("before", editAtomically(notesUrl, batch)))
    yield* deleteRealm(notesUrl)
    assert.deepStrictEqual(yield* (yield* WriteIntentTable).find(notesUrl), Option.none())
    yield* finishBatches(0)
    yield* sweepStaged
    assert.deepStrictEqual(yield* beside, [])
  }))

live(
  "a change is handed on to what depends on it, and asks for a reindex in its own commit",
  () =>
    Effect.gen(function*() {
      const told: Array<Change> = []
      const replica = yield* Layer.build(Layer.fresh(Invalidation.layer))
      const { subscribe } = yield* Effect.provide(Invalidation, replica)
      yield* subscribe((change) => void told.push(change))
      const jobs = yield* JobTable
      yield* Effect.provide(editAtomically(notesUrl, [update("a.ts", "a 2"), remove("b.ts")]), replica)
      assert.deepStrictEqual(told, [{ realmUrl: notesUrl, generation: 2, paths: ["a.ts", "b.ts"], cause: "write" }])
      assert.deepInclude(Option.getOrThrow(yield* jobs.latest(notesUrl)), { generation: 2, state: "waiting" })
      yield* Effect.provide(Effect.flatMap(Invalidation, ({ invalidate }) => invalidate(notesUrl, "realm")), replica)
      assert.deepStrictEqual(told.at(-1), { realmUrl: notesUrl, generation: 3, paths: "*", cause: "call" })
      assert.deepInclude(Option.getOrThrow(yield* jobs.latest(notesUrl)), { generation: 3 })
    }).pipe(Effect.scoped)
)
