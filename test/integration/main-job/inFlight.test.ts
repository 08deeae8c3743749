import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { eventually } from "../../support/eventually.ts"
import { Fleet, type Place, post } from "../../support/fleet.ts"
import type { Replica } from "../../support/replica.ts"
import { expectStatus } from "./expectations.ts"
import { slowModule } from "./sources.ts"

const transpiles = (replica: Replica) => Effect.map(replica.status, (status) => status["transpiles"] ?? 0)

/** What L2 holds of a path: the tag of each row that has a body. */
const sharedTags = Effect.fnUntraced(function*(place: Place, file: string) {
  const { sql } = yield* Fleet
  const rows = yield* sql(
    "SELECT substring(body from 'tag = \"([a-z0-9 -]+)\"') AS tag FROM module_transpile_cache " +
      "WHERE realm_url = $1 AND canonical_path = $2 AND body IS NOT NULL",
    [place.url, file]
  )
  return rows.map((row) => row["tag"])
})

/** Asks the replica for the slow module and returns, with the request under way, when it has begun to transpile it. */
const inFlight = Effect.fnUntraced(function*(replica: Replica, path: string) {
  const before = yield* transpiles(replica)
  const request = yield* Effect.forkChild(replica.ask(path), { startImmediately: true })
  yield* eventually("the transpile began", transpiles(replica), (count) => count > before)
  return request
})

/** Every replica answers with this version now, from wherever it has it, and again from memory. */
const everywhere = Effect.fnUntraced(function*(place: Place, file: string, tag: string) {
  const { all } = yield* Fleet
  for (const replica of [...all, ...all]) {
    const answer = expectStatus(yield* replica.ask(place.path(file)), 200)
    assert.include(answer.text.slice(0, 100), JSON.stringify(tag))
  }
})

layer(Fleet.layer({ args: ["--workers", "2"] }), { excludeTestServices: true })(
  "an invalidation during a transpile",
  (it) => {
    it.effect("of a path that had no row yet: what began before it enters neither L1 nor L2", () =>
      Effect.gen(function*() {
        const { first, realm, second } = yield* Fleet
        // The edit is committed long before the run ends.
        const source = yield* realm({ "big.ts": slowModule("old", 6000) })
        const rejected = (yield* first.status)["l2WriteRejected"] ?? 0
        const early = yield* inFlight(first, source.path("big.ts"))
        const put = yield* second.ask(source.path("big.ts"), { method: "PUT", body: slowModule("new") })
        assert.include([200, 201, 204], put.status, put.shown)
        // The reader that was waiting still gets its answer (S3), and its run is over.
        assert.include(expectStatus(yield* Fiber.join(early), 200).text.slice(0, 100), `"old"`)
        assert.deepStrictEqual(yield* sharedTags(source, "big.ts"), [])
        assert.strictEqual((yield* first.status)["l2WriteRejected"], rejected + 1)
        yield* everywhere(source, "big.ts", "new")
        assert.deepStrictEqual(yield* sharedTags(source, "big.ts"), ["new"])
      }))

    it.effect("of a path that has a row: the row stays what the newer run wrote, whichever ends last", () =>
      Effect.gen(function*() {
        const { first, realm, second } = yield* Fleet
        const source = yield* realm({ "big.ts": slowModule("one") })
        expectStatus(yield* first.ask(source.path("big.ts")), 200)
        assert.deepStrictEqual(yield* sharedTags(source, "big.ts"), ["one"])
        yield* source.edit({ "big.ts": slowModule("two") })
        const early = yield* inFlight(second, source.path("big.ts"))
        // The newest version is quick to transpile: it is served and stored long before the run in flight ends.
        const put = yield* first.ask(source.path("big.ts"), { method: "PUT", body: `export const tag = "three"\n` })
        assert.include([200, 201, 204], put.status, put.shown)
        yield* everywhere(source, "big.ts", "three")
        yield* Fiber.join(early)
        yield* everywhere(source, "big.ts", "three")
        assert.deepStrictEqual(yield* sharedTags(source, "big.ts"), ["three"])
      }))

    it.effect("of the whole realm (a publish) voids a run of a path that had no row yet", () =>
      Effect.gen(function*() {
        const { first, publish, realm, second, unused } = yield* Fleet
        const source = yield* realm({ "big.ts": slowModule("before") })
        const target = unused()
        expectStatus(yield* publish(source, target, first), 202)
        const early = yield* inFlight(first, target.path("big.ts"))
        yield* source.edit({ "big.ts": `export const tag = "after"\n` })
        expectStatus(yield* publish(source, target, second), 202)
        yield* everywhere(target, "big.ts", "after")
        expectStatus(yield* Fiber.join(early), 200)
        yield* everywhere(target, "big.ts", "after")
        assert.deepStrictEqual(yield* sharedTags(target, "big.ts"), ["after"])
      }))

    it.effect("by a delete: the file stays gone when the run in flight has ended", () =>
      Effect.gen(function*() {
        const { all, first, realm, second } = yield* Fleet
        const source = yield* realm({ "big.ts": slowModule("gone") })
        const early = yield* inFlight(first, source.path("big.ts"))
        const removed = yield* second.ask(source.path("big.ts"), { method: "DELETE" })
        assert.include([200, 204], removed.status, removed.shown)
        for (const replica of all) expectStatus(yield* replica.ask(source.path("big.ts")), 404)
        yield* Fiber.join(early)
        for (const replica of all) expectStatus(yield* replica.ask(source.path("big")), 404)
        assert.deepStrictEqual(yield* sharedTags(source, "big.ts"), [])
      }))

    it.effect("by the public call: later readers start a new run and do not join the one in flight", () =>
      Effect.gen(function*() {
        const { first, realm } = yield* Fleet
        const source = yield* realm({ "big.ts": slowModule("called") })
        const early = yield* inFlight(first, source.path("big.ts"))
        const before = yield* transpiles(first)
        const called = expectStatus(yield* post(first, "/_invalidate", { realmURL: source.url, path: "big.ts" }), 200)
        assert.isNumber(called.json["generation"])
        const late = expectStatus(yield* first.ask(source.path("big.ts")), 200)
        assert.notStrictEqual(late.headers["x-lockstep-cache"], "l1")
        assert.strictEqual(yield* transpiles(first), before + 1)
        yield* Fiber.join(early)
        assert.strictEqual(late.headers["x-lockstep-generation"], String(called.json["generation"]))
      }))
  }
)
