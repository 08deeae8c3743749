import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { createHash } from "node:crypto"
import { SourceCache } from "../../src/cache/SourceCache.ts"
import { Fence } from "../../src/coordination/Fence.ts"
import type { RealmView } from "../../src/coordination/Generations.ts"
import { FileNotFound } from "../../src/domain/errors.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { RealmFiles } from "../../src/realms/RealmFiles.ts"

/** Files that the test sets, and that counts how often each is read. A file's stamp is its text. */
const setUp = (kind: "source" | "published" = "source", capacityBytes = 100_000) =>
  Effect.gen(function*() {
    const realmUrl = "http://test.example/realm/" as RealmUrl
    const disk = new Map<string, string>()
    const reads: Array<string> = []
    const stamps: Array<string> = []
    const lookedAt: Array<() => void> = []
    let hold: Deferred.Deferred<void> | undefined
    const find = (path: string) =>
      Effect.suspend(() => {
        const text = disk.get(path)
        return text === undefined ? Effect.fail(new FileNotFound({ realmUrl, path })) : Effect.succeed(text)
      })
    const files: Partial<RealmFiles["Service"]> & Pick<RealmFiles["Service"], "unchanged"> = {
      read: (_, path) =>
        Effect.gen(function*() {
          const text = yield* find(path)
          reads.push(path)
          if (hold !== undefined) yield* Deferred.await(hold)
          return { bytes: Buffer.from(text), stamp: text }
        }),
      present: (_, paths) =>
        Effect.sync(() => {
          const there = paths.filter((path) => disk.has(path))
          lookedAt.splice(0).forEach((after) => after())
          return there
        }),
      stamp: (_, path) => Effect.tap(find(path), () => Effect.sync(() => stamps.push(path))),
      unchanged: (_, path, stamp) => (then) => then(disk.get(path) === stamp)
    }
    const context = yield* Layer.build(
      SourceCache.layer(capacityBytes).pipe(Layer.provide(Layer.mock(RealmFiles, files)), Layer.fresh)
    )
    const cache = yield* Effect.provide(SourceCache, context)
    const fence = new Fence()
    const view = (): RealmView => ({
      row: {
        realmUrl,
        kind,
        generation: 1,
        state: "live",
        directory: "d",
        wipeFloor: 1,
        definitionFloor: 1,
        sourceUrl: null,
        lastPublishedAt: null,
        isPrivate: false
      },
      incarnation: "i",
      fence,
      token: fence.capture()
    })
    const text = (path: string, under = view()) =>
      Effect.map(cache.read(under, path), (file) => `${file.canonicalPath}: ${Buffer.from(file.bytes).toString()}`)
    return {
      disk,
      reads,
      stamps,
      /** What happens on disk after the next look at which files there are. */
      lookedAt,
      fence,
      view,
      cache,
      text,
      holdReads: Effect.sync(() => {
        const held = Deferred.makeUnsafe<void>()
        hold = held
        return Effect.sync(() => {
          hold = undefined
          Deferred.doneUnsafe(held, Effect.void)
        })
      })
    }
  })

it.effect("bytes come with their canonical path and hash, and are read once", () =>
  Effect.gen(function*() {
    const { cache, disk, reads, view } = yield* setUp()
    disk.set("a.ts", "one")
    const file = yield* cache.read(view(), "a.ts")
    assert.strictEqual(file.canonicalPath, "a.ts")
    assert.strictEqual(file.hash, createHash("sha256").update("one").digest("base64url"))
    assert.strictEqual(yield* cache.read(view(), "a.ts"), file)
    assert.deepStrictEqual(reads, ["a.ts"])
  }))

it.effect("an alias stands for the first extension that there is; a file of that very name comes before (S25)", () =>
  Effect.gen(function*() {
    const { disk, fence, text } = yield* setUp()
    disk.set("person.js", "js")
    assert.strictEqual(yield* text("person"), "person.js: js")
    disk.set("person.ts", "ts")
    fence.invalidate("person")
    assert.strictEqual(yield* text("person"), "person.ts: ts")
    disk.set("person.gts", "gts")
    fence.invalidate("person")
    assert.strictEqual(yield* text("person"), "person.gts: gts")
    disk.set("person", "itself")
    fence.invalidate("person")
    assert.strictEqual(yield* text("person"), "person: itself")
    assert.strictEqual(yield* text("person.js"), "person.js: js")
  }))

it.effect("a name that nothing stands for is not found under the name that was asked for, and is not kept", () =>
  Effect.gen(function*() {
    const { disk, text } = yield* setUp()
    const error = yield* Effect.flip(text("missing"))
    assert.strictEqual(error._tag === "FileNotFound" && error.path, "missing")
    disk.set("missing.ts", "here")
    assert.strictEqual(yield* text("missing"), "missing.ts: here")
  }))

it.effect("a source realm's file that was edited in place is read again, without any invalidation (rule 10)", () =>
  Effect.gen(function*() {
    const { disk, reads, text } = yield* setUp("source")
    disk.set("a.ts", "one")
    yield* text("a.ts")
    disk.set("a.ts", "two")
    assert.strictEqual(yield* text("a.ts"), "a.ts: two")
    assert.strictEqual(yield* text("a"), "a.ts: two")
    disk.set("a.ts", "three")
    assert.strictEqual(yield* text("a"), "a.ts: three")
    assert.strictEqual(reads.length, 4)
  }))

