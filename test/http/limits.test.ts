import * as fs from "node:fs/promises"
import * as net from "node:net"
import * as path from "node:path"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { sendBytes } from "../support/httpClient.ts"
import { publicUrl, type SecuredServer, securedServer } from "./securedServer.ts"

const typeOf = (text: string) => /"type":"urn:lockstep:([a-z-]+)"/.exec(text)?.[1]

it.live(
  "what is too large or too long is refused as a problem: body, path, headers, batch, realm",
  () =>
    Effect.gen(function*() {
      const server = yield* securedServer({ realmLimits: { bytes: 1000, files: 3 } })
      yield* server.realm("small", { "a.ts": "export const a = 1\n" })
      const put = (path: string, body: string) => server.ask(`/small/${path}`, { method: "PUT", body, as: "admin" })
      const long = yield* server.ask(`/small/${"a".repeat(5000)}`)
      assert.deepStrictEqual([long.status, typeOf(long.text)], [414, "path-too-long"])
      for (
        const bytes of [
          `GET / HTTP/1.1\r\nhost: realms.test\r\nx: ${"a".repeat(40_000)}\r\n\r\n`,
          `GET /${"a".repeat(40_000)} HTTP/1.1\r\nhost: realms.test\r\n\r\n`
        ]
      ) {
        const answer = yield* sendBytes(server.url, bytes)
        assert.match(answer, /^HTTP\/1\.1 431 /)
        assert.match(answer, /content-type: application\/problem\+json/)
        assert.strictEqual(typeOf(answer), "headers-too-large")
      }
      for (
        const bytes of ["nonsense\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "GET / HTTP/1.1\r\nhost: a\r\nbad header\r\n\r\n"]
      ) {
        const answer = yield* sendBytes(server.url, bytes)
        assert.match(answer, /^HTTP\/1\.1 400 /)
        assert.strictEqual(typeOf(answer), "invalid-input")
      }
      const declared = yield* sendBytes(
        server.url,
        `PUT /small/big.ts HTTP/1.1\r\nhost: realms.test\r\nauthorization: Bearer an-admin-token-of-the-tests\r\n` +
          `content-length: 99999999\r\nconnection: close\r\n\r\n`
      )
      assert.match(declared, /^HTTP\/1\.1 413 /)
      const operations = Array.from({ length: 10_001 }, (_, n) => ({ op: "add", path: `f${n}`, content: "" }))
      const batch = yield* server.ask("/small/_atomic", { json: { operations }, as: "admin" })
      assert.deepStrictEqual([batch.status, typeOf(batch.text)], [413, "batch-too-large"])

      const large = yield* put("b.ts", "x".repeat(990))
      assert.deepStrictEqual([large.status, typeOf(large.text)], [413, "realm-too-large"])
      assert.strictEqual((yield* put("b.ts", "x".repeat(900))).status, 201)
      assert.strictEqual((yield* put("b.ts", "x".repeat(901))).status, 200)
      assert.strictEqual((yield* put("b.ts", "x".repeat(990))).status, 413)
      assert.strictEqual((yield* put("c.ts", "")).status, 201)
      assert.strictEqual((yield* put("d.ts", "")).status, 413)
      // What makes room is not refused, in the same batch or before it.
      const swap = yield* server.ask("/small/_atomic", {
        as: "admin",
        json: { operations: [{ op: "remove", path: "b.ts" }, { op: "add", path: "d.ts", content: "x".repeat(900) }] }
      })
      assert.strictEqual(swap.status, 200)
      assert.strictEqual((yield* server.ask("/small/a.ts", { method: "DELETE", as: "admin" })).status, 200)
      assert.strictEqual((yield* put("e.ts", "")).status, 201)
    }).pipe(Effect.scoped)
)

it.live("who asks too often is told when to come back, by address, and a user by name", () =>
  Effect.gen(function*() {
    // So slowly that no machine is slow enough to see a bucket fill.
    const server = yield* securedServer({ rateLimit: { perSecond: 0.01, burst: 5 } })
    yield* server.realm("often", { "a.ts": "export const a = 1\n" })
    yield* server.publish("often", "oftenlive")
    const statuses = Effect.fnUntraced(function*(count: number, as?: string) {
      const all: Array<number> = []
      for (let n = 0; n < count; n++) {
        all.push((yield* server.ask("/oftenlive/a", as === undefined ? {} : { as })).status)
      }
      return all
    })
    assert.deepStrictEqual(yield* statuses(7), [200, 200, 200, 200, 200, 429, 429])
    const refused = yield* server.ask("/oftenlive/a")
    assert.strictEqual(refused.status, 429)
    assert.isAtLeast(Number(refused.headers["retry-after"]), 50)
    assert.isAtMost(Number(refused.headers["retry-after"]), 100)
    assert.strictEqual(typeOf(refused.text), "rate-limited")
    // Guesses at tokens are the address's, which has none left.
    assert.strictEqual((yield* server.ask("/oftenlive/a", { headers: { authorization: "Bearer guess" } })).status, 429)
    assert.deepStrictEqual(yield* statuses(6, "alice"), [200, 200, 200, 200, 200, 429])
    assert.deepStrictEqual(yield* statuses(2, "bob"), [200, 200])
    assert.deepStrictEqual(yield* statuses(10, "admin"), Array.from({ length: 10 }, () => 200))
  }).pipe(Effect.scoped))

/** Until the server has ended the connection: what it said, and after how many milliseconds. */
const untilCut = (server: SecuredServer, bytes: string, each: (socket: net.Socket) => void = () => {}) =>
  Effect.callback<{ readonly text: string; readonly after: number }>((resume) => {
    const began = performance.now()
    const { port } = new URL(server.url)
    const socket = net.connect(Number(port), "127.0.0.1", () => {
      socket.write(bytes)
      each(socket)
    })
    let text = ""
    socket.on("data", (chunk) => text += chunk.toString("latin1").slice(0, 1000))
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed({ text, after: performance.now() - began })))
    return Effect.sync(() => socket.destroy())
  }).pipe(Effect.timeout("60 seconds"))

