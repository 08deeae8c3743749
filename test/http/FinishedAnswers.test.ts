import * as http from "node:http"
import type { AddressInfo } from "node:net"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Counters } from "../../src/coordination/Counters.ts"
import { Fence } from "../../src/coordination/Fence.ts"
import { Generations } from "../../src/coordination/Generations.ts"
import { Membership } from "../../src/coordination/Membership.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { type Finished, FinishedAnswers } from "../../src/http/FinishedAnswers.ts"

const realmUrl = "http://test.example/realm/" as RealmUrl
const body = Buffer.from("export const a = 1\n")

/** Real HTTP before finished answers, over what a replica knows as the test says; what is not answered is 599. */
const setUp = (trustProxy = false) =>
  Effect.gen(function*() {
    const known = {
      held: true,
      generation: 3,
      isPrivate: false,
      fence: new Fence(),
      origins: new Map<string, boolean>()
    }
    const layer = FinishedAnswers.layer(10_000, trustProxy).pipe(Layer.provideMerge(Layer.mergeAll(
      Layer.fresh(Counters.layer),
      Layer.mock(Generations, {
        held: () => undefined,
        known: () => known.held ? known : undefined,
        knownOrigin: (origin) => known.held ? known.origins.get(origin) : undefined
      }),
      Layer.succeed(Membership, { replicaId: "one", bootId: "boot", advertiseUrl: "", leaseMillis: 3000 })
    )))
    const context = yield* Layer.build(Layer.fresh(layer))
    const answers = yield* Effect.provide(FinishedAnswers, context)
    const counters = yield* Effect.provide(Counters, context)
    const server = yield* Effect.acquireRelease(
      Effect.callback<http.Server>((resume) => {
        const created = http.createServer((request, response) => {
          answers.answer(request, response, () => response.writeHead(599).end())
        })
        created.listen(0, "127.0.0.1", () => resume(Effect.succeed(created)))
      }),
      (created) => Effect.sync(() => created.close())
    )
    const { port } = server.address() as AddressInfo
    const askBytes = (path: string) =>
      Effect.callback<Uint8Array>((resume) => {
        http.get({ port, path, agent: false, headers: { host: "test.example" } }, (response) => {
          const chunks: Array<Buffer> = []
          response.on("data", (chunk: Buffer) => chunks.push(chunk))
          response.on("end", () => resume(Effect.succeed(Uint8Array.from(Buffer.concat(chunks)))))
        })
      })
    const ask = (path: string, options: http.RequestOptions = {}) =>
      Effect.callback<{ readonly status: number; readonly headers: http.IncomingHttpHeaders; readonly text: string }>(
        (resume) => {
          const headers = { host: "test.example", ...(options.headers as http.OutgoingHttpHeaders | undefined) }
          http.request({ port, path, agent: false, ...options, headers }, (response) => {
            let text = ""
            response.setEncoding("utf8").on("data", (chunk: string) => text += chunk)
            response.on(
              "end",
              () => resume(Effect.succeed({ status: response.statusCode ?? 0, headers: response.headers, text }))
            )
          }).end()
        }
      )
    const finished = (): Finished => ({
      origin: undefined,
      realmUrl,
      fence: known.fence,
      token: known.fence.capture(),
      paths: ["a", "a.ts"],
      body,
      etag: `"js-1"`,
      headers: {
        "content-type": "text/javascript; charset=utf-8",
        etag: `"js-1"`,
        "x-lockstep-cache": "l1",
        sourcemap: "a.ts.map"
      },
      isModule: true,
      unchanged: undefined
    })
    const keep = (change: Partial<Finished> = {}, headers: Record<string, string> = {}, url = "/realm/a") =>
      answers.keep({ url, headers: { host: "test.example", ...headers } }, { ...finished(), ...change })
    return { known, counters, ask, askBytes, keep }
  })

it.live("an answer that was kept is given as it was, with the realm's generation and the replica's name", () =>
  Effect.gen(function*() {
    const { ask, counters, keep } = yield* setUp()
    assert.strictEqual((yield* ask("/realm/a")).status, 599)
    keep()
    const answer = yield* ask("/realm/a")
    assert.strictEqual(answer.text, body.toString())
    assert.deepInclude(answer.headers, {
      "content-type": "text/javascript; charset=utf-8",
      "content-length": String(body.length),
      etag: `"js-1"`,
      "x-lockstep-cache": "l1",
      "x-lockstep-generation": "3",
      "x-lockstep-replica": "one"
    })
    assert.strictEqual(counters.l1Hits, 1)
    for (const path of ["/realm/b", "/realm/a?source", "/realm/a/"]) assert.strictEqual((yield* ask(path)).status, 599)
  }).pipe(Effect.scoped))

