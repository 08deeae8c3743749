import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { resolve } from "node:path"
import { runCommand } from "./runCommand.ts"
import { stubServer } from "./stubServer.ts"

const published = {
  realmURL: "http://pub.example/live/",
  generation: 7,
  status: "pending",
  lastPublishedAt: "2026-11-21T00:00:00.000Z",
  replicas: { live: 2, acked: 2 }
}

describe("commands that talk to a server", () => {
  it.live("publish sends both URLs and tells the generation", () =>
    Effect.scoped(Effect.gen(function*() {
      const { received, url } = yield* stubServer(() => ({ status: 202, body: published }))
      const args = ["publish", "http://a/draft/", "http://pub.example/live/", "--server", url]
      const { exitCode, stderr, stdout } = yield* runCommand(args)
      assert.deepStrictEqual([exitCode, stderr], [0, ""])
      assert.strictEqual(stdout, "published http://pub.example/live/ at generation 7 (on all 2 replicas)")
      assert.lengthOf(received, 1)
      assert.strictEqual(received[0]?.method, "POST")
      assert.strictEqual(received[0]?.path, "/_publish-realm")
      assert.deepStrictEqual(JSON.parse(received[0]?.body ?? ""), {
        sourceRealmURL: "http://a/draft/",
        publishedRealmURL: "http://pub.example/live/"
      })
    })))

  it.live("publish --wait asks for the realm by its host until it is ready", () =>
    Effect.scoped(Effect.gen(function*() {
      let left = 2
      const { received, url } = yield* stubServer(({ path }) => {
        if (path === "/_publish-realm") return { status: 202, body: published }
        if (left === 0) return { status: 200, body: { ready: true } }
        left -= 1
        return { status: 503, body: { ready: false, indexed: 0, total: 3 } }
      })
      const args = ["publish", "http://a/draft/", "http://pub.example/live/", "--wait", "--json"]
      const { exitCode, stdout } = yield* runCommand(args, { LOCKSTEP_SERVER: url })
      assert.strictEqual(exitCode, 0)
      assert.deepStrictEqual(JSON.parse(stdout), { ...published, status: "ready" })
      assert.deepStrictEqual(
        received.slice(1).map(({ host, path }) => `${host}${path}`),
        Array.from({ length: 3 }, () => "pub.example/live/_readiness-check")
      )
    })))

  for (
    const [what, name, answer, said] of [
      ["a module that is broken", [], {
        definitions: [],
        error: { detail: "Unexpected token", line: 2, column: 4 }
      }, "http://a/b/x.ts cannot be described: Unexpected token (line 2)"],
      ["an export that is at fault", ["A"], {
        definitions: [{ name: "A", error: { detail: "A inherits from itself", line: null, column: null } }],
        error: null
      }, "A of http://a/b/x.ts cannot be described: A inherits from itself"]
    ] as const
  ) {
    it.live(`definitions of ${what} fail on stderr, and with --json the answer is there as well`, () =>
      Effect.scoped(Effect.gen(function*() {
        const { url } = yield* stubServer(({ path }) => ({
          status: 200,
          body: path === "/_realms"
            ? { realms: [{ url: "http://a/b/", kind: "source", generation: 1 }] }
            : { module: "http://a/b/x.ts", canonicalPath: "x.ts", imports: [], dependencies: [], ...answer }
        }))
        const args = ["definitions", "http://a/b/x", ...name, "--server", url]
        assert.deepStrictEqual(yield* runCommand(args), { exitCode: 1, stdout: "", stderr: `error: ${said}` })
        const { exitCode, stdout } = yield* runCommand([...args, "--json"])
        assert.strictEqual(exitCode, 1)
        assert.deepInclude(JSON.parse(stdout), answer)
      })))
  }

  it.live("publish --wait gives up on a realm that is gone", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url } = yield* stubServer(({ path }) =>
        path === "/_publish-realm"
          ? { status: 202, body: published }
          : { status: 404, body: { title: "No such realm", detail: "it went" } }
      )
      const args = ["publish", "http://a/draft/", "http://pub.example/live/", "--wait", "--server", url]
      const { exitCode, stderr } = yield* runCommand(args)
      assert.deepStrictEqual([exitCode, stderr], [1, "error: No such realm: it went"])
    })))

  it.live("create sends a directory as the user sees it, absolute", () =>
    Effect.scoped(Effect.gen(function*() {
      const { received, url } = yield* stubServer(() => ({
        status: 201,
        body: { realmURL: "http://a/notes/", generation: 1 }
      }))
      const { stdout } = yield* runCommand(["create", "notes", "--from", "some/where", "--server", url])
      assert.strictEqual(stdout, "created http://a/notes/ (generation 1)")
      assert.deepStrictEqual(JSON.parse(received[0]?.body ?? ""), { name: "notes", from: resolve("some/where") })
    })))

  it.live("--json prints the answer as it came", () =>
    Effect.scoped(Effect.gen(function*() {
      const body = "{ \"realms\": [],  \"more\": 1 }"
      const { url } = yield* stubServer(() => ({ status: 200, body }))
      const { exitCode, stdout } = yield* runCommand(["realms", "--json", "--server", url])
      assert.deepStrictEqual([exitCode, stdout], [0, body])
    })))

  it.live("a problem is told in one line and fails the command", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url } = yield* stubServer(() => ({ status: 409, body: { title: "In the way", detail: "it exists" } }))
      for (const command of ["unpublish", "delete"]) {
        const { exitCode, stderr, stdout } = yield* runCommand([command, "http://a/b/", "--server", url])
        assert.deepStrictEqual([exitCode, stderr, stdout], [1, "error: In the way: it exists", ""])
      }
    })))

  it.live("an answer of something else is not taken for Lockstep's", () =>
    Effect.scoped(Effect.gen(function*() {
      const { url } = yield* stubServer(() => ({ status: 200, body: "<html>hello</html>" }))
      const { exitCode, stderr } = yield* runCommand(["realms", "--server", url])
      assert.deepStrictEqual([exitCode, stderr], [
        1,
        `error: what answers at ${url} is no Lockstep server of this version\n` +
        "hint: name a replica, or what stands in front of the replicas, with --server or LOCKSTEP_SERVER"
      ])
    })))

  it.live("a server that cannot be reached is named", () =>
    Effect.gen(function*() {
      // Nothing listens there, and nothing else of a machine's takes it meanwhile, as it may a port that was free.
      const url = "http://127.0.0.1:1"
      const { exitCode, stderr } = yield* runCommand(["status", "--server", url])
      assert.strictEqual(exitCode, 1)
      assert.include(stderr, `error: cannot reach a Lockstep server at ${url} (connect ECONNREFUSED`)
    }))
})
