import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { Modules } from "../../src/cache/Modules.ts"
import { Counters } from "../../src/coordination/Counters.ts"
import { Generations } from "../../src/coordination/Generations.ts"
import { Lease } from "../../src/coordination/Lease.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { putFile } from "../../src/lifecycle/write.ts"
import { notesUrl, oneReplica, publishedUrl } from "../lifecycle/oneReplica.ts"
import { TemporaryRealms } from "../realms/temporaryRealms.ts"

const text = (realmUrl: RealmUrl, name: string) =>
  Effect.gen(function*() {
    const modules = yield* Modules
    const { origin, value } = yield* modules.read(realmUrl, name)
    return [origin, Buffer.from(value.body).toString()] as const
  })

const put = (source: string) => putFile(notesUrl, "a.ts", Buffer.from(source))
const publishNotes = publish({ sourceRealmUrl: notesUrl, publishedRealmUrl: publishedUrl })

it.live("a module is read by its path or its alias, made once, then from memory", () =>
  Effect.gen(function*() {
    yield* put("export const a: number = 1")
    yield* publishNotes
    const counters = yield* Counters
    assert.deepStrictEqual(yield* text(publishedUrl, "a.ts"), ["computed", "export const a = 1;"])
    assert.deepStrictEqual(yield* text(publishedUrl, "a"), ["l1", "export const a = 1;"])
    const { finishedHits, l1Hits } = counters
    for (const name of ["a.ts", "a"]) assert.deepStrictEqual((yield* text(publishedUrl, name))[0], "l1")
    assert.deepStrictEqual([counters.l1Hits - l1Hits, counters.finishedHits - finishedHits], [2, 0])
  }).pipe(Effect.provide(oneReplica)))

it.live("a read that begins after a publish or a write has returned never answers from before it (I1)", () =>
  Effect.gen(function*() {
    for (let n = 0; n < 5; n++) {
      yield* put(`export const n = ${n}`)
      assert.deepStrictEqual((yield* text(notesUrl, "a"))[1], `export const n = ${n};`)
      yield* publishNotes
      for (const name of ["a.ts", "a"]) {
        assert.deepStrictEqual((yield* text(publishedUrl, name))[1], `export const n = ${n};`)
        assert.deepStrictEqual((yield* text(publishedUrl, name))[0], "l1")
      }
    }
  }).pipe(Effect.provide(oneReplica)))

it.live("without a lease memory alone does not answer (I2)", () =>
  Effect.gen(function*() {
    yield* put("export const a = 1")
    yield* publishNotes
    yield* text(publishedUrl, "a")
    const generations = yield* Generations
    const lease: { -readonly [Name in keyof Lease["Service"]]: Lease["Service"][Name] } = yield* Lease
    assert.isDefined(generations.held(publishedUrl))
    lease.isHeld = () => false
    assert.isUndefined(generations.held(publishedUrl))
    assert.deepStrictEqual((yield* text(publishedUrl, "a"))[1], "export const a = 1;")
  }).pipe(Effect.provide(oneReplica)))

it.live("what is no module, hidden, or nowhere, is said to be not found", () =>
  Effect.gen(function*() {
    const { notes } = yield* TemporaryRealms
    yield* Effect.promise(async () => {
      await fs.writeFile(path.join(notes, "style.css"), "")
      await fs.writeFile(path.join(notes, ".hidden.ts"), "")
    })
    const modules = yield* Modules
    for (const name of ["style.css", ".hidden.ts", "missing"]) {
      for (let n = 0; n < 2; n++) {
        assert.strictEqual((yield* Effect.flip(modules.read(notesUrl, name)))._tag, "FileNotFound")
      }
    }
    assert.strictEqual((yield* Effect.flip(modules.read(publishedUrl, "a")))._tag, "RealmNotFound")
  }).pipe(Effect.provide(oneReplica)))
