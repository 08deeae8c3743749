import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { eventually } from "../../support/eventually.ts"
import { Fleet } from "../../support/fleet.ts"
import { expectStatus, generationOf } from "./expectations.ts"
import { versioned, versionOf } from "./sources.ts"

// Without a lease nothing is finished.
const args = ["--workers", "1", "--lease", "30s"]

layer(Fleet.layer({ replicas: 1, args }), { excludeTestServices: true })("finished answers", (it) => {
  const setUp = Effect.gen(function*() {
    const fleet = yield* Fleet
    /** Asks, and says whether the answer was finished. */
    const ask = Effect.fnUntraced(function*(...args: Parameters<typeof fleet.first.ask>) {
      const before = (yield* fleet.first.status)["finishedHits"] ?? 0
      const answer = yield* fleet.first.ask(...args)
      return { answer, finished: ((yield* fleet.first.status)["finishedHits"] ?? 0) - before }
    })
    return { ...fleet, ask }
  })

  it.effect("the second of two that ask a published realm alike is answered before any routing, until the next publish", () =>
    Effect.gen(function*() {
      const { ask, publish, realm, unused } = yield* setUp
      const source = yield* realm({ "a.ts": versioned(1), "notes.txt": "one" })
      const target = unused()
      for (const version of [1, 2]) {
        yield* source.edit({ "a.ts": versioned(version), "notes.txt": String(version) })
        const { generation } = expectStatus(yield* publish(source, target), 202).json
        const path = target.path("a")
        for (const headers of [{}, { "accept-encoding": "br" }]) {
          const first = yield* ask(path, { headers })
          const second = yield* ask(path, { headers })
          assert.deepStrictEqual([first.finished, second.finished], [0, 1], path)
          assert.strictEqual(expectStatus(second.answer, 200).headers["x-lockstep-cache"], "l1")
          assert.strictEqual(generationOf(second.answer), generation)
          assert.deepStrictEqual(
            { ...second.answer.headers, "x-lockstep-cache": "", date: "" },
            { ...first.answer.headers, "x-lockstep-cache": "", date: "" }
          )
          const etag = String(second.answer.headers["etag"])
          const known = yield* ask(path, { headers: { ...headers, "if-none-match": etag } })
          assert.deepStrictEqual([known.answer.status, known.finished], [304, 1])
          const head = yield* ask(path, { headers, method: "HEAD" })
          assert.deepStrictEqual([head.answer.status, head.finished, head.answer.text], [200, 1, ""])
          const dated = yield* ask(`${path}?t=${version}`, { headers: { ...headers, accept: "text/javascript" } })
          assert.deepStrictEqual(
            [dated.finished, dated.answer.headers["etag"]],
            [1, etag],
            "a query, and what it accepts"
          )
        }
        // Read as the router reads it: by neither is one given in the place of the other.
        for (const query of ["??source", "?source", "?%73ource="]) {
          assert.strictEqual((yield* ask(`${path}${query}`)).answer.text, versioned(version), query)
          assert.strictEqual((yield* ask(path)).answer.headers["content-type"], "text/javascript; charset=utf-8", query)
        }
        const text = yield* ask(`${path}?t=${version}&source`)
        assert.deepStrictEqual([text.finished, text.answer.text], [1, versioned(version)])
        yield* ask(target.path("a.ts"))
        const module = yield* ask(target.path("a.ts"))
        assert.deepStrictEqual([module.finished, versionOf(module.answer.text)], [1, version])
        yield* ask(target.path("notes.txt"))
        const notes = yield* ask(target.path("notes.txt"))
        assert.deepStrictEqual([notes.finished, notes.answer.text], [1, String(version)])
      }
    }))

  it.effect("a source realm's are answered likewise, with the bytes that lie on disk at that moment (rule 10)", () =>
    Effect.gen(function*() {
      const { ask, realm } = yield* setUp
      const source = yield* realm({
        "a.ts": versioned(0),
        "notes.txt": "0",
        "index.html": `<script src="./a.ts"></script>`
      })
      for (let version = 1; version <= 20; version++) {
        // Nobody tells the replica, and its watcher waits for a pause: the next request shows it.
        yield* source.edit({ "a.ts": versioned(version), "notes.txt": String(version) })
        const first = yield* ask(source.path("a"))
        const second = yield* ask(source.path("a"))
        assert.deepStrictEqual([versionOf(first.answer.text), versionOf(second.answer.text)], [version, version])
        yield* ask(source.path("notes.txt"))
        assert.strictEqual((yield* ask(source.path("notes.txt"))).answer.text, String(version))
      }
      // Once the watcher has said its last word, every hit is finished.
      const finished = (headers: Readonly<Record<string, string>>) =>
        Effect.map(
          eventually("it is finished", ask(source.path("a"), { headers }), (asked) => asked.finished === 1),
          ({ answer }) => answer
        )
      const known = yield* finished({})
      assert.strictEqual(versionOf(known.text), 20)
      assert.strictEqual((yield* finished({ "if-none-match": String(known.headers["etag"]) })).status, 304)
      // What its modules import may be edited without the page.
      for (let round = 0; round < 2; round++) assert.strictEqual((yield* ask(source.path("index.html"))).finished, 0)
      yield* Effect.promise(() => Fs.rm(Path.join(source.directory, "a.ts")))
      assert.strictEqual((yield* ask(source.path("a"))).answer.status, 404)
    }))

  it.effect("what may change from one request to the next is never finished", () =>
    Effect.gen(function*() {
      const { ask, publish, realm, unused } = yield* setUp
      const source = yield* realm({ "a.ts": versioned(1), "broken.ts": "const const" })
      const target = unused()
      const { generation } = expectStatus(yield* publish(source, target), 202).json
      const token = { headers: { "x-lockstep-min-generation": String(generation) } }
      for (let round = 0; round < 2; round++) {
        assert.strictEqual((yield* ask(target.path("broken.ts"))).finished, 0)
        assert.strictEqual((yield* ask(target.path("nowhere"))).finished, 0)
        assert.strictEqual((yield* ask(target.path(""))).finished, 0)
        const certain = yield* ask(target.path("a.ts"), token)
        assert.deepStrictEqual([certain.answer.status, certain.finished], [200, 0])
      }
    }))
})
