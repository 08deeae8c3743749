import { assert, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { SourceCache } from "../../src/cache/SourceCache.ts"
import { Counters } from "../../src/coordination/Counters.ts"
import { Generations } from "../../src/coordination/Generations.ts"
import { createRealm } from "../../src/lifecycle/create.ts"
import { noticeEdits } from "../../src/lifecycle/notice.ts"
import { putFile } from "../../src/lifecycle/write.ts"
import { RealmFileTable } from "../../src/store/RealmFileTable.ts"
import { link, put, TemporaryRealms } from "../realms/temporaryRealms.ts"
import { notesUrl, oneReplica, publicUrl, rowOf } from "./oneReplica.ts"

type Services = Layer.Success<typeof oneReplica>

// The files are there before the realm is registered, as they are when a replica starts.
const live = <A, E>(name: string, test: () => Effect.Effect<A, E, Services>) =>
  it.live(name, () =>
    Effect.gen(function*() {
      const { realmUrl } = yield* createRealm({ publicUrl, name: "edited" })
      assert.strictEqual(realmUrl, editedUrl)
      yield* edit("a.ts", "a 1")
      yield* edit("dir/b.ts", "b 1")
      yield* noticeEdits(editedUrl)
      assert.strictEqual(yield* generation, 2)
      return yield* test()
    }).pipe(Effect.provide(Layer.fresh(oneReplica))))

const editedUrl = notesUrl.replace("notes", "edited") as typeof notesUrl

const place = (file: string) => Effect.map(TemporaryRealms, ({ realmsDir }) => path.join(realmsDir, "edited", file))

/** Writes a file as an editor does, past everything. */
const edit = (file: string, text: string) =>
  Effect.flatMap(place(file), (target) =>
    Effect.promise(async () => {
      await fs.mkdir(path.dirname(target), { recursive: true })
      await fs.writeFile(target, text)
    }))

const removeFromDisk = (file: string) =>
  Effect.flatMap(place(file), (target) => Effect.promise(() => fs.rm(target, { recursive: true })))

const generation = Effect.map(rowOf(editedUrl), (row) => row?.generation)

const sorted = (paths: Effect.Success<ReturnType<typeof noticeEdits>>) => paths.toSorted()

live(
  "what differs from what was recorded is one invalidation, and what does not is none",
  () =>
    Effect.gen(function*() {
      const counters = yield* Counters
      assert.deepStrictEqual(yield* noticeEdits(editedUrl), [])
      assert.strictEqual(yield* generation, 2)
      yield* edit("a.ts", "a 2")
      yield* edit("new/deep/c.ts", "c 1")
      yield* removeFromDisk("dir")
      assert.deepStrictEqual(sorted(yield* noticeEdits(editedUrl)), ["a.ts", "dir/b.ts", "new/deep/c.ts"])
      assert.strictEqual(yield* generation, 3)
      // Whoever else has seen it invalidates nothing more,
      const others = yield* Effect.forEach(
        [undefined, ["a.ts"], ["dir", "new"]],
        (below) => noticeEdits(editedUrl, below)
      )
      assert.deepStrictEqual(others, [[], [], []])
      assert.strictEqual(yield* generation, 3)
      assert.strictEqual(counters.editsNoticed, 2)
    })
)

live("any number of watchers that see one edit at once invalidate once", () =>
  Effect.gen(function*() {
    yield* edit("a.ts", "a 2")
    const noticed = yield* Effect.forEach(
      Array.from({ length: 8 }),
      () => noticeEdits(editedUrl, ["a.ts"]),
      { concurrency: "unbounded" }
    )
    assert.deepStrictEqual(noticed.filter((paths) => paths.length > 0), [["a.ts"]])
    assert.strictEqual(yield* generation, 3)
  }))

live(
  "a write over HTTP is recorded with its commit: watchers that see it invalidate nothing",
  () =>
    Effect.gen(function*() {
      const both = yield* Effect.all([
        putFile(editedUrl, "a.ts", Buffer.from("a 2")),
        Effect.forEach(Array.from({ length: 20 }), () => noticeEdits(editedUrl, ["a.ts"]))
      ], { concurrency: 2 })
      assert.deepStrictEqual(both[1].flat(), [])
      assert.deepStrictEqual(yield* noticeEdits(editedUrl), [])
      assert.strictEqual(yield* generation, 3)
    })
)

live("a file that was touched, or written again with the same bytes, is no edit", () =>
  Effect.gen(function*() {
    const file = yield* place("a.ts")
    yield* Effect.promise(() => fs.utimes(file, new Date(), new Date()))
    yield* edit("dir/b.ts", "b 1")
    assert.deepStrictEqual(yield* noticeEdits(editedUrl), [])
    assert.deepStrictEqual(yield* noticeEdits(editedUrl, ["a.ts", "dir/b.ts"]), [])
    assert.strictEqual(yield* generation, 2)
  }))

live(
  "a path that is named stands for what lies below it, there or not, and for nothing else",
  () =>
    Effect.gen(function*() {
      yield* edit("a.ts", "a 2")
      yield* edit("dir/b.ts", "b 2")
      yield* edit("dir-2/c.ts", "c 1")
      assert.deepStrictEqual(yield* noticeEdits(editedUrl, ["dir"]), ["dir/b.ts"])
      assert.deepStrictEqual(yield* noticeEdits(editedUrl, ["missing"]), [])
      const [before, after] = [yield* place("dir"), yield* place("renamed")]
      yield* Effect.promise(() => fs.rename(before, after))
      assert.deepStrictEqual(sorted(yield* noticeEdits(editedUrl, ["dir", "renamed"])), ["dir/b.ts", "renamed/b.ts"])
      assert.deepStrictEqual(sorted(yield* noticeEdits(editedUrl)), ["a.ts", "dir-2/c.ts"])
    })
)

live("what is hidden, reserved, or an editor's own is no edit, wherever it lies", () =>
  Effect.gen(function*() {
    for (
      const file of [
        ".git/index",
        "dir/.a.ts.swp",
        "_drafts/x.ts",
        "@3/x.ts",
        "a.ts~",
        "4913",
        "a.ts.tmp.42",
        "b.json.tmp"
      ]
    ) yield* edit(file, "x")
    assert.deepStrictEqual(yield* noticeEdits(editedUrl), [])
    yield* edit("tmp.ts", "a module all the same")
    assert.deepStrictEqual(yield* noticeEdits(editedUrl), ["tmp.ts"])
  }))

live("a new person.gts takes the name person from person.ts, which was read before", () =>
  Effect.gen(function*() {
    const generations = yield* Generations
    const sources = yield* SourceCache
    const canonicalPath = Effect.gen(function*() {
      const [view] = yield* generations.view([editedUrl])
      return view === undefined ? undefined : (yield* sources.read(view, "person")).canonicalPath
    })
    yield* edit("person.ts", "ts")
    yield* noticeEdits(editedUrl)
    assert.strictEqual(yield* canonicalPath, "person.ts")
    yield* edit("person.gts", "gts")
    assert.deepStrictEqual(yield* noticeEdits(editedUrl, ["person.gts"]), ["person.gts"])
    assert.strictEqual(yield* canonicalPath, "person.gts")
    yield* removeFromDisk("person.gts")
    assert.strictEqual(yield* canonicalPath, "person.ts")
  }))

live(
  "links that stay in the realm are followed, and those that leave it or go in circles are not",
  () =>
    Effect.gen(function*() {
      const { outside } = yield* TemporaryRealms
      yield* put("x", "the link maker makes the directory of its realm")
      const links = { "linked.ts": "dir/b.ts", "away": outside, "dir/loop": "..", "nowhere.ts": "missing.ts" }
      for (const [name, target] of Object.entries(links)) yield* link(`../edited/${name}`, target)
      assert.deepStrictEqual(sorted(yield* noticeEdits(editedUrl)), ["linked.ts"])
      yield* edit("dir/b.ts", "b 2")
      assert.deepStrictEqual(sorted(yield* noticeEdits(editedUrl)), ["dir/b.ts", "linked.ts"])
    })
)

live("a realm from before files were recorded is voided whole, once", () =>
  Effect.gen(function*() {
    const recorded = yield* RealmFileTable
    yield* recorded.clear(editedUrl)
    assert.deepStrictEqual(sorted(yield* noticeEdits(editedUrl)), ["a.ts", "dir/b.ts"])
    assert.strictEqual(yield* generation, 3)
    assert.strictEqual((yield* rowOf(editedUrl))?.wipeFloor, 3)
    assert.deepStrictEqual(yield* noticeEdits(editedUrl), [])
  }))

live(
  "a stamp is trusted only when it is older than a clock's tick, and then saves the reading",
  () =>
    Effect.gen(function*() {
      const recorded = yield* RealmFileTable
      const stampOf = Effect.map(recorded.at(editedUrl, ["a.ts"]), (files) => files.get("a.ts")?.stamp)
      // Recorded, then looked at again; unless the machine stood still meanwhile, and the file is no young one any more.
      const young = Effect.gen(function*() {
        const began = Date.now()
        yield* edit("a.ts", `edited at ${began}`)
        yield* noticeEdits(editedUrl)
        yield* noticeEdits(editedUrl)
        return { took: Date.now() - began, stamp: yield* stampOf }
      })
      const { stamp } = yield* Effect.repeat(young, { until: ({ took }) => took < 1500, times: 19 })
      assert.strictEqual(stamp, "")
      yield* Effect.sleep("2100 millis")
      yield* noticeEdits(editedUrl)
      assert.match((yield* stampOf) ?? "", /^\d+\.\d+\./)
      // What is recorded for that stamp is believed: another hash would be noticed by reading.
      const before = Option.getOrThrow(yield* recorded.all(editedUrl)).get("a.ts")
      yield* recorded.record(editedUrl, new Map([["a.ts", { hash: "other", stamp: before?.stamp ?? "" }]]))
      assert.deepStrictEqual(yield* noticeEdits(editedUrl), [])
      assert.deepStrictEqual(yield* noticeEdits(editedUrl, ["a.ts"]), ["a.ts"])
    })
)
