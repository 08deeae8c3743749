import { assert, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, type Layer } from "effect"
import type { RealmWriteLock } from "../../src/coordination/RealmWriteLock.ts"
import { timedAwake } from "../support/awake.ts"
import { freshRealm } from "./freshRealm.ts"

/** The write locks of two replicas. */
export class TwoWriteLocks extends Context.Service<TwoWriteLocks, {
  readonly here: RealmWriteLock["Service"]
  readonly there: RealmWriteLock["Service"]
}>()("lockstep/test/contract/TwoWriteLocks") {}

/** What every RealmWriteLock promises to the replicas that share it. */
export const realmWriteLock = <E>(name: string, two: Layer.Layer<TwoWriteLocks, E>) =>
  layer(two, { excludeTestServices: true })(`RealmWriteLock on ${name}`, (it) => {
    for (const where of ["here", "there"] as const) {
      it.effect(`writers of one realm take turns: one here and one ${where}`, () =>
        Effect.gen(function*() {
          const locks = yield* TwoWriteLocks
          const realmUrl = freshRealm()
          const log: Array<string> = []
          const held = yield* Deferred.make<void>()
          const end = yield* Deferred.make<void>()
          const first = yield* Effect.forkChild(
            locks.here.withLock(realmUrl)(Effect.gen(function*() {
              log.push("first in")
              yield* Deferred.succeed(held, undefined)
              yield* Deferred.await(end)
              log.push("first out")
            }))
          )
          yield* Deferred.await(held)
          const second = yield* Effect.forkChild(
            locks[where].withLock(realmUrl)(Effect.sync(() => log.push("second in"))),
            { startImmediately: true }
          )
          // Another realm goes ahead meanwhile, which also gives the second writer every chance to be wrong.
          yield* locks[where].withLock(freshRealm())(Effect.sync(() => log.push("other realm")))
          yield* Effect.sleep("20 millis")
          yield* Deferred.succeed(end, undefined)
          yield* Fiber.join(first)
          yield* Fiber.join(second)
          assert.deepStrictEqual(log, ["first in", "other realm", "first out", "second in"])
        }))

      it.effect(`a failure, a defect and an interruption each free the realm for a writer ${where}`, () =>
        Effect.gen(function*() {
          const locks = yield* TwoWriteLocks
          const realmUrl = freshRealm()
          // At once: not when the session that held the lock happens to be closed.
          const next = <A>(value: A) =>
            Effect.map(timedAwake(locks[where].withLock(realmUrl)(Effect.succeed(value))), ([took, answer]) => {
              assert.isBelow(took, 5_000)
              return answer
            })
          assert.strictEqual(yield* Effect.flip(locks.here.withLock(realmUrl)(Effect.fail("no"))), "no")
          assert.strictEqual(yield* next(1), 1)
          assert.isTrue(Exit.isFailure(yield* Effect.exit(locks.here.withLock(realmUrl)(Effect.die("bug")))))
          assert.strictEqual(yield* next(2), 2)
          const held = yield* Deferred.make<void>()
          const stuck = yield* Effect.forkChild(
            locks.here.withLock(realmUrl)(Effect.andThen(Deferred.succeed(held, undefined), Effect.never))
          )
          yield* Deferred.await(held)
          yield* Fiber.interrupt(stuck)
          assert.strictEqual(yield* next(3), 3)
        }))

      it.effect(`a writer ${where} that gives up while it waits leaves the realm to the next`, () =>
        Effect.gen(function*() {
          const locks = yield* TwoWriteLocks
          const realmUrl = freshRealm()
          const held = yield* Deferred.make<void>()
          const end = yield* Deferred.make<void>()
          const first = yield* Effect.forkChild(
            locks.here.withLock(realmUrl)(Effect.andThen(Deferred.succeed(held, undefined), Deferred.await(end)))
          )
          yield* Deferred.await(held)
          const impatient = yield* Effect.forkChild(
            locks[where].withLock(realmUrl)(Effect.die("ran without the lock")),
            {
              startImmediately: true
            }
          )
          yield* Effect.sleep("20 millis")
          yield* Fiber.interrupt(impatient)
          yield* Deferred.succeed(end, undefined)
          yield* Fiber.join(first)
          assert.strictEqual(yield* locks[where].withLock(realmUrl)(Effect.succeed("next")), "next")
        }))
    }

    it.effect("two realms are held together, and neither can be had by another meanwhile", () =>
      Effect.gen(function*() {
        const { here, there } = yield* TwoWriteLocks
        const [one, two] = [freshRealm(), freshRealm()]
        const log: Array<string> = []
        const held = yield* Deferred.make<void>()
        const end = yield* Deferred.make<void>()
        const both = yield* Effect.forkChild(
          here.withLock(one, two)(Effect.gen(function*() {
            yield* Deferred.succeed(held, undefined)
            yield* Deferred.await(end)
            log.push("both out")
          }))
        )
        yield* Deferred.await(held)
        const others = yield* Effect.forEach(
          [one, two],
          (realmUrl) => Effect.forkChild(there.withLock(realmUrl)(Effect.sync(() => log.push("in"))))
        )
        yield* Effect.sleep("20 millis")
        yield* Deferred.succeed(end, undefined)
        yield* Fiber.join(both)
        yield* Fiber.joinAll(others)
        assert.deepStrictEqual(log, ["both out", "in", "in"])
      }))

    it.effect(
      "writers that name two realms in opposite orders do not block each other for ever",
      () =>
        Effect.gen(function*() {
          const { here, there } = yield* TwoWriteLocks
          const [one, two] = [freshRealm(), freshRealm()]
          yield* Effect.forEach(
            Array.from({ length: 20 }, (_, index) => index),
            (index) =>
              (index % 2 === 0 ? here : there).withLock(
                ...(index % 3 === 0 ? [one, two] as const : [two, one] as const)
              )(
                Effect.sleep("1 millis")
              ),
            { concurrency: "unbounded" }
          )
        })
    )

    it.effect("many writers of one realm on both replicas never overlap", () =>
      Effect.gen(function*() {
        const { here, there } = yield* TwoWriteLocks
        const realmUrl = freshRealm()
        let running = 0
        let most = 0
        yield* Effect.forEach(
          Array.from({ length: 20 }, (_, index) => index % 2 === 0 ? here : there),
          (lock) =>
            lock.withLock(realmUrl)(Effect.gen(function*() {
              most = Math.max(most, ++running)
              yield* Effect.sleep("1 millis")
              running--
            })),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(most, 1)
      }))
  })