it.live(
  "clients that are slow with their headers, with their body, or in reading what they asked for, are cut",
  () =>
    Effect.gen(function*() {
      const server = yield* securedServer({
        connections: { headersMillis: 2000, requestMillis: 4000, stallMillis: 2500 }
      })
      const token = "authorization: Bearer an-admin-token-of-the-tests\r\n"
      yield* server.realm("slow", { "a.ts": "export const a = 1\n" })
      // Not by a request: it would have to arrive in time.
      yield* Effect.promise(() =>
        fs.writeFile(path.join(server.places.realmsDir, "slow", "big.bin"), Buffer.alloc(15 * 2 ** 20, 1))
      )

      const drip = (socket: net.Socket) => {
        const timer = setInterval(() => socket.write("x"), 100)
        socket.on("close", () => clearInterval(timer))
      }
      // Reads nothing of 15 MiB.
      const reader = Effect.callback<{ readonly cut: boolean }>((resume) => {
        const { port } = new URL(server.url)
        const socket = net.connect({ port: Number(port), host: "127.0.0.1" }, () => {
          socket.write("GET /slow/big.bin HTTP/1.1\r\nhost: realms.test\r\n\r\n")
        })
        let received = 0
        // From the first bytes on nothing is read, for three times as long as the server waits; it looks twice.
        socket.once("data", (first) => {
          received += first.length
          socket.pause()
          socket.on("data", (chunk) => received += chunk.length)
          setTimeout(() => socket.resume(), 7500)
        })
        socket.on("error", () => {})
        // What the system had taken already is read at the end; the rest never comes.
        socket.on("close", () => resume(Effect.succeed({ cut: received < 15 * 2 ** 20 })))
        return Effect.sync(() => socket.destroy())
      }).pipe(Effect.timeout("60 seconds"))
      const [headers, body, idle, { cut }] = yield* Effect.all([
        untilCut(server, "GET / HTTP/1.1\r\nhost: realms.test\r\nx: ", drip),
        untilCut(
          server,
          `PUT /slow/b.ts HTTP/1.1\r\nhost: realms.test\r\n${token}content-length: 100000\r\n\r\n`,
          drip
        ),
        untilCut(server, ""),
        // A machine that stands still may wake the reader before the server looks again; but not each time.
        Effect.repeat(reader, { until: ({ cut }) => cut, times: 2 })
      ], { concurrency: "unbounded" })
      assert.match(headers.text, /^HTTP\/1\.1 408 /)
      assert.match(headers.text, /request-timeout/)
      assert.isAtMost(body.after, 30_000)
      assert.isAtMost(idle.after, 30_000)

      assert.isTrue(cut)
      // Who reads slowly, but reads, is served; and so is who waits for a handler at work.
      const stream = yield* server.ask("/slow/_readiness-check", {
        headers: { accept: "text/event-stream" },
        as: "admin"
      })
      assert.strictEqual(stream.status, 200)
      assert.strictEqual((yield* server.ask("/slow/a")).status, 200)
    }).pipe(Effect.scoped)
)

