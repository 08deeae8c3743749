import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { Fleet, post } from "../../support/fleet.ts"
import { expectProblem, expectStatus, generationOf } from "../main-job/expectations.ts"
import { versioned, versionOf } from "../main-job/sources.ts"

layer(Fleet.layer(), { excludeTestServices: true })("what a write asks for", (it) => {
  it.effect("If-Match and If-None-Match are held to the bytes that a PUT or DELETE changes", () =>
    Effect.gen(function*() {
      const { first, realm, second } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1), "data.json": "{}" })
      const tagOf = (path: string, headers: Record<string, string> = {}) =>
        Effect.map(second.ask(source.path(path), { headers }), (answer) => String(answer.headers.etag))
      const write = (method: string, path: string, headers: Record<string, string>, version = 9) =>
        first.ask(source.path(path), { method, headers, ...(method === "PUT" && { body: versioned(version) }) })
      const old = yield* tagOf("a.ts?source")
      const js = yield* tagOf("a.ts")
      const before = generationOf(yield* first.ask(source.path("a.ts")))
      const refused: ReadonlyArray<readonly [string, string, Record<string, string>]> = [
        ["PUT", "a.ts", { "if-match": `"other"` }],
        ["PUT", "a.ts", { "if-match": `W/${old}` }],
        // Two sources may have one JavaScript.
        ["PUT", "a.ts", { "if-match": js }],
        ["PUT", "a.ts", { "if-none-match": "*" }],
        ["PUT", "a.ts", { "if-none-match": `"other", W/${old}` }],
        ["PUT", "missing.ts", { "if-match": "*" }],
        ["PUT", "missing.ts", { "if-match": old }],
        ["DELETE", "a.ts", { "if-match": `"zzz"` }],
        ["DELETE", "a.ts", { "if-none-match": "*" }]
      ]
      for (const [method, path, headers] of refused) {
        const answer = yield* write(method, path, headers)
        const problem = expectProblem(answer, 412)
        assert.strictEqual(problem["type"], "urn:lockstep:precondition-failed")
        assert.strictEqual(problem["etag"], path === "missing.ts" ? null : old)
        assert.strictEqual(answer.headers.etag, path === "missing.ts" ? undefined : old)
      }
      expectProblem(yield* write("DELETE", "missing.ts", { "if-match": "*" }), 404)
      assert.strictEqual(generationOf(yield* first.ask(source.path("a.ts"))), before)
      assert.strictEqual(versionOf((yield* first.ask(source.path("a.ts"))).text), 1)

      const second2 = expectStatus(yield* write("PUT", "a.ts", { "if-match": `"other", ${old}` }, 2), 200)
      assert.strictEqual(second2.headers.etag, yield* tagOf("a.ts?source"))
      expectProblem(yield* write("PUT", "a.ts", { "if-match": old }, 3), 412)
      // Fetched compressed, it names the same bytes.
      yield* write("PUT", "long.txt", {})
      yield* first.ask(source.path("long.txt"), { method: "PUT", body: "long ".repeat(1000) })
      const gzip = yield* tagOf("long.txt", { "accept-encoding": "gzip" })
      assert.match(gzip, /-gzip"$/)
      expectStatus(yield* write("PUT", "long.txt", { "if-match": gzip }), 200)
      expectStatus(yield* write("PUT", "new.ts", { "if-none-match": "*" }), 201)
      expectStatus(yield* write("PUT", "new.ts", { "if-match": "*" }), 200)
      // An edit on disk that nobody has noticed counts.
      const last = yield* tagOf("data.json")
      yield* source.edit({ "data.json": "{\"edited\":true}" })
      expectProblem(yield* write("DELETE", "data.json", { "if-match": last }), 412)
      expectStatus(yield* write("DELETE", "data.json", { "if-match": yield* tagOf("data.json") }), 200)
    }))

  it.effect("of many who would create a file, or replace the same one, on any replica, one does", () =>
    Effect.gen(function*() {
      const { all, first, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1) })
      const etag = String((yield* first.ask(source.path("a.ts?source"))).headers.etag)
      for (const [path, headers] of [["new.ts", { "if-none-match": "*" }], ["a.ts", { "if-match": etag }]] as const) {
        const answers = yield* Effect.forEach(
          Array.from({ length: 10 }, (_, index) => index),
          (index) => all[index % 2]!.ask(source.path(path), { method: "PUT", headers, body: versioned(100 + index) }),
          { concurrency: 10 }
        )
        const won = answers.filter(({ status }) => status < 300)
        assert.lengthOf(won, 1)
        assert.lengthOf(answers.filter(({ status }) => status === 412), 9)
        const winner = 100 + answers.indexOf(won[0]!)
        assert.strictEqual(versionOf((yield* first.ask(source.path(path))).text), winner)
      }
    }))

  it.effect("pages of other origins write nothing, by any method or content type; servers and own pages do", () =>
    Effect.gen(function*() {
      const { first, publicUrl, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1) })
      const host = new URL(first.url).host
      const body = JSON.stringify({ operations: [{ op: "add", path: "evil.ts", content: "1" }] })
      const evil = { origin: "http://evil.example" }
      for (
        const headers of [
          { ...evil, "sec-fetch-site": "cross-site", "content-type": "text/plain" },
          { ...evil, "content-type": "text/plain" },
          { ...evil, "sec-fetch-site": "same-site", "content-type": "application/json" },
          { "origin": "null", "content-type": "application/json" }
        ]
      ) {
        for (
          const [method, path] of [
            ["POST", source.path("_atomic")],
            ["PUT", source.path("evil.ts")],
            ["DELETE", source.path("a.ts")],
            ["DELETE", source.path("?all=true")],
            ["POST", "/_delete-realm"],
            ["POST", "/_create-realm"]
          ] as const
        ) {
          const problem = expectProblem(yield* first.ask(path, { method, headers, body }), 403)
          assert.strictEqual(problem["type"], "urn:lockstep:other-origin")
        }
        expectStatus(yield* first.ask(source.path("a.ts"), { headers }), 200)
      }
      expectStatus(yield* first.ask(source.path("evil.ts")), 404)
      const own = [
        {},
        { origin: `http://${host}` },
        { "origin": `http://${host}`, "sec-fetch-site": "same-origin" },
        { "sec-fetch-site": "none" },
        { host: new URL(publicUrl).host, origin: new URL(publicUrl).origin }
      ]
      for (const headers of own) {
        const answer = yield* first.ask(source.path("a.ts"), { method: "PUT", headers, body: versioned(2) })
        expectStatus(answer, 200)
      }
    }))

  it.effect("a batch that is not text is refused, and so is a remove with content", () =>
    Effect.gen(function*() {
      const { first, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1) })
      const send = (body: string | Uint8Array) => first.ask(source.path("_atomic"), { method: "POST", body })
      const latin = Buffer.from(
        JSON.stringify({ operations: [{ op: "add", path: "b.txt", content: "\u00ff" }] }),
        "latin1"
      )
      const bodies = [
        latin,
        String.raw`{"operations":[{"op":"add","path":"b.txt","content":"\ud800"}]}`,
        String.raw`{"operations":[{"op":"add","path":"b\udc00.txt","content":""}]}`,
        `{"operations":[{"op":"remove","path":"a.ts","content":"x"}]}`
      ]
      for (const body of bodies) expectProblem(yield* send(body), 400)
      assert.deepStrictEqual(yield* Effect.promise(() => Fs.readdir(source.directory)), ["a.ts"])
      const content = "é \u{1F600} \ufffd"
      expectStatus(yield* send(JSON.stringify({ operations: [{ op: "add", path: "b.txt", content }] })), 200)
      const written = yield* Effect.promise(() => Fs.readFile(Path.join(source.directory, "b.txt"), "utf8"))
      assert.strictEqual(written, content)
    }))

  it.effect("a realm's own endpoints name the methods that they take", () =>
    Effect.gen(function*() {
      const { first, realm } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1) })
      for (const path of ["_definitions", "_index", "_readiness-check"]) {
        for (const method of ["POST", "PUT", "DELETE"]) {
          const answer = yield* first.ask(source.path(path), { method, body: "{}" })
          expectProblem(answer, 405)
          assert.strictEqual(answer.headers.allow, "GET, HEAD")
        }
      }
      for (const method of ["GET", "PUT", "DELETE"]) {
        const answer = yield* first.ask(source.path("_atomic"), { method, ...(method === "PUT" && { body: "{}" }) })
        expectProblem(answer, 405)
        assert.strictEqual(answer.headers.allow, "POST")
      }
    }))

  it.effect("a directory whose last file is removed is gone, from disk and from listings", () =>
    Effect.gen(function*() {
      const { first, realm, second } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1), "x/y/b.ts": versioned(1), "x/c.ts": versioned(1) })
      expectStatus(yield* first.ask(source.path("x/y/b.ts"), { method: "DELETE" }), 200)
      const names = (path: string) =>
        Effect.map(
          second.ask(source.path(path)),
          (answer) =>
            (expectStatus(answer, 200).json["entries"] as ReadonlyArray<{ name: string }>).map(({ name }) => name)
        )
      assert.deepStrictEqual(yield* names("x/"), ["c.ts"])
      const operations = [{ op: "remove", path: "x/c.ts" }, { op: "remove", path: "a.ts" }]
      expectStatus(yield* post(first, source.path("_atomic"), { operations }), 200)
      assert.deepStrictEqual(yield* names(""), [])
      expectProblem(yield* second.ask(source.path("x/")), 404)
      expectStatus(yield* first.ask(source.path("x/y/b.ts"), { method: "PUT", body: versioned(2) }), 201)
    }))

  it.effect("a module or an entry is asked for by a path that its own URL could have", () =>
    Effect.gen(function*() {
      const { first, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": "export class Person {}", "sub/x.ts": "export {}" })
      const bad = ["/person", "//person", "sub//x", "%00", "../base/fields", "a/../person", "%ff", ".", "sub%5cx", ""]
      for (const path of bad) {
        for (const question of [`_definitions?module=${path}`, `_index?path=${path}`]) {
          expectProblem(yield* first.ask(source.path(question)), 400)
        }
      }
      for (const path of ["person", "./person", "person.ts", "%70erson"]) {
        const { module } = expectStatus(yield* first.ask(source.path(`_definitions?module=${path}`)), 200).json
        assert.strictEqual(module, `${source.url}person.ts`)
      }
      expectProblem(yield* first.ask(source.path("_definitions?module=person&name=")), 400)
      expectProblem(yield* first.ask(source.path("_definitions?module=.env")), 404)
    }))
})
