import { assert, layer } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, type Layer, Option } from "effect"
import { randomUUID } from "node:crypto"
import type { PopulateCoordinator } from "../../src/coordination/PopulateCoordinator.ts"
import { inWork } from "./inWork.ts"

/** The coordinators of two replicas. */
export class TwoCoordinators extends Context.Service<TwoCoordinators, {
  readonly here: PopulateCoordinator["Service"]
  readonly there: PopulateCoordinator["Service"]
}>()("lockstep/test/contract/TwoCoordinators") {}

const freshKey = () => `transpile|http://test.example/|${randomUUID()}`

/** What every PopulateCoordinator promises to the replicas that it coordinates. */
export const populateCoordinator = <E>(name: string, two: Layer.Layer<TwoCoordinators, E>) =>
  layer(two, { excludeTestServices: true })(`PopulateCoordinator on ${name}`, (it) => {
    /** A winner that holds the key until the returned effect lets it end. */
    const winner = Effect.fnUntraced(function*(coordinator: PopulateCoordinator["Service"], key: string) {
      const end = yield* Deferred.make<string, string>()
      return { fiber: yield* inWork(coordinator, key, Deferred.await(end)), end }
    })

    /** Tries until the lock is free: a release is asked for, not awaited. */
    const acquired = (coordinator: PopulateCoordinator["Service"], key: string): Effect.Effect<void, unknown> =>
      Effect.flatMap(
        coordinator.tryAcquireAndRun(key, Effect.void),
        (won) => Option.isSome(won) ? Effect.void : Effect.andThen(Effect.sleep("1 millis"), acquired(coordinator, key))
      )

    for (const where of ["here", "there"] as const) {
      it.effect(`a key that is held is refused at once to a caller ${where}, and other keys are not`, () =>
        Effect.gen(function*() {
          const coordinators = yield* TwoCoordinators
          const key = freshKey()
          const { end, fiber } = yield* winner(coordinators.here, key)
          const second = coordinators[where].tryAcquireAndRun(key, Effect.die("ran without the lock"))
          assert.deepStrictEqual(yield* second, Option.none())
          // Session locks are re-entrant: what refused once must not have given the lock away.
          assert.deepStrictEqual(yield* second, Option.none())
          assert.deepStrictEqual(
            yield* coordinators[where].tryAcquireAndRun(freshKey(), Effect.succeed("other")),
            Option.some("other")
          )
          yield* Deferred.succeed(end, "done")
          assert.deepStrictEqual(yield* Fiber.join(fiber), Option.some("done"))
          yield* acquired(coordinators[where], key)
        }))

      /** How a waiter was woken by a winner that ended so. */
      const wokenBy = Effect.fnUntraced(function*(
        ended: (won: Effect.Success<ReturnType<typeof winner>>) => Effect.Effect<unknown>
      ) {
        const coordinators = yield* TwoCoordinators
        const key = freshKey()
        const won = yield* winner(coordinators.here, key)
        const woken = yield* Effect.forkChild(coordinators[where].waitForKey(key, "60 seconds"), {
          startImmediately: true
        })
        yield* ended(won)
        const told = yield* Fiber.join(woken)
        yield* acquired(coordinators[where], key)
        return told
      })

      /** The word of it may be overtaken by a look at the free key, though hardly ever. */
      const isTold = (ended: Parameters<typeof wokenBy>[0]) =>
        Effect.map(
          Effect.repeat(wokenBy(ended), { until: (told) => told, times: 4 }),
          (told) => assert.isTrue(told, "nobody was told")
        )

      it.effect(`a waiter ${where} is woken when the winner ends, and finds what it left`, () =>
        Effect.gen(function*() {
          const coordinators = yield* TwoCoordinators
          const key = freshKey()
          let row: string | undefined
          const { end, fiber } = yield* winner(coordinators.here, key)
          const woken = yield* Effect.forkChild(
            Effect.map(coordinators[where].waitForKey(key, "60 seconds"), () => row),
            { startImmediately: true }
          )
          row = "persisted"
          yield* Deferred.succeed(end, "done")
          assert.strictEqual(yield* Fiber.join(woken), "persisted")
          yield* Fiber.join(fiber)
          yield* isTold(({ end }) => Deferred.succeed(end, "done"))
        }))

      it.effect(`a winner's failure is its own caller's, wakes waiters ${where} and frees the key`, () =>
        isTold(({ end, fiber }) =>
          Effect.gen(function*() {
            yield* Deferred.fail(end, "no")
            assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail("no"))
          })
        ))

      it.effect(`an interrupted winner wakes waiters ${where} and frees the key`, () =>
        isTold(({ fiber }) => Fiber.interrupt(fiber)))
    }

    it.effect("a wait for a key that nobody ends is over at its timeout", () =>
      Effect.gen(function*() {
        const { here } = yield* TwoCoordinators
        assert.isFalse(yield* here.waitForKey(freshKey(), "10 millis"))
      }))

    it.effect("the end of another key wakes nobody", () =>
      Effect.gen(function*() {
        const { here, there } = yield* TwoCoordinators
        const woken = yield* Effect.forkChild(here.waitForKey(freshKey(), "200 millis"), { startImmediately: true })
        yield* there.tryAcquireAndRun(freshKey(), Effect.void)
        assert.isFalse(yield* Fiber.join(woken))
      }))

    it.effect("of many callers on both replicas, one runs at a time", () =>
      Effect.gen(function*() {
        const { here, there } = yield* TwoCoordinators
        const key = freshKey()
        let running = 0
        let most = 0
        const run = Effect.acquireUseRelease(
          Effect.sync(() => {
            most = Math.max(most, ++running)
          }),
          () => Effect.sleep("2 millis"),
          () => Effect.sync(() => running--)
        )
        const outcomes = yield* Effect.forEach(
          Array.from({ length: 60 }, (_, index) => index % 2 === 0 ? here : there),
          (coordinator) => coordinator.tryAcquireAndRun(key, run),
          { concurrency: "unbounded" }
        )
        assert.isAbove(outcomes.filter(Option.isSome).length, 0)
        assert.strictEqual(most, 1)
      }))
  })