it.live(
  "a realm's pages run in a sandbox at the management's origin, and in their own elsewhere",
  () =>
    Effect.gen(function*() {
      const server = yield* securedServer()
      const files = {
        "page.html": "<script>1</script>",
        "image.svg": "<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>",
        "feed.xml": "<a/>",
        "page.xhtml": "<html/>",
        "sheet.css": "a{}",
        "data.json": "{}",
        "no-extension": "<script>1</script>"
      }
      yield* server.realm("pages", files)
      yield* server.publish("pages", "pageslive")
      const headersOf = (path: string, host = "realms.test") =>
        Effect.map(server.ask(path, { headers: { host, accept: "text/html" } }), ({ headers, status }) => {
          assert.strictEqual(status, 200, path)
          assert.strictEqual(headers["x-content-type-options"], "nosniff", path)
          return headers
        })
      for (const realm of ["pages", "pageslive", "pageslive/@1"]) {
        for (const round of [1, 2]) {
          for (const page of ["page.html", "image.svg", "feed.xml", "page.xhtml"]) {
            const policy = String((yield* headersOf(`/${realm}/${page}`))["content-security-policy"])
            assert.match(policy, /^sandbox /, `${realm} ${page} ${round}`)
            assert.notMatch(policy, /allow-same-origin/)
          }
          assert.isUndefined((yield* headersOf(`/${realm}/sheet.css`))["content-security-policy"])
        }
        assert.strictEqual((yield* headersOf(`/${realm}/no-extension`))["content-type"], "application/octet-stream")
      }
      yield* server.post("/_publish-realm", {
        sourceRealmURL: `${publicUrl}pages/`,
        publishedRealmURL: "http://author.test/"
      })
      assert.isUndefined((yield* headersOf("/page.html", "author.test"))["content-security-policy"])
      const trusting = yield* securedServer({ trustPages: true })
      yield* trusting.realm("pages", files)
      const { headers } = yield* trusting.ask("/pages/page.html", { headers: { accept: "text/html" } })
      assert.isUndefined(headers["content-security-policy"])
      const own = yield* server.ask("/_realms", { as: "admin" })
      assert.match(String(own.headers["content-security-policy"]), /frame-ancestors 'none'/)
      assert.strictEqual(own.headers["x-frame-options"], "DENY")
      assert.strictEqual(own.headers["cache-control"], "no-store")
    }).pipe(Effect.scoped)
)

