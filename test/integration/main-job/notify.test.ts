import { PgClient } from "@effect/sql-pg"
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Queue, Redacted } from "effect"
import { eventually } from "../../support/eventually.ts"
import { Fleet, type Place, post } from "../../support/fleet.ts"
import type { Replica } from "../../support/replica.ts"
import { cacheOf, expectStatus } from "./expectations.ts"
import { versioned } from "./sources.ts"

const notify = Effect.fnUntraced(function*(channel: string, payload: string) {
  const { sql } = yield* Fleet
  yield* sql("SELECT pg_notify($1, $2)", [channel, payload])
})

const origin = (replica: Replica, place: Place, file: string) =>
  Effect.map(replica.ask(place.path(file)), (answer) => cacheOf(expectStatus(answer, 200)))

/** Reads until the replica answers from memory. */
const warm = (replica: Replica, place: Place, file: string) =>
  eventually(`${file} is warm`, origin(replica, place, file), (from) => from === "l1")

const counter = (replica: Replica, name: string) => Effect.map(replica.status, (status) => status[name] ?? 0)

/**
 * Sends the message and waits until every replica has heard it, so that what follows was done knowing it, and has counted
 * it. Messages come in order, and nobody but this test sends what cannot be parsed: when that was counted, so was the other.
 * What a watcher has to say of an earlier edit may be counted at any time.
 */
const heard = Effect.fnUntraced(function*(counted: string, channel: string, payload: string) {
  const { all } = yield* Fleet
  const before = yield* Effect.forEach(all, (replica) => replica.status)
  yield* notify(channel, payload)
  yield* notify("realm_file_changes", "the end")
  const malformed = counted === "malformedPayloads" ? 2 : 1
  for (const [index, replica] of all.entries()) {
    const after = yield* eventually(
      `${replica.replicaId} has heard ${payload}`,
      replica.status,
      (status) => (status["malformedPayloads"] ?? 0) >= (before[index]?.["malformedPayloads"] ?? 0) + malformed
    )
    assert.isAbove(after[counted] ?? 0, before[index]?.[counted] ?? 0, `${counted} of ${payload}`)
  }
})

const warmEverywhere = Effect.fnUntraced(function*(place: Place, files: ReadonlyArray<string>) {
  const { all } = yield* Fleet
  for (const replica of all) for (const file of files) yield* warm(replica, place, file)
})

