import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { Fleet, type SourceRealm, writeFiles } from "../../support/fleet.ts"
import { sendBytes } from "../../support/httpClient.ts"
import { expectProblem, expectStatus } from "./expectations.ts"
import { largeModule, versioned } from "./sources.ts"

const secret = "export const secret = \"outside of every realm\"\n"

/** A realm with links that leave it, beside files that must not be reached through it. */
const tempting = Effect.gen(function*() {
  const { realm, realmsDir } = yield* Fleet
  const outside = Path.dirname(realmsDir)
  yield* writeFiles(outside, { "secret.ts": secret, "private/secret.ts": secret })
  const source = yield* realm({ "person.ts": versioned(1), "inner/deep.ts": versioned(2), ".env": secret })
  yield* Effect.promise(async () => {
    const link = (target: string, name: string) => Fs.symlink(target, Path.join(source.directory, name))
    await link(Path.join(outside, "secret.ts"), "file.ts")
    await link("../../secret.ts", "relative.ts")
    await link(Path.join(outside, "private"), "directory")
    await link(outside, "parent")
    await link("/etc/passwd", "passwd.txt")
    await link("loop.ts", "loop.ts")
    await link("nowhere.ts", "dangling.ts")
    await link("inner/deep.ts", "inside.ts")
    await link("inner", "within")
    await Fs.mkdir(Path.join(source.directory, "x.ts"))
    await Fs.writeFile(Path.join(source.directory, "x.ts", "in.ts"), versioned(3))
  })
  return source
})

const traversals: ReadonlyArray<string> = [
  "../secret.ts",
  "../../secret.ts",
  "../other/../../secret.ts",
  "..",
  "../",
  "inner/../../../secret.ts",
  "./person.ts",
  "inner/./deep.ts",
  "%2e%2e/secret.ts",
  "%2E%2E/secret.ts",
  ".%2e/secret.ts",
  "%2e%2e%2fsecret.ts",
  "..%2fsecret.ts",
  "..%2f..%2fsecret.ts",
  "..%5csecret.ts",
  "..%5c..%5csecret.ts",
  "..\\secret.ts",
  "inner%2fdeep.ts",
  "inner//deep.ts",
  "/etc/passwd",
  "person.ts%00",
  "person.ts%00.txt",
  "%00",
  "person%0a.ts",
  "%c0%ae%c0%ae/secret.ts",
  "%ff%fe.ts",
  "%",
  "%zz.ts",
  `${"n".repeat(300)}.ts`
]

