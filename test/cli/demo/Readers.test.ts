import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Queue } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { versionOf } from "../../../src/cli/demo/module.ts"
import { startReaders } from "../../../src/cli/demo/Readers.ts"

/** A replica whose every answer the test gives, to one reader that waits for it. */
const scripted = Effect.gen(function*() {
  const questions = yield* Queue.unbounded<(answer: { readonly status: number; readonly body: string }) => void>()
  const client = HttpClient.make((request) =>
    Effect.gen(function*() {
      const reply = yield* Deferred.make<{ readonly status: number; readonly body: string }>()
      yield* Queue.offer(questions, (answer) => Deferred.doneUnsafe(reply, Effect.succeed(answer)))
      const { body, status } = yield* Deferred.await(reply)
      return HttpClientResponse.fromWeb(request, new Response(body, { status, headers: { "x-lockstep-replica": "a" } }))
    })
  )
  const readers = yield* Effect.provideService(startReaders(["http://a/x"], 1, 1), HttpClient.HttpClient, client)
  /** The next question, asked after whatever was answered before. */
  const next = Queue.take(questions)
  return { next, readers }
})

const serve = (version: number) => ({ status: 200, body: `export const version = ${version};` })

describe("the demo's readers", () => {
  it.effect("count an answer as stale that began after a publish returned and is older than it", () =>
    Effect.scoped(Effect.gen(function*() {
      const { next, readers } = yield* scripted
      const first = yield* next
      first(serve(1))
      const during = yield* next
      readers.promise(2)
      during(serve(1))
      const after = yield* next
      after(serve(1))
      const good = yield* next
      good(serve(2))
      yield* next
      const { answers, during: either, failed, stale } = readers.tally
      assert.deepStrictEqual({ answers, either, failed, stale }, { answers: 4, either: 1, failed: 0, stale: 1 })
    })))

  it.effect("count whatever is no version of the module as failed", () =>
    Effect.scoped(Effect.gen(function*() {
      const { next, readers } = yield* scripted
      const broken = yield* next
      broken({ status: 503, body: "" })
      const other = yield* next
      other({ status: 200, body: "export {}" })
      yield* next
      assert.deepStrictEqual([readers.tally.failed, readers.tally.stale, readers.tally.answers], [2, 0, 2])
      assert.strictEqual(readers.tally.byReplica.get("a"), 2)
    })))

  it("know a version from its transpiled module", () => {
    assert.strictEqual(versionOf("export const version = 12;"), 12)
    assert.isUndefined(versionOf("export const greeting = 1;"))
  })
})
