import * as fs from "node:fs/promises"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { PgClient } from "@effect/sql-pg"
import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { temporaryDatabase } from "../../support/database.ts"
import { eventually } from "../../support/eventually.ts"
import { expectExecutions } from "../../support/executions.ts"
import { temporaryDirectory } from "../../support/fleet.ts"
import { expectStatus } from "../main-job/expectations.ts"
import { startExample } from "./program.ts"

it.live("a host's routes, table and pool have Lockstep's beside them", () =>
  Effect.scoped(Effect.gen(function*() {
    const url = yield* temporaryDatabase
    const versions = yield* temporaryDirectory("lockstep-embed-")
    const { ask, child, port } = yield* startExample("shop.ts", {
      DATABASE_URL: Redacted.value(url),
      VERSIONS_DIR: versions
    })
    assert.deepStrictEqual(expectStatus(yield* ask("/orders"), 200).json, { orders: ["tea", "biscuits"] })
    assert.include(expectStatus(yield* ask("/"), 200).text, "./modules/greetings/hello")

    const module = expectStatus(yield* ask("/modules/greetings/hello"), 200)
    assert.strictEqual(module.headers["content-type"], "text/javascript; charset=utf-8")
    assert.include(module.text, "export const hello = name =>")
    const status = expectStatus(yield* ask("/modules/_status"), 200).json
    assert.strictEqual(status["transpiles"], 1)
    const realms = expectStatus(yield* ask("/modules/_realms"), 200).json
    assert.deepInclude(realms["realms"], {
      url: `http://localhost:${port}/modules/greetings/`,
      kind: "source",
      generation: 1
    })
    expectStatus(yield* ask("/modules/_nothing"), 404)
    expectStatus(yield* ask("/modules/_docs"), 200)
    const published = yield* ask("/modules/_publish-realm", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        sourceRealmURL: `http://localhost:${port}/modules/greetings/`,
        publishedRealmURL: `http://localhost:${port}/modules/live/`
      })
    })
    expectStatus(published, 202)
    expectStatus(yield* ask("/modules/live/hello.ts"), 200)
    // What is not below /modules/ is the host's to answer.
    for (const path of ["/greetings/hello", "/_status", "/_openapi.json"]) {
      const other = yield* ask(path)
      assert.strictEqual(other.status, 404, path)
      assert.isUndefined(other.headers["x-lockstep-replica"])
    }

    // One pool for both: what both are connected by is no more than it, and the two sessions of Lockstep's own.
    const connections = yield* Effect.flatMap(SqlClient.SqlClient, (sql) =>
      sql<{ count: number }>`SELECT count(*)::int AS count FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()`).pipe(
        Effect.provide(PgClient.layer({ url, maxConnections: 1 }))
      )
    assert.isAtMost(connections[0]?.count ?? 0, 10 + 3)

    // The host's own shutdown ends it.
    const ended = new Promise<number | null>((resolve) =>
      child.once("close", resolve)
    )
    child.kill("SIGTERM")
    assert.isNotNull(yield* Effect.timeout(Effect.promise(() => ended), "90 seconds"))
  })))

it.live("hosts that have Lockstep below a path of theirs are a fleet whose members ask each other there", () =>
  Effect.scoped(Effect.gen(function*() {
    const environment = {
      DATABASE_URL: Redacted.value(yield* temporaryDatabase),
      VERSIONS_DIR: yield* temporaryDirectory("lockstep-embed-")
    }
    const one = yield* startExample("shop.ts", environment)
    const two = yield* startExample("shop.ts", environment)
    const members = yield* eventually(
      "both say something within a second",
      Effect.map(
        one.ask("/modules/_fleet"),
        (fleet) => expectStatus(fleet, 200).json["members"] as ReadonlyArray<{ replicaId: string; report: unknown }>
      ),
      (asked) => asked.length > 1 && asked.every(({ report }) => report !== null)
    )
    assert.deepStrictEqual(
      members.map(({ replicaId }) => replicaId).sort(),
      [`shop-${one.child.pid}`, `shop-${two.child.pid}`].sort()
    )
    for (const member of members) assert.isNotNull(member.report, JSON.stringify(member))
  })))

it.live("markdown is rendered once by two processes, and an edit through one is seen by the other at once", () =>
  Effect.scoped(Effect.gen(function*() {
    const url = yield* temporaryDatabase
    const home = yield* temporaryDirectory("lockstep-embed-")
    const notesDir = path.join(home, "notes")
    yield* Effect.promise(() =>
      fs.cp(fileURLToPath(new URL("../../../examples/embed/notes", import.meta.url)), notesDir, { recursive: true })
    )
    const environment = {
      DATABASE_URL: Redacted.value(url),
      PUBLIC_URL: "http://notes.test/",
      NOTES_DIR: notesDir,
      VERSIONS_DIR: path.join(home, "versions")
    }
    const start = startExample("markdown.ts", environment)
    const [one, two] = yield* Effect.all([start, start], { concurrency: 2 })
    const both = [one, two]
    const renderings = Effect.map(
      Effect.forEach(both, ({ ask }) => Effect.map(ask("/renderings"), ({ text }) => Number(text))),
      (counts) => counts.reduce((sum, count) => sum + count, 0)
    )
    const html = "<h1>Welcome</h1>\n<p>These notes are <strong>rendered once</strong> in the whole fleet.</p>\n"

    // Forty at once, half from each.
    const many = yield* Effect.forEach(
      Array.from({ length: 40 }, (_, n) => both[n % 2] ?? one),
      ({ ask }) => ask("/read/welcome"),
      { concurrency: "unbounded" }
    )
    for (const answer of many) assert.strictEqual(expectStatus(answer, 200).text, html)
    // Lockstep's own counters are beside the host's.
    const workers = both.map(({ ask, log }) => ({ log, status: Effect.map(ask("/_status"), ({ json }) => json) }))
    const begun = yield* renderings
    yield* expectExecutions(workers, begun, 1, "renderings of one note")
    assert.deepInclude(expectStatus(yield* one.ask("/read/welcome"), 200).headers, { "x-origin": "l1" })

    // I1: each edit through one process, read through the other as soon as it is answered.
    for (let n = 1; n <= 5; n++) {
      const [writer, reader] = n % 2 === 0 ? [one, two] : [two, one]
      const edited = yield* writer.ask("/notes/welcome.md?wait=all", { method: "PUT", body: `# Edition ${n}` })
      expectStatus(edited, 200)
      const { headers, text } = expectStatus(yield* reader.ask("/read/welcome"), 200)
      assert.strictEqual(text, `<h1>Edition ${n}</h1>\n`)
      assert.isAtLeast(Number(headers["x-generation"]), Number(edited.headers["x-lockstep-generation"]))
    }
    assert.strictEqual(yield* renderings, begun + 5)

    // Bytes that were rendered before are not rendered again; unless somebody says that what was made is wrong.
    expectStatus(yield* one.ask("/notes/welcome.md?wait=all", { method: "PUT", body: "# Edition 3" }), 200)
    for (const { ask } of both) assert.include(expectStatus(yield* ask("/read/welcome"), 200).text, "Edition 3")
    assert.strictEqual(yield* renderings, begun + 5)
    const voided = yield* two.ask("/_invalidate", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ realmURL: "http://notes.test/notes/", path: "welcome.md" })
    })
    expectStatus(voided, 200)
    expectStatus(yield* two.ask("/read/welcome"), 200)
    assert.strictEqual(yield* renderings, begun + 6)
    assert.strictEqual((yield* one.ask("/read/nothing")).status, 404)
  })))