it.live(
  "pages of other origins read what is public, and ask for more only where the operator named them",
  () =>
    Effect.gen(function*() {
      const studio = "https://studio.test"
      const server = yield* securedServer({ corsOrigins: [studio] })
      yield* server.realm("public", { "a.ts": "export const a = 1\n" })
      yield* server.realm("private", { "a.ts": "export const a = 1\n" }, { isPrivate: true })
      const from = (origin: string) => ({ origin, "sec-fetch-site": "cross-site" })
      const allowed = Effect.fnUntraced(function*(path: string, origin: string, as?: string) {
        const { headers } = yield* server.ask(path, { headers: from(origin), ...as === undefined ? {} : { as } })
        return headers["access-control-allow-origin"]
      })
      const evil = "https://evil.test"
      assert.strictEqual(yield* allowed("/public/a", evil), "*")
      assert.strictEqual(yield* allowed("/public/a", "null"), "*")
      for (const path of ["/private/a", "/_realms", "/_health", "/_openapi.json", "/none/a"]) {
        assert.isUndefined(yield* allowed(path, evil, "admin"), path)
      }
      assert.strictEqual(yield* allowed("/private/a", studio, "admin"), studio)
      assert.strictEqual(yield* allowed("/_realms", studio, "admin"), studio)

      const write = (origin: string, as?: string) =>
        server.ask("/public/b.ts", {
          method: "PUT",
          body: "",
          headers: from(origin),
          ...as === undefined ? {} : { as }
        })
      // A token does not make a page of somebody else's trustworthy; being named does not replace the token.
      assert.strictEqual((yield* write(evil, "admin")).status, 403)
      assert.strictEqual((yield* write("null", "admin")).status, 403)
      assert.strictEqual((yield* write(studio)).status, 401)
      assert.strictEqual((yield* write(studio, "admin")).status, 201)

      const preflight = (path: string, origin: string) =>
        server.ask(path, { method: "OPTIONS", headers: { ...from(origin), "access-control-request-method": "PUT" } })
      const named = yield* preflight("/_realms", studio)
      assert.strictEqual(named.status, 204)
      assert.strictEqual(named.headers["access-control-allow-origin"], studio)
      assert.match(String(named.headers["access-control-allow-headers"]), /authorization/)
      for (const path of ["/public/a", "/private/a", "/none/a"]) {
        const other = yield* preflight(path, evil)
        assert.strictEqual(other.status, 204, path)
        assert.strictEqual(other.headers["access-control-allow-methods"], "GET, HEAD")
        assert.notMatch(String(other.headers["access-control-allow-headers"]), /authorization/)
      }
      assert.isUndefined((yield* preflight("/_realms", evil)).headers["access-control-allow-origin"])
    }).pipe(Effect.scoped)
)

it.live(
  "without a token only names that are surely this machine's may do more than read what is public",
  () =>
    Effect.gen(function*() {
      const server = yield* securedServer({ access: {} })
      yield* server.realm("dev", { "a.ts": "export const a = 1\n" }, { isPrivate: true })
      yield* server.realm("open", { "a.ts": "export const a = 1\n" })
      const status = (host: string, path: string, method = "GET") =>
        Effect.map(
          server.ask(path, { method, headers: { host, "sec-fetch-site": "same-origin" } }),
          (answer) => answer.status
        )
      for (const host of ["realms.test", "localhost:4201", "127.0.0.1", "10.0.0.1:80", "[::1]:4201", "app.localhost"]) {
        assert.strictEqual(yield* status(host, "/dev/a.ts"), 200, host)
      }
      for (const host of ["rebound.test", "localhost.evil.test", "127.0.0.1.evil.test", "realms.test.evil.test"]) {
        assert.strictEqual(yield* status(host, "/open/a.ts"), 200, host)
        assert.strictEqual(yield* status(host, "/dev/a.ts"), 404, host)
        assert.strictEqual(yield* status(host, "/dev"), 404, host)
        assert.strictEqual(yield* status(host, "/open/a.ts", "DELETE"), 421, host)
        assert.strictEqual(yield* status(host, "/_realms"), 421, host)
        assert.strictEqual(yield* status(host, "/_delete-realm", "POST"), 421, host)
      }
      assert.strictEqual(yield* status("probe.test", "/_health"), 200)
      yield* server.post("/_publish-realm", {
        sourceRealmURL: `${publicUrl}dev/`,
        publishedRealmURL: "http://own.test/"
      })
      assert.strictEqual(yield* status("own.test", "/a"), 200)
    }).pipe(Effect.scoped)
)