it.live("HEAD has the same headers and no body; who has the bytes gets 304", () =>
  Effect.gen(function*() {
    const { ask, keep } = yield* setUp()
    keep()
    const head = yield* ask("/realm/a", { method: "HEAD" })
    assert.strictEqual(head.status, 200)
    assert.strictEqual(head.text, "")
    assert.strictEqual(head.headers["content-length"], String(body.length))
    for (const tag of [`"js-1"`, `W/"js-1"`, `"other", "js-1"`, "*"]) {
      const answer = yield* ask("/realm/a", { headers: { "if-none-match": tag } })
      assert.strictEqual(answer.status, 304)
      assert.strictEqual(answer.headers.etag, `"js-1"`)
      // The client has the rest.
      for (const name of ["content-type", "sourcemap"]) assert.isUndefined(answer.headers[name])
    }
    assert.strictEqual((yield* ask("/realm/a", { headers: { "if-none-match": `"other"` } })).status, 200)
  }).pipe(Effect.scoped))

it.live("bytes of every kind and size arrive as they are", () =>
  Effect.gen(function*() {
    const { askBytes, keep } = yield* setUp()
    for (const size of [0, 1, 300, 8192, 8193, 8500]) {
      // No text: what is compressed has every byte.
      const bytes = Uint8Array.from({ length: size }, (_, index) => (index * 7) % 256)
      keep({ body: bytes })
      assert.deepStrictEqual(yield* askBytes("/realm/a"), bytes)
    }
  }).pipe(Effect.scoped))

it.live("it stands only while the lease is held, and the token holds for the name and for the file (I1, I2)", () =>
  Effect.gen(function*() {
    const { ask, keep, known } = yield* setUp()
    const status = Effect.map(ask("/realm/a"), (answer) => answer.status)
    keep()
    known.held = false
    assert.strictEqual(yield* status, 599)
    known.held = true
    assert.strictEqual(yield* status, 200)
    known.fence.invalidate("b.ts")
    assert.strictEqual(yield* status, 200)
    for (const path of ["a", "a.ts"]) {
      keep()
      assert.strictEqual(yield* status, 200)
      known.fence.invalidate(path)
      assert.strictEqual(yield* status, 599, path)
    }
    keep()
    known.fence.drop()
    assert.strictEqual(yield* status, 599)
    keep()
    known.fence = new Fence()
    assert.strictEqual(yield* status, 599)
  }).pipe(Effect.scoped))

it.live("of a source realm it stands while the file is the one that was read, and all else holds after that look (I1, I2)", () =>
  Effect.gen(function*() {
    const { ask, counters, keep, known } = yield* setUp()
    const status = Effect.map(ask("/realm/a"), (answer) => answer.status)
    let looked = 0
    /** What a look finds, and what happens while it is under way. */
    const looks = (isUnchanged: boolean, meanwhile: () => void = () => {}) =>
      keep({
        unchanged: (then) => {
          looked++
          setImmediate(() => {
            meanwhile()
            then(isUnchanged)
          })
        }
      })
    looks(true)
    assert.deepStrictEqual([yield* status, yield* status, looked], [200, 200, 2])
    looks(false)
    assert.deepStrictEqual([yield* status, looked], [599, 3])
    // It is not looked at again.
    assert.deepStrictEqual([yield* status, looked], [599, 3])
    looks(true, () => known.fence.invalidate("a.ts"))
    assert.strictEqual(yield* status, 599)
    looks(true, () => known.held = false)
    assert.strictEqual(yield* status, 599)
    known.held = true
    looks(true, () => known.isPrivate = true)
    assert.strictEqual(yield* status, 599)
    known.isPrivate = false
    looks(true, () => known.generation = 7)
    assert.strictEqual((yield* ask("/realm/a")).headers["x-lockstep-generation"], "7")
    assert.strictEqual(counters.finishedHits, 3)
  }).pipe(Effect.scoped))

it.live("an answer that was overtaken before it was finished is not given (I1)", () =>
  Effect.gen(function*() {
    const { ask, keep, known } = yield* setUp()
    const token = known.fence.capture()
    known.fence.invalidate("a.ts")
    keep({ token })
    assert.strictEqual((yield* ask("/realm/a")).status, 599)
    const { fence } = known
    known.fence = new Fence()
    keep({ fence })
    assert.strictEqual((yield* ask("/realm/a")).status, 599)
  }).pipe(Effect.scoped))

it.live("the generation shown is the realm's present one, also where another path moved it (I3)", () =>
  Effect.gen(function*() {
    const { ask, keep, known } = yield* setUp()
    keep()
    known.generation = 4
    known.fence.invalidate("b.ts")
    assert.strictEqual((yield* ask("/realm/a")).headers["x-lockstep-generation"], "4")
    assert.strictEqual(
      (yield* ask("/realm/a", { headers: { "if-none-match": "*" } })).headers["x-lockstep-generation"],
      "4"
    )
  }).pipe(Effect.scoped))