layer(Fleet.layer(), { excludeTestServices: true })("paths that no file has", (it) => {
  it.effect.each(traversals)(
    "%s is refused with 400 by each method, and says what is wrong",
    (path) =>
      Effect.gen(function*() {
        const { all, realm } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1), "inner/deep.ts": versioned(2) })
        for (const replica of all) {
          expectProblem(yield* replica.ask(source.path(path)), 400)
          expectProblem(yield* replica.ask(`${source.path(path)}?source`), 400)
          expectStatus(yield* replica.ask(source.path(path), { method: "HEAD" }), 400)
          expectProblem(yield* replica.ask(source.path(path), { method: "PUT", body: "export {}" }), 400)
          expectProblem(yield* replica.ask(source.path(path), { method: "DELETE" }), 400)
        }
      })
  )

  it.effect("before the realm's name, dot segments reach nothing either", () =>
    Effect.gen(function*() {
      const { first } = yield* Fleet
      for (const path of ["/../secret.ts", "/..", "/%2e%2e/secret.ts", "/..%2fsecret.ts", "//secret.ts", "/%00"]) {
        const answer = yield* first.ask(path)
        assert.include([400, 404], answer.status, answer.shown)
        expectProblem(answer, answer.status)
      }
    }))

  it.effect("links that leave the realm, lead nowhere or in circles are 404; links inside it are followed", () =>
    Effect.gen(function*() {
      const { all, first, publish, unused } = yield* Fleet
      const source: SourceRealm = yield* tempting
      const target = unused()
      expectStatus(yield* publish(source, target), 202)
      const leaving = [
        "file.ts",
        "file",
        "relative.ts",
        "directory",
        "directory/",
        "directory/secret.ts",
        "directory/secret",
        "parent/",
        "parent/secret.ts",
        "parent/private/secret.ts",
        "passwd.txt",
        "loop.ts",
        "loop",
        "dangling.ts"
      ]
      for (const place of [source, target]) {
        for (const replica of all) {
          for (const path of leaving) {
            const problem = expectProblem(yield* replica.ask(place.path(path)), 404)
            assert.notInclude(JSON.stringify(problem), "outside of every realm")
            expectProblem(yield* replica.ask(`${place.path(path)}?source`), 404)
          }
          assert.include(expectStatus(yield* replica.ask(place.path("inside.ts")), 200).text, "version = 2")
          assert.include(expectStatus(yield* replica.ask(place.path("within/deep")), 200).text, "version = 2")
        }
      }
      // A write through such a link would change what lies outside.
      const through = yield* first.ask(source.path("directory/secret.ts"), { method: "PUT", body: "changed" })
      assert.include([404, 409], through.status, through.shown)
      const removed = yield* first.ask(source.path("directory/secret.ts"), { method: "DELETE" })
      assert.include([404, 409], removed.status, removed.shown)
      const outside = yield* Effect.promise(() =>
        Fs.readFile(Path.join(source.directory, "directory/secret.ts"), "utf8")
      )
      assert.strictEqual(outside, secret)
    }))

  it.effect("files whose names begin with a dot are neither served nor listed nor written nor published", () =>
    Effect.gen(function*() {
      const { first, publish, unused } = yield* Fleet
      const source = yield* tempting
      yield* source.edit({ ".env": secret, ".git/config": secret, "inner/.hidden.ts": secret })
      const target = unused()
      expectStatus(yield* publish(source, target), 202)
      for (const place of [source, target]) {
        for (
          const path of [".env", ".env?source", "%2eenv", ".git/config", ".git/", "inner/.hidden.ts", "inner/.hidden"]
        ) {
          expectProblem(yield* first.ask(place.path(path)), 404)
        }
        for (const path of ["", ".git/", "inner/"]) {
          assert.notMatch((yield* first.ask(place.path(path))).text, /\.env|config"|hidden"/)
        }
      }
      expectProblem(yield* first.ask(source.path(".env"), { method: "PUT", body: "x" }), 400)
    }))

  it.effect("a directory named x.ts is listed, not transpiled, and its modules are served", () =>
    Effect.gen(function*() {
      const { all } = yield* Fleet
      const source = yield* tempting
      for (const replica of all) {
        const listing = expectStatus(yield* replica.ask(source.path("x.ts/")), 200)
        assert.match(listing.headers["content-type"] ?? "", /^application\/json/)
        assert.include(listing.text, "in.ts")
        const bare = yield* replica.ask(source.path("x.ts"))
        assert.match(expectStatus(bare, 200).headers["content-type"] ?? "", /^application\/json/)
        assert.include(expectStatus(yield* replica.ask(source.path("x.ts/in")), 200).text, "version = 3")
        expectProblem(yield* replica.ask(source.path("x")), 404)
        expectProblem(yield* replica.ask(source.path("x.ts"), { method: "PUT", body: "export {}" }), 409)
        expectProblem(yield* replica.ask(source.path("person.ts/below.ts"), { method: "PUT", body: "export {}" }), 409)
        expectProblem(yield* replica.ask(source.path("person.ts/below.ts")), 404)
      }
    }))

  it.effect("a path of ten kilobytes is refused, however it is made up", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const long = [
        "n".repeat(10_240),
        "a/".repeat(5120),
        "%61".repeat(3413),
        "../".repeat(3413),
        "%2e%2e%2f".repeat(1137)
      ]
      for (const replica of all) {
        for (const path of long) {
          for (const method of ["GET", "PUT", "DELETE"]) {
            const answer = yield* replica.ask(source.path(`${path}x.ts`), {
              method,
              ...method === "PUT" && { body: "x" }
            })
            assert.include([400, 414], answer.status, answer.shown)
            expectProblem(answer, answer.status)
          }
        }
      }
    }))

  it.effect("bytes that are no HTTP are refused, and the server goes on", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const requests = [
        `GET ${source.path("per\0son.ts")} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
        `GET ${source.path("a b.ts")} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
        "GET / HTTP/1.1\r\n: nameless\r\n\r\n",
        "\u0016\u0003\u0001\u0002\u0000\u0001\u0000",
        `GET /${"n".repeat(40_000)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
        `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${"n".repeat(40_000)}\r\nconnection: close\r\n\r\n`
      ]
      for (const replica of all) {
        for (const bytes of requests) assert.match(yield* sendBytes(replica.url, bytes), /^HTTP\/1\.1 4\d\d /)
        // What may go on a request line is refused by Lockstep itself, in its own words.
        for (const target of ["*", "person.ts", "../person.ts", "http://realms.test/../x"]) {
          const text = yield* sendBytes(replica.url, `GET ${target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
          assert.match(text, /^HTTP\/1\.1 4\d\d /, target)
        }
        expectStatus(yield* replica.ask(source.path("person.ts")), 200)
      }
    }))

  it.effect("a module of five megabytes is served, by both replicas alike", () =>
    Effect.gen(function*() {
      const { first, realm, second } = yield* Fleet
      const text = largeModule()
      assert.isAbove(text.length, 5_000_000)
      const source = yield* realm({ "large.ts": text })
      const one = expectStatus(yield* first.ask(source.path("large.ts")), 200)
      const other = expectStatus(yield* second.ask(source.path("large.ts")), 200)
      assert.isAbove(one.body.length, 4_900_000)
      assert.isTrue(one.body.equals(other.body))
      assert.strictEqual(one.headers.etag, other.headers.etag)
    }))
})
