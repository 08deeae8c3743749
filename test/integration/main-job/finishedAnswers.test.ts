import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Fleet } from "../../support/fleet.ts"
import { expectStatus, generationOf } from "./expectations.ts"
import { versioned, versionOf } from "./sources.ts"

layer(Fleet.layer({ replicas: 1 }), { excludeTestServices: true, timeout: "60 seconds" })("finished answers", (it) => {
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
        for (const headers of [{}, { "accept-encoding": "br" }, { accept: "text/javascript" }]) {
          const path = `${target.path("a")}?v=${Object.keys(headers).join("")}`
          const first = yield* ask(path, { headers })
          const second = yield* ask(path, { headers })
          assert.deepStrictEqual([first.finished, second.finished], [0, 1], path)
          assert.strictEqual(expectStatus(second.answer, 200).headers["x-lockstep-cache"], "l1")
          assert.strictEqual(generationOf(second.answer), generation)
          assert.strictEqual(second.answer.headers["etag"], first.answer.headers["etag"])
          assert.strictEqual(second.answer.headers["content-length"], first.answer.headers["content-length"])
          const etag = String(second.answer.headers["etag"])
          const known = yield* ask(path, { headers: { ...headers, "if-none-match": etag } })
          assert.deepStrictEqual([known.answer.status, known.finished], [304, 1])
          const head = yield* ask(path, { headers, method: "HEAD" })
          assert.deepStrictEqual([head.answer.status, head.finished, head.answer.text], [200, 1, ""])
        }
        yield* ask(target.path("a.ts"))
        const module = yield* ask(target.path("a.ts"))
        assert.deepStrictEqual([module.finished, versionOf(module.answer.text)], [1, version])
        yield* ask(target.path("notes.txt"))
        const notes = yield* ask(target.path("notes.txt"))
        assert.deepStrictEqual([notes.finished, notes.answer.text], [1, String(version)])
      }
    }))

  it.effect("what may change from one request to the next is never finished", () =>
    Effect.gen(function*() {
      const { ask, publish, realm, unused } = yield* setUp
      const source = yield* realm({ "a.ts": versioned(1), "broken.ts": "const const" })
      const target = unused()
      const { generation } = expectStatus(yield* publish(source, target), 202).json
      const token = { headers: { "x-lockstep-min-generation": String(generation) } }
      for (let round = 0; round < 2; round++) {
        assert.strictEqual((yield* ask(source.path("a.ts"))).finished, 0)
        assert.strictEqual((yield* ask(target.path("broken.ts"))).finished, 0)
        assert.strictEqual((yield* ask(target.path("nowhere"))).finished, 0)
        assert.strictEqual((yield* ask(target.path(""))).finished, 0)
        const certain = yield* ask(target.path("a.ts"), token)
        assert.deepStrictEqual([certain.answer.status, certain.finished], [200, 0])
      }
    }))
})
