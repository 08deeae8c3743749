import { assert, it, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { DataDir, isListening, query, serverHasStopped, serverPid, startReplica, temporaryDataDir } from "./replicas.ts"

it.live("ten replicas that start at once on a new data directory share one server", () =>
  Effect.gen(function*() {
    const dataDir = yield* temporaryDataDir
    const replicas = yield* Effect.forEach(Array.from({ length: 10 }), () => startReplica(dataDir))
    const urls = yield* Effect.forEach(replicas, ({ url }) => url, { concurrency: "unbounded" })
    assert.strictEqual(new Set(urls).size, 1)
    const url = urls[0] ?? ""
    assert.deepStrictEqual(yield* query(url, "SELECT count(*)::int AS n FROM pg_database"), [{ n: 3 }])
    const file = Path.join(dataDir, "postgres.url")
    assert.strictEqual(yield* Effect.promise(() => Fs.readFile(file, "utf8")), `${url}\n`)
    assert.strictEqual((yield* Effect.promise(() => Fs.stat(file))).mode & 0o777, 0o600)

    yield* Effect.forEach(replicas, ({ signal }) => signal("SIGTERM"))
    yield* Effect.forEach(replicas, ({ ended }) => ended)
    yield* serverHasStopped(url, dataDir)
  }))

layer(DataDir.layer, { excludeTestServices: true })((it) => {
  it.effect("the last replica to leave stops the server, and none before it", () =>
    Effect.gen(function*() {
      const dataDir = yield* DataDir
      const first = yield* startReplica(dataDir)
      const url = yield* first.url
      const second = yield* startReplica(dataDir)
      assert.strictEqual(yield* second.url, url)
      const server = yield* Effect.promise(() => serverPid(dataDir))

      yield* first.signal("SIGTERM")
      yield* first.ended
      assert.deepStrictEqual(yield* query(url, "SELECT 1 AS one"), [{ one: 1 }])
      assert.strictEqual(yield* Effect.promise(() => serverPid(dataDir)), server)

      yield* second.signal("SIGTERM")
      yield* second.ended
      yield* serverHasStopped(url, dataDir)
    }))

  it.effect("signals to a replica's process group, SIGKILL included, leave the server to the others", () =>
    Effect.gen(function*() {
      const dataDir = yield* DataDir
      const starter = yield* startReplica(dataDir)
      const url = yield* starter.url
      const server = yield* Effect.promise(() => serverPid(dataDir))
      const interrupted = yield* startReplica(dataDir)
      yield* interrupted.url
      const last = yield* startReplica(dataDir)
      yield* last.url

      yield* starter.signalGroup("SIGKILL")
      yield* interrupted.signalGroup("SIGINT")
      yield* Effect.all([starter.ended, interrupted.ended])
      assert.deepStrictEqual(yield* query(url, "SELECT 1 AS one"), [{ one: 1 }])
      assert.strictEqual(yield* Effect.promise(() => serverPid(dataDir)), server)

      // The killed one signed off nowhere, and is still not counted.
      yield* last.signal("SIGTERM")
      yield* last.ended
      yield* serverHasStopped(url, dataDir)
    }))

  it.effect("a server whose every user was killed is found again by the next, which then stops it", () =>
    Effect.gen(function*() {
      const dataDir = yield* DataDir
      const killed = yield* startReplica(dataDir)
      const url = yield* killed.url
      const server = yield* Effect.promise(() => serverPid(dataDir))
      yield* killed.signal("SIGKILL")
      yield* killed.ended
      assert.isTrue(yield* isListening(url))

      const next = yield* startReplica(dataDir)
      assert.strictEqual(yield* next.url, url)
      assert.strictEqual(yield* Effect.promise(() => serverPid(dataDir)), server)
      yield* next.signal("SIGTERM")
      yield* next.ended
      yield* serverHasStopped(url, dataDir)
    }))

  it.effect("a data directory in use by another container is refused", () =>
    Effect.gen(function*() {
      const dataDir = yield* DataDir
      const first = yield* startReplica(dataDir)
      const url = yield* first.url
      yield* Effect.promise(() => Fs.writeFile(Path.join(dataDir, "postgres/place"), "another boot, other namespaces"))

      const other = yield* startReplica(dataDir)
      assert.include(yield* Effect.flip(other.url), "in use by another container or machine")
      assert.deepStrictEqual(yield* query(url, "SELECT 1 AS one"), [{ one: 1 }])
    }))
})