it.live("what asks for more than memory can say goes the long way: a token, another method, a body", () =>
  Effect.gen(function*() {
    const { ask, keep } = yield* setUp()
    keep()
    const long: ReadonlyArray<http.RequestOptions> = [
      { headers: { "x-lockstep-min-generation": "3" } },
      { headers: { "content-length": "0" } },
      { method: "PUT" },
      { method: "POST" },
      { method: "OPTIONS" }
    ]
    for (const options of long) assert.strictEqual((yield* ask("/realm/a", options)).status, 599)
  }).pipe(Effect.scoped))

it.live("each host, coding and representation has an answer of its own", () =>
  Effect.gen(function*() {
    const { ask, keep } = yield* setUp()
    keep()
    const others = [
      { host: "other.example" },
      { "accept-encoding": "gzip" },
      { "accept-encoding": "br, gzip" },
      { accept: "application/vnd.lockstep.source" },
      { accept: "text/html" }
    ]
    for (const headers of others) assert.strictEqual((yield* ask("/realm/a", { headers })).status, 599)
    for (const headers of [{ accept: "*/*" }, { accept: "text/javascript" }, { "accept-encoding": "identity" }]) {
      assert.strictEqual((yield* ask("/realm/a", { headers })).status, 200)
    }
  }).pipe(Effect.scoped))

it.live("a query makes no difference, but where it asks for the source", () =>
  Effect.gen(function*() {
    const { ask, keep } = yield* setUp()
    keep()
    for (const query of ["?", "?v=2", "?t=1&sources=1", "?%73ourced", "???source"]) {
      assert.strictEqual((yield* ask(`/realm/a${query}`)).text, body.toString(), query)
    }
    const forSource = ["?source", "?source=", "?v=2&source", "?%73ource=1", "?source&source", "??source"]
    for (const query of forSource) assert.strictEqual((yield* ask(`/realm/a${query}`)).status, 599, query)
    keep({ body: Buffer.from("the source") }, {}, "/realm/a?v=1&source=1")
    for (const query of forSource) assert.strictEqual((yield* ask(`/realm/a${query}`)).text, "the source", query)
    assert.strictEqual((yield* ask("/realm/a?v=3")).text, body.toString())
  }).pipe(Effect.scoped))

it.live("behind a proxy that is trusted, what it forwards is part of the question", () =>
  Effect.gen(function*() {
    const { ask, keep } = yield* setUp(true)
    const headers = { "x-forwarded-host": "test.example", "x-forwarded-proto": "https" }
    keep({}, headers)
    assert.strictEqual((yield* ask("/realm/a", { headers })).status, 200)
    assert.strictEqual((yield* ask("/realm/a")).status, 599)
    assert.strictEqual((yield* ask("/realm/a", { headers: { ...headers, "x-forwarded-host": "other" } })).status, 599)
  }).pipe(Effect.scoped))

it.live("an answer for a host without realms stands while it has none, as far as memory knows", () =>
  Effect.gen(function*() {
    const { ask, keep, known } = yield* setUp()
    const url = "http://10.0.0.1"
    const status = Effect.map(ask("/realm/a"), (answer) => answer.status)
    known.origins.set(url, false)
    keep({ origin: { url, hasRealms: false } })
    assert.strictEqual(yield* status, 200)
    known.origins.delete(url)
    assert.strictEqual(yield* status, 599)
    known.origins.set(url, true)
    assert.strictEqual(yield* status, 599)
  }).pipe(Effect.scoped))

it.live("of a realm that is private nothing is kept, and nothing is given that was kept before", () =>
  Effect.gen(function*() {
    const { ask, keep, known } = yield* setUp()
    const status = Effect.map(ask("/realm/a"), (answer) => answer.status)
    keep()
    // However it came about that its fence still holds.
    known.isPrivate = true
    assert.strictEqual(yield* status, 599)
    known.isPrivate = false
    known.fence.drop()
    known.isPrivate = true
    keep()
    known.isPrivate = false
    assert.strictEqual(yield* status, 599)
  }).pipe(Effect.scoped))

it.live("who brings credentials goes the long way: they are to be checked", () =>
  Effect.gen(function*() {
    const { ask, keep } = yield* setUp()
    keep()
    for (const headers of [{ authorization: "Bearer x" }, { authorization: "" }, { "x-lockstep-fleet": "x" }]) {
      assert.strictEqual((yield* ask("/realm/a", { headers })).status, 599)
    }
  }).pipe(Effect.scoped))

it.live("memory stays within its bound (I7)", () =>
  Effect.gen(function*() {
    const { ask, keep } = yield* setUp()
    keep({ body: Buffer.alloc(20_000) })
    assert.strictEqual((yield* ask("/realm/a")).status, 599)
  }).pipe(Effect.scoped))
