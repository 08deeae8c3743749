import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { type Reading, Replicas, ReplicasUnavailable } from "../../src/reindex/Replicas.ts"
import { FleetSecretTable } from "../../src/store/FleetSecretTable.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { ReplicaTable } from "../../src/store/ReplicaTable.ts"

interface Heard {
  readonly url: string | undefined
  readonly headers: http.IncomingHttpHeaders
}

/** A server that answers every request with this status, or cuts it off, and remembers them. */
const stub = (status: number | undefined, body = "") =>
  Effect.acquireRelease(
    Effect.callback<{ readonly url: string; readonly heard: Array<Heard>; readonly server: http.Server }>((resume) => {
      const heard: Array<Heard> = []
      const server = http.createServer(({ headers, url }, response) => {
        heard.push({ url, headers })
        if (status === undefined) response.destroy()
        else response.writeHead(status).end(body)
      }).listen(0, "127.0.0.1", () => {
        const { port } = server.address() as AddressInfo
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, heard, server }))
      })
    }),
    ({ server }) => Effect.sync(() => server.close().closeAllConnections())
  )

const reading: Reading = {
  realmUrl: "http://realms.test/live/" as RealmUrl,
  path: "a b/ä.json",
  version: 7,
  minGeneration: 9,
  accept: "application/json"
}

const layerOf = (urls: ReadonlyArray<string>) =>
  Replicas.layer({ urls }).pipe(
    Layer.provide(Layer.mergeAll(FleetSecretTable.layerMemory, ReplicaTable.layerMemory)),
    Layer.provide(MemoryDatabase.layer)
  )

const read = (urls: ReadonlyArray<string>, more: Partial<Reading> = {}) =>
  Effect.flatMap(Replicas, (replicas) => replicas.read({ ...reading, ...more })).pipe(Effect.provide(layerOf(urls)))

describe("Replicas", () => {
  it.live("reads a published realm at the job's publication, and always says from which generation on (rule 7)", () =>
    Effect.gen(function*() {
      const replica = yield* stub(200, "{}")
      assert.strictEqual((yield* read([replica.url])).body, "{}")
      yield* read([replica.url], { version: undefined, path: "" })
      const [published, source] = replica.heard
      assert.strictEqual(published?.url, "/live/@7/a%20b/%C3%A4.json")
      assert.strictEqual(source?.url, "/live/")
      for (const { headers } of replica.heard) {
        assert.strictEqual(headers["x-lockstep-min-generation"], "9")
        assert.strictEqual(headers.host, "realms.test")
      }
    }).pipe(Effect.scoped))

  it.live("asks another replica where one is behind, busy or gone", () =>
    Effect.gen(function*() {
      for (const status of [409, 500, 503]) {
        const [bad, well] = [yield* stub(status), yield* stub(200, "well")]
        for (let turn = 0; turn < 2; turn++) assert.strictEqual((yield* read([bad.url, well.url])).body, "well")
      }
      const well = yield* stub(200, "well")
      assert.strictEqual((yield* read(["http://127.0.0.1:1", well.url])).body, "well")
    }).pipe(Effect.scoped))

  // Under a clock that stands still: it is suspected for some seconds.
  it.effect("asks one that did not answer after the others for a while", () =>
    Effect.gen(function*() {
      const [frozen, well] = [yield* stub(undefined), yield* stub(200, "well")]
      const { read: ask } = Context.get(yield* Layer.build(layerOf([frozen.url, well.url])), Replicas)
      for (let turn = 0; turn < 6; turn++) assert.strictEqual((yield* ask(reading)).body, "well")
      assert.lengthOf(frozen.heard, 1)
    }).pipe(Effect.scoped))

  it.live("takes an answer about the file from whoever gives it", () =>
    Effect.gen(function*() {
      for (const status of [304, 404, 422]) {
        const replica = yield* stub(status)
        assert.strictEqual((yield* read([replica.url])).status, status)
        assert.lengthOf(replica.heard, 1)
      }
      const slow = yield* stub(503, `{"type":"urn:lockstep:transpile-timeout"}`)
      assert.strictEqual((yield* read([slow.url])).status, 503)
    }).pipe(Effect.scoped))

  it.live("fails when nobody answers, after having asked all of them several times", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* stub(503), yield* stub(409)]
      const failure = yield* Effect.flip(read([one.url, two.url]))
      assert.instanceOf(failure, ReplicasUnavailable)
      assert.include(failure.message, one.url)
      assert.isAbove(one.heard.length, 2)
      assert.isAbove(two.heard.length, 2)
      assert.include((yield* Effect.flip(read([]))).message, "no replica")
    }).pipe(Effect.scoped))
})
