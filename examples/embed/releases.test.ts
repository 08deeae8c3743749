/** A test of a host that embeds Lockstep: all of it in memory, no database, and its minutes pass in no time. */
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect, Layer, Queue } from "effect"
import { TestClock } from "effect/testing"
import { Generations, layerMemory, putFile, RealmUrl, SourceCache, TranspiledModuleCache } from "lockstep"
import { publishRegularly } from "./releases.ts"

const publicUrl = RealmUrl.make("http://host.test/")
const draft = RealmUrl.ofName(publicUrl, "draft")
const live = RealmUrl.make("http://live.test/")

/** Lockstep as the host has it, on a directory of its own with one realm. */
const lockstep = Layer.unwrap(Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "host-"))),
    (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
  )
  yield* Effect.promise(async () => {
    await fs.mkdir(path.join(directory, "realms/draft"), { recursive: true })
    await fs.writeFile(path.join(directory, "realms/draft/edition.ts"), "export const edition: number = 0")
  })
  return layerMemory({
    publicUrl,
    realmsDir: path.join(directory, "realms"),
    versionsDir: path.join(directory, "versions"),
    replicaId: "host",
    advertiseUrl: publicUrl,
    leaseMillis: 3000,
    cacheBytes: 2 ** 20,
    transpiler: {}
  })
}))

/** What a browser that asks now is served. */
const served = Effect.fnUntraced(function*(realmUrl: RealmUrl.RealmUrl, file: string) {
  const generations = yield* Generations
  const sources = yield* SourceCache
  const modules = yield* TranspiledModuleCache
  const [view] = yield* generations.view([realmUrl])
  if (view === undefined) return undefined
  const { value } = yield* modules.get(view, yield* sources.read(view, file))
  return new TextDecoder().decode(value.body)
})

it.effect("what was written is live with the next release, and not before", () =>
  Effect.gen(function*() {
    const published = yield* Queue.unbounded<number>()
    yield* Effect.forkChild(publishRegularly({ draft, live }, (generation) => Queue.offer(published, generation)))

    yield* TestClock.adjust("10 minutes")
    const first = yield* Queue.take(published)
    assert.strictEqual(yield* served(live, "edition"), "export const edition = 0;")

    yield* putFile(draft, "edition.ts", new TextEncoder().encode("export const edition: number = 1"))
    yield* TestClock.adjust("9 minutes")
    assert.strictEqual(yield* served(live, "edition"), "export const edition = 0;")

    yield* TestClock.adjust("1 minute")
    assert.isAbove(yield* Queue.take(published), first)
    assert.strictEqual(yield* served(live, "edition"), "export const edition = 1;")
  }).pipe(Effect.provide(lockstep)))