it.effect("a module that takes another extension while its alias is looked for is found under the new one", () =>
  Effect.gen(function*() {
    const { disk, lookedAt, text } = yield* setUp("source")
    disk.set("a.ts", "moved")
    lookedAt.push(() => {
      disk.delete("a.ts")
      disk.set("a.tsx", "moved")
    })
    assert.strictEqual(yield* text("a"), "a.tsx: moved")
  }))

it.effect("a source realm's file that went away is not found, or found under another extension", () =>
  Effect.gen(function*() {
    const { disk, text } = yield* setUp("source")
    disk.set("a.ts", "ts").set("b.ts", "b")
    yield* text("a")
    yield* text("b.ts")
    disk.delete("a.ts")
    disk.delete("b.ts")
    disk.set("a.js", "js")
    assert.strictEqual(yield* text("a"), "a.js: js")
    assert.strictEqual((yield* Effect.flip(text("b.ts")))._tag, "FileNotFound")
  }))

it.effect("a published realm's hit asks the disk nothing: its directory never changes", () =>
  Effect.gen(function*() {
    const { disk, fence, reads, stamps, text } = yield* setUp("published")
    disk.set("a.ts", "one")
    yield* text("a.ts")
    disk.set("a.ts", "two")
    assert.strictEqual(yield* text("a.ts"), "a.ts: one")
    assert.deepStrictEqual([reads.length, stamps.length], [1, 0])
    fence.drop()
    assert.strictEqual(yield* text("a.ts"), "a.ts: two")
  }))

for (
  const [what, invalidate] of [
    ["of its path", (fence: Fence) => fence.invalidate("a.ts")],
    ["of the realm", (fence: Fence) => fence.drop()]
  ] as const
) {
  for (const name of ["a.ts", "a"]) {
    it.effect(`a read of ${name} under way during an invalidation ${what} does not refill the cache (S1)`, () =>
      Effect.gen(function*() {
        const { disk, fence, holdReads, text } = yield* setUp("published")
        disk.set("a.ts", "old")
        const release = yield* holdReads
        const reader = yield* Effect.forkChild(text(name), { startImmediately: true })
        yield* Effect.yieldNow
        disk.set("a.ts", "new")
        invalidate(fence)
        yield* release
        assert.strictEqual(yield* Fiber.join(reader), "a.ts: old")
        assert.strictEqual(yield* text(name), "a.ts: new")
        assert.strictEqual(yield* text(name === "a" ? "a.ts" : "a"), "a.ts: new")
      }))
  }
}

it.effect("an invalidation of the canonical path voids what is kept under the alias", () =>
  Effect.gen(function*() {
    const { disk, fence, text } = yield* setUp("published")
    disk.set("a.ts", "old")
    yield* text("a")
    disk.set("a.ts", "new")
    fence.invalidate("a.ts")
    assert.strictEqual(yield* text("a"), "a.ts: new")
  }))

it.effect("an invalidation of another path keeps what is there", () =>
  Effect.gen(function*() {
    const { disk, fence, reads, text } = yield* setUp("published")
    disk.set("a.ts", "a")
    yield* text("a.ts")
    fence.invalidate("b.ts")
    yield* text("a.ts")
    assert.strictEqual(reads.length, 1)
  }))

it.effect("a reader whose view is older than an invalidation does not keep what it reads", () =>
  Effect.gen(function*() {
    const { disk, fence, reads, text, view } = yield* setUp("published")
    disk.set("a.ts", "old")
    const old = view()
    fence.invalidate("a.ts")
    yield* text("a.ts", old)
    yield* text("a.ts")
    assert.strictEqual(reads.length, 2)
  }))

it.effect("what was kept under a fence that this replica has forgotten is passed over", () =>
  Effect.gen(function*() {
    const { disk, text, view } = yield* setUp("published")
    disk.set("a.ts", "old")
    yield* text("a.ts")
    disk.set("a.ts", "new")
    const fence = new Fence()
    assert.strictEqual(yield* text("a.ts", { ...view(), fence, token: fence.capture() }), "a.ts: new")
  }))

it.effect("what is kept stays within the bound, and a file beyond it is served and not kept", () =>
  Effect.gen(function*() {
    const { disk, reads, text } = yield* setUp("published", 10_000)
    for (let index = 0; index < 30; index++) {
      disk.set(`${index}.ts`, "x".repeat(1_000))
      yield* text(`${index}.ts`)
    }
    yield* text("29.ts")
    assert.strictEqual(reads.length, 30)
    yield* text("0.ts")
    assert.strictEqual(reads.length, 31)
    disk.set("huge.ts", "x".repeat(20_000))
    yield* text("huge.ts")
    assert.strictEqual((yield* text("huge.ts")).length, "huge.ts: ".length + 20_000)
    assert.strictEqual(reads.length, 33)
  }))