layer(Fleet.layer(), { excludeTestServices: true })("a raw NOTIFY from psql", (it) => {
  it.effect("realm_file_changes with a path clears that path on every replica, and no other", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1), "deep/b.ts": versioned(2), "c.ts": versioned(3) })
      yield* warmEverywhere(source, ["a.ts", "deep/b.ts", "c.ts"])
      yield* heard("invalidationsReceived", "realm_file_changes", `${source.url}:deep/b.ts`)
      for (const replica of all) {
        assert.strictEqual(yield* origin(replica, source, "a.ts"), "l1")
        assert.strictEqual(yield* origin(replica, source, "c.ts"), "l1")
        assert.notStrictEqual(yield* origin(replica, source, "deep/b.ts"), "l1")
        assert.strictEqual(yield* origin(replica, source, "deep/b.ts"), "l1")
      }
    }))

  it.effect("realm_file_changes with * clears the whole realm on every replica, and no other realm", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1), "b.ts": versioned(2) })
      const other = yield* realm({ "a.ts": versioned(1) })
      yield* warmEverywhere(source, ["a.ts", "b.ts"])
      yield* warmEverywhere(other, ["a.ts"])
      yield* heard("invalidationsReceived", "realm_file_changes", `${source.url}:*`)
      for (const replica of all) {
        assert.strictEqual(yield* origin(replica, other, "a.ts"), "l1")
        assert.notStrictEqual(yield* origin(replica, source, "a.ts"), "l1")
        assert.notStrictEqual(yield* origin(replica, source, "b.ts"), "l1")
      }
    }))

  it.effect("a cleared file is served with the bytes that are on disk now", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1) })
      yield* warmEverywhere(source, ["a.ts"])
      yield* source.edit({ "a.ts": versioned(2) })
      yield* heard("invalidationsReceived", "realm_file_changes", `${source.url}:a.ts`)
      for (const replica of all) assert.include((yield* replica.ask(source.path("a.ts"))).text, "version = 2")
    }))

  it.effect("after it the shared rows prove themselves against the bytes: the same bytes are not transpiled again", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1), "b.ts": versioned(1) })
      yield* warmEverywhere(source, ["a.ts", "b.ts"])
      const transpiles = Effect.map(
        Effect.forEach(all, (replica) => counter(replica, "transpiles")),
        (counts) => counts.reduce((sum, count) => sum + count, 0)
      )
      const before = yield* transpiles
      yield* source.edit({ "b.ts": versioned(2) })
      for (const payload of [`${source.url}:a.ts`, `${source.url}:b.ts`, `${source.url}:*`]) {
        yield* heard("invalidationsReceived", "realm_file_changes", payload)
        for (const replica of all) {
          assert.include((yield* replica.ask(source.path("a.ts"))).text, "version = 1")
          assert.include((yield* replica.ask(source.path("b.ts"))).text, "version = 2")
        }
      }
      // The edited one, once, and once more where its watcher voids the row of a path that had changed.
      assert.isAtMost((yield* transpiles) - before, 2)
    }))

  it.effect("module_cache_invalidated is heard in its three shapes", () =>
    Effect.gen(function*() {
      const { first, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1) })
      for (
        const payload of [
          { k: "module", r: source.url, m: [`${source.url}a.ts`] },
          { k: "realm", r: source.url },
          { k: "global" }
        ]
      ) {
        yield* heard("invalidationsReceived", "module_cache_invalidated", JSON.stringify(payload))
        expectStatus(yield* first.ask(source.path("a.ts")), 200)
      }
    }))

  it.effect("garbage on any channel is counted, clears nothing and stops nothing", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1) })
      yield* warmEverywhere(source, ["a.ts"])
      const garbage = [
        ["realm_file_changes", "garbage"],
        ["realm_file_changes", source.url],
        ["realm_file_changes", `${source.url}:`],
        ["realm_file_changes", "{\"json\":true}"],
        ["realm_file_changes", "\u{1F4A5}".repeat(1900)],
        ["module_cache_invalidated", "not json"],
        ["module_cache_invalidated", "{\"k\":\"unknown\"}"],
        ["module_cache_invalidated", "{\"k\":\"module\",\"r\":1}"],
        ["module_cache_invalidated", "null"]
      ] as const
      const reconnects = yield* Effect.forEach(all, (replica) => counter(replica, "listenerReconnects"))
      for (const [channel, payload] of garbage) yield* heard("malformedPayloads", channel, payload)
      // Neither garbage nor anything to act on here.
      yield* notify("module_cache_populated", "no such key")
      yield* notify("realm_registry", "\u0001\u0002")
      for (const [index, replica] of all.entries()) {
        assert.strictEqual(yield* origin(replica, source, "a.ts"), "l1")
        assert.strictEqual(yield* counter(replica, "listenerReconnects"), reconnects[index])
      }
      yield* heard("invalidationsReceived", "realm_file_changes", `${source.url}:*`)
      for (const replica of all) assert.notStrictEqual(yield* origin(replica, source, "a.ts"), "l1")
    }))

  it.effect("messages about realms that are not mounted here are ignored", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1) })
      yield* warmEverywhere(source, ["a.ts"])
      const malformed = yield* Effect.forEach(all, (replica) => counter(replica, "malformedPayloads"))
      const strangers = ["http://elsewhere.test:8080/x/:*", "http://elsewhere.test/x/:a.ts", `${source.url}deeper/:*`]
      for (const payload of strangers) yield* notify("realm_file_changes", payload)
      // Messages come in order: when this one was heard, so were those.
      const other = yield* realm({ "a.ts": versioned(1) })
      yield* warmEverywhere(other, ["a.ts"])
      yield* heard("invalidationsReceived", "realm_file_changes", `${other.url}:*`)
      for (const replica of all) assert.strictEqual(yield* origin(replica, source, "a.ts"), "l1")
      // The one that `heard` sends.
      assert.deepStrictEqual(
        yield* Effect.forEach(all, (replica) => counter(replica, "malformedPayloads")),
        malformed.map((count) => count + 1)
      )
    }))

  it.effect("changes are announced in the contract's words: a write with its path, a publish with *", () =>
    Effect.gen(function*() {
      const { databaseUrl, first, publish, realm, unused } = yield* Fleet
      const source = yield* realm({ "deep/a.ts": versioned(1) })
      const target = unused()
      const listener = yield* Layer.build(PgClient.layer({ url: Redacted.make(databaseUrl), maxConnections: 1 }))
      const inbox = yield* Context.get(listener, PgClient.PgClient).listen("realm_file_changes")
      // Watchers may have something to say of other tests' edits.
      const next = Effect.repeat(
        Effect.map(Queue.take(inbox), ({ payload }) => payload),
        { until: (payload) => payload.startsWith(source.url) || payload.startsWith(target.url) }
      )
      yield* first.ask(source.path("deep/a.ts"), { method: "PUT", body: versioned(2) })
      assert.strictEqual(yield* next, `${source.url}:deep/a.ts`)
      expectStatus(yield* publish(source, target, first), 202)
      assert.strictEqual(yield* next, `${target.url}:*`)
      expectStatus(yield* post(first, "/_invalidate", { realmURL: source.url, path: "deep/a.ts" }), 200)
      assert.strictEqual(yield* next, `${source.url}:deep/a.ts`)
      expectStatus(yield* post(first, "/_invalidate", { realmURL: source.url }), 200)
      assert.strictEqual(yield* next, `${source.url}:*`)
      yield* first.ask(source.path("deep/a.ts"), { method: "DELETE" })
      assert.strictEqual(yield* next, `${source.url}:deep/a.ts`)
    }))

  it.effect("the loss of the listening connection is noticed, repaired and counted, and nothing stale is served", () =>
    Effect.gen(function*() {
      const { all, first, realm, sql } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1) })
      yield* warmEverywhere(source, ["a.ts"])
      const before = yield* Effect.forEach(all, (replica) => counter(replica, "listenerReconnects"))
      // Every connection but this one: listeners, locks and pools.
      yield* sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity " +
          "WHERE datname = current_database() AND pid <> pg_backend_pid()"
      )
      for (const [index, replica] of all.entries()) {
        yield* eventually(
          "it reconnects",
          counter(replica, "listenerReconnects"),
          (count) => count > (before[index] ?? 0)
        )
      }
      const put = yield* eventually(
        "writes work again",
        first.ask(source.path("a.ts"), { method: "PUT", body: versioned(2) }),
        (answer) => answer.status < 300
      )
      assert.include([200, 201, 204], put.status)
      for (const replica of all) {
        const answer = yield* eventually("reads work again", replica.ask(source.path("a.ts")), (a) => a.status === 200)
        assert.include(answer.text, "version = 2")
      }
      yield* warmEverywhere(source, ["a.ts"])
      yield* eventually(
        "it listens again",
        Effect.gen(function*() {
          yield* notify("realm_file_changes", `${source.url}:*`)
          return yield* origin(first, source, "a.ts")
        }),
        (from) => from !== "l1"
      )
    }))
})
