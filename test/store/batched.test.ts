import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { batched } from "../../src/store/batched.ts"

/** Batches as they were asked, each answered when the test says so. */
const scripted = (options: { readonly lanes: number; readonly size: number }) => {
  const asked: Array<{ readonly questions: ReadonlyArray<number>; readonly answer: Deferred.Deferred<void, string> }> =
    []
  const ask = (questions: ReadonlyArray<number>) =>
    Effect.suspend(() => {
      const answer = Deferred.makeUnsafe<void, string>()
      asked.push({ questions, answer })
      return Effect.as(Deferred.await(answer), questions.map((question) => `answer ${question}`))
    })
  const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })
  return {
    asked: () => asked.map(({ questions }) => questions),
    answer: (index: number) =>
      Effect.andThen(Effect.suspend(() => Deferred.succeed(asked[index]?.answer ?? assert.fail(), undefined)), settle),
    fail: (index: number) =>
      Effect.andThen(Effect.suspend(() => Deferred.fail(asked[index]?.answer ?? assert.fail(), "broken")), settle),
    settle,
    make: batched({ ...options, ask })
  }
}

const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

it.effect("questions of one moment are one batch, later ones the next, and a lone one does not wait", () =>
  Effect.gen(function*() {
    const { answer, asked, make, settle } = scripted({ lanes: 2, size: 3 })
    const question = yield* make
    const first = yield* Effect.forEach([1, 2], (n) => fork(question(n)))
    yield* settle
    assert.deepStrictEqual(asked(), [[1, 2]])
    const alone = yield* fork(question(3))
    yield* settle
    assert.deepStrictEqual(asked(), [[1, 2], [3]])
    // Both lanes are busy: these wait, and come together up to the size.
    const later = yield* Effect.forEach([4, 5, 6, 7], (n) => fork(question(n)))
    yield* settle
    assert.strictEqual(asked().length, 2)
    yield* answer(1)
    assert.strictEqual(yield* Fiber.join(alone), "answer 3")
    assert.deepStrictEqual(asked().slice(2), [[4, 5, 6]])
    yield* answer(0)
    assert.deepStrictEqual(yield* Fiber.joinAll(first), ["answer 1", "answer 2"])
    yield* answer(2)
    yield* answer(3)
    assert.deepStrictEqual(yield* Fiber.joinAll(later), ["answer 4", "answer 5", "answer 6", "answer 7"])
    // All lanes are free again.
    const again = yield* fork(question(8))
    yield* settle
    yield* answer(4)
    assert.strictEqual(yield* Fiber.join(again), "answer 8")
  }))

it.effect("a batch that fails fails its own questions, and the lane goes on", () =>
  Effect.gen(function*() {
    const { answer, fail, make, settle } = scripted({ lanes: 1, size: 1 })
    const question = yield* make
    const [one, two] = [yield* fork(Effect.flip(question(1))), yield* fork(question(2))]
    yield* settle
    yield* fail(0)
    assert.strictEqual(yield* Fiber.join(one), "broken")
    yield* answer(1)
    assert.strictEqual(yield* Fiber.join(two), "answer 2")
  }))

it.effect("who leaves before its question is asked is not asked for, and takes no lane along", () =>
  Effect.gen(function*() {
    const { answer, asked, make, settle } = scripted({ lanes: 1, size: 1 })
    const question = yield* make
    const first = yield* fork(question(1))
    const gone = yield* fork(question(2))
    const last = yield* fork(question(3))
    yield* settle
    yield* Fiber.interrupt(gone)
    yield* Fiber.interrupt(first)
    yield* answer(0)
    yield* answer(1)
    assert.strictEqual(yield* Fiber.join(last), "answer 3")
    assert.deepStrictEqual(asked(), [[1], [3]])
  }))

it.effect("the end of the scope leaves nobody waiting, nor does a question after it", () =>
  Effect.gen(function*() {
    const { make, settle } = scripted({ lanes: 1, size: 1 })
    const scope = yield* Scope.make()
    const question = yield* Scope.provide(make, scope)
    const waiting = yield* Effect.forEach([1, 2], (n) => fork(Effect.exit(question(n))))
    yield* settle
    yield* Scope.close(scope, Exit.void)
    for (const fiber of waiting) assert.isTrue(Exit.hasInterrupts(yield* Fiber.join(fiber)))
    assert.isTrue(Exit.hasInterrupts(yield* Effect.exit(question(3))))
  }))
