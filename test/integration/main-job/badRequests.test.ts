import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { Fleet, placeOf, post } from "../../support/fleet.ts"
import { expectProblem, expectStatus, generationOf } from "./expectations.ts"
import { versioned } from "./sources.ts"

const json = { "content-type": "application/json" }

layer(Fleet.layer(), { excludeTestServices: true })(
  "requests that ask for the wrong thing",
  (it) => {
    it.effect("a syntax error is 422 with its place, is stored nowhere, and is gone when it is mended", () =>
      Effect.gen(function*() {
        const { all, first, realm, sql } = yield* Fleet
        const source = yield* realm({ "broken.ts": "export const fine = 1\nexport const broken: = 2\n" })
        for (const replica of [...all, ...all]) {
          const problem = expectProblem(yield* replica.ask(source.path("broken.ts")), 422)
          assert.strictEqual(problem["path"], "broken.ts")
          assert.strictEqual(problem["line"], 2)
          assert.isNumber(problem["column"])
          assert.include(String(problem["codeFrame"]), "export const broken: = 2")
          assert.notInclude(String(problem["codeFrame"]), "\u001b[")
          assert.notInclude(JSON.stringify(problem), "/work")
        }
        const rows = yield* sql("SELECT 1 FROM module_transpile_cache WHERE realm_url = $1 AND body IS NOT NULL", [
          source.url
        ])
        assert.deepStrictEqual(rows, [])
        expectStatus(yield* first.ask(`${source.path("broken.ts")}?source`), 200)
        yield* first.ask(source.path("broken.ts"), { method: "PUT", body: versioned(2) })
        for (const replica of all) assert.include((yield* replica.ask(source.path("broken"))).text, "version = 2")
      }))

    it.effect("binary bytes in a .ts are 422 as JavaScript, and served as they are as source", () =>
      Effect.gen(function*() {
        const { all, realm } = yield* Fleet
        const bytes = Uint8Array.from({ length: 5000 }, (_, n) => (n * 7919) % 256)
        const source = yield* realm({ "binary.ts": bytes })
        for (const replica of all) {
          expectProblem(yield* replica.ask(source.path("binary.ts")), 422)
          const raw = expectStatus(yield* replica.ask(`${source.path("binary.ts")}?source`), 200)
          assert.isTrue(raw.body.equals(Buffer.from(bytes)))
        }
      }))

    it.effect("realms with spaces and letters of any script in their names work like all others", () =>
      Effect.gen(function*() {
        const { all, first, publicUrl, publish, realm, unused } = yield* Fleet
        for (
          const name of ["with space", "Ünïcödé", "日本語 realm", "émoji \u{1F600}", "a+b&c=d", "per%cent", "#hash?"]
        ) {
          const source = yield* realm({ "päth with space.ts": versioned(7) }, name)
          const path = source.path(encodeURIComponent("päth with space.ts"))
          for (const replica of all) {
            const answer = expectStatus(yield* replica.ask(path), 200)
            assert.include(answer.text, "version = 7")
            assert.match(String(answer.headers["x-lockstep-canonical-path"]), /^p.*th.*space\.ts$/)
          }
          const lower = path.replaceAll(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase())
          expectStatus(yield* first.ask(lower), 200)
          const target = unused()
          expectStatus(yield* publish(source, target), 202)
          expectStatus(yield* first.ask(target.path(encodeURIComponent("päth with space"))), 200)
          const named = placeOf(publicUrl, `${encodeURIComponent(name)}-published`)
          expectStatus(yield* publish(source, named), 202)
          expectStatus(yield* first.ask(named.path(encodeURIComponent("päth with space"))), 200)
        }
      }))

    it.effect.each([
      "",
      ".",
      "..",
      "a/b",
      "../up",
      "back\\slash",
      "nul\0",
      "line\nbreak",
      ".hidden",
      "_reserved",
      "version@3",
      "n".repeat(200),
      " padded "
    ])("%j is no name for a realm", (name) =>
      Effect.gen(function*() {
        const { first } = yield* Fleet
        expectProblem(yield* post(first, "/_create-realm", { name }), 400)
      }))

    it.effect("creating a realm that exists is 409; creating one from a place that does not creates nothing", () =>
      Effect.gen(function*() {
        const { first, realm, realmsDir, second } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        expectProblem(yield* post(second, "/_create-realm", { name: source.name }), 409)
        const failed = yield* post(first, "/_create-realm", { name: "from-nowhere", from: "/no/such/directory" })
        assert.isAtLeast(failed.status, 400)
        assert.notStrictEqual(failed.status, 500, failed.shown)
        expectProblem(failed, failed.status)
        expectProblem(yield* first.ask("/from-nowhere/"), 404)
        assert.notInclude(yield* Effect.promise(() => Fs.readdir(realmsDir)), "from-nowhere")
      }))

    it.effect("publishing onto a source realm is 409 and changes nothing", () =>
      Effect.gen(function*() {
        const { first, publish, realm } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        const other = yield* realm({ "person.ts": versioned(2) })
        const before = generationOf(yield* first.ask(other.path("person.ts")))
        expectProblem(yield* publish(source, other), 409)
        const itself = yield* publish(source, source)
        assert.include([400, 409], itself.status, itself.shown)
        expectProblem(itself, itself.status)
        const answer = yield* first.ask(other.path("person.ts"), { method: "GET" })
        assert.include(answer.text, "version = 2")
        assert.strictEqual(generationOf(answer), before)
        expectStatus(yield* first.ask(other.path("person.ts"), { method: "PUT", body: versioned(3) }), 200)
      }))

    it.effect("publishing what is no source realm is refused: unknown 404, published 409, both without a trace", () =>
      Effect.gen(function*() {
        const { first, publish, realm, unused } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        const published = unused()
        expectStatus(yield* publish(source, published), 202)
        const target = unused()
        expectProblem(yield* publish(unused(), target), 404)
        expectProblem(yield* publish(published, target), 409)
        expectProblem(yield* first.ask(target.path("person.ts")), 404)
        const { realms } = (yield* first.ask("/_realms")).json
        assert.notInclude(JSON.stringify(realms), target.url)
      }))

    it.effect("a realm cannot be published inside another, or around one", () =>
      Effect.gen(function*() {
        const { first, publicUrl, publish, realm } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        expectProblem(yield* publish(source, placeOf(source.url, "inside")), 409)
        expectProblem(yield* publish(source, { url: publicUrl, path: (file) => `/${file}` }), 409)
        expectStatus(yield* first.ask(source.path("person.ts")), 200)
      }))

    it.effect("URLs that are none, or not in a realm's form, are 400", () =>
      Effect.gen(function*() {
        const { first, publicUrl, realm } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        const bad = [
          "",
          "nonsense",
          "/relative/",
          "ftp://realms.test/x/",
          "javascript:alert(1)",
          `${publicUrl}no-slash`,
          `${publicUrl}a/?query`,
          `${publicUrl}a/#hash`,
          `${publicUrl}a/../b/`,
          `${publicUrl}%2e%2e/b/`,
          `${publicUrl}a%2fb/`,
          `${publicUrl}a%00/`,
          `${publicUrl}_status/`,
          "http://user:password@realms.test/x/",
          `${publicUrl}${"n".repeat(5000)}/`
        ]
        for (const url of bad) {
          expectProblem(
            yield* post(first, "/_publish-realm", { sourceRealmURL: source.url, publishedRealmURL: url }),
            400
          )
          expectProblem(yield* post(first, "/_delete-realm", { realmURL: url }), 400)
        }
        expectStatus(yield* first.ask(source.path("person.ts")), 200)
      }))

    it.effect("wrong JSON is 400 and says what is missing, at every endpoint that takes some", () =>
      Effect.gen(function*() {
        const { first } = yield* Fleet
        const endpoints = [
          "/_create-realm",
          "/_publish-realm",
          "/_unpublish-realm",
          "/_delete-realm",
          "/_invalidate",
          "/_reindex"
        ]
        const bodies = [
          "",
          "{",
          "[]",
          "null",
          "42",
          "\"text\"",
          "{}",
          "{\"realmURL\":1,\"name\":2}",
          "\u0000",
          "{\"a\":}"
        ]
        for (const path of endpoints) {
          for (const body of bodies) {
            expectProblem(yield* first.ask(path, { method: "POST", headers: json, body }), 400)
          }
          const untyped = yield* first.ask(path, {
            method: "POST",
            headers: { "content-type": "text/plain" },
            body: "{}"
          })
          assert.include([400, 415], untyped.status, untyped.shown)
          expectProblem(untyped, untyped.status)
        }
      }))

    it.effect("a method that does not apply is 405 and names those that do", () =>
      Effect.gen(function*() {
        const { first, publish, realm, unused } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        const target = unused()
        expectStatus(yield* publish(source, target), 202)
        const cases = [
          ["POST", source.path("person.ts"), /GET.*HEAD.*PUT.*DELETE/],
          ["PATCH", source.path("person.ts"), /GET.*HEAD.*PUT.*DELETE/],
          ["PUT", target.path("person.ts"), /GET.*HEAD/],
          ["DELETE", target.path("person.ts"), /GET.*HEAD/],
          ["POST", target.path("person.ts"), /GET.*HEAD/],
          ["GET", "/_publish-realm", /POST/],
          ["DELETE", "/_create-realm", /POST/],
          ["POST", "/_status", /GET/],
          ["PUT", "/_realms", /GET/],
          ["DELETE", "/_health", /GET/]
        ] as const
        for (const [method, path, allow] of cases) {
          const answer = yield* first.ask(path, { method, ...method === "GET" ? {} : { body: "export {}" } })
          expectProblem(answer, 405)
          assert.match(String(answer.headers.allow), allow, answer.shown)
        }
        assert.include((yield* first.ask(target.path("person.ts"))).text, "version = 1")
      }))

    it.effect("a body of more than 16 MiB is 413, declared or not, and one of 16 MiB is stored", () =>
      Effect.gen(function*() {
        const { first, realm } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        const mebibyte = 1024 * 1024
        const path = source.path("big.bin")
        expectProblem(yield* first.ask(path, { method: "PUT", body: new Uint8Array(17 * mebibyte) }), 413)
        expectProblem(
          yield* first.ask(path, {
            method: "PUT",
            body: new Uint8Array(17 * mebibyte),
            headers: { "transfer-encoding": "chunked" }
          }),
          413
        )
        expectProblem(yield* first.ask(path), 404)
        expectStatus(yield* first.ask(path, { method: "PUT", body: new Uint8Array(16 * mebibyte) }), 201)
        assert.strictEqual(expectStatus(yield* first.ask(path), 200).body.length, 16 * mebibyte)
        const huge = { name: "x".repeat(17 * mebibyte) }
        const answer = yield* post(first, "/_create-realm", huge)
        assert.include([400, 413], answer.status, answer.shown)
      }))

    it.effect("x-lockstep-min-generation that is no number is 400, one that does not exist 409", () =>
      Effect.gen(function*() {
        const { all, realm } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        for (const replica of all) {
          const ask = (value: string) =>
            replica.ask(source.path("person.ts"), { headers: { "x-lockstep-min-generation": value } })
          for (const value of ["abc", "-1", "1.5", "1e3", "0x10", " ", "9".repeat(65), "1,2"]) {
            expectProblem(yield* ask(value), 400)
          }
          const now = generationOf(expectStatus(yield* ask("0"), 200))
          expectStatus(yield* ask(String(now)), 200)
          expectProblem(yield* ask(String(now + 1)), 409)
          for (const value of ["9007199254740991", "9".repeat(40)]) expectProblem(yield* ask(value), 409)
        }
      }))

    it.effect("reserved paths are not written, and unknown ones of them are 404", () =>
      Effect.gen(function*() {
        const { first, realm } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        for (const path of ["_private.ts", "_readiness-check", "_dir/a.ts", "@12/a.ts"]) {
          const put = yield* first.ask(source.path(path), { method: "PUT", body: "export {}" })
          assert.include([400, 405], put.status, put.shown)
          expectProblem(put, put.status)
        }
        expectProblem(yield* first.ask(source.path("_no-such-thing")), 404)
        expectProblem(yield* first.ask("/_no-such-thing"), 404)
        assert.deepStrictEqual(yield* Effect.promise(() => Fs.readdir(Path.join(source.directory))), ["person.ts"])
      }))

    it.effect("unknown realms and files are 404 for every method", () =>
      Effect.gen(function*() {
        const { all, realm } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        for (const replica of all) {
          for (
            const path of ["/", "/nobody/", "/nobody/person.ts", source.path("nobody.ts"), source.path("no/body.png")]
          ) {
            expectProblem(yield* replica.ask(path), 404)
          }
          expectProblem(yield* replica.ask("/nobody/a.ts", { method: "PUT", body: "x" }), 404)
          expectProblem(yield* replica.ask("/nobody/a.ts", { method: "DELETE" }), 404)
          expectProblem(yield* replica.ask(source.path("nobody.ts"), { method: "DELETE" }), 404)
          expectProblem(yield* post(replica, "/_unpublish-realm", { publishedRealmURL: `${source.url}x/` }), 404)
          expectProblem(yield* post(replica, "/_unpublish-realm", { publishedRealmURL: source.url }), 409)
          expectProblem(yield* post(replica, "/_delete-realm", { realmURL: `${source.url}x/` }), 404)
          expectProblem(yield* post(replica, "/_invalidate", { realmURL: `${source.url}x/` }), 404)
          expectProblem(yield* post(replica, "/_reindex", { realmURL: `${source.url}x/` }), 404)
        }
      }))
  }
)
