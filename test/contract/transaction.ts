import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, type Layer, Option } from "effect"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { JobTable } from "../../src/store/JobTable.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { freshRealm } from "./freshRealm.ts"

/** What every Transaction promises of the tables. */
export const transaction = <E>(name: string, tables: Layer.Layer<Transaction | RealmTable | JobTable, E>) =>
  layer(tables, { excludeTestServices: true })(`Transaction on ${name}`, (it) => {
    const write = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
      const realms = yield* RealmTable
      const jobs = yield* JobTable
      yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
      yield* jobs.enqueue("reindex", realmUrl, 1)
    })

    const written = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
      const realms = yield* RealmTable
      const jobs = yield* JobTable
      return [(yield* realms.read([realmUrl])).realms.length, Option.isSome(yield* jobs.latest(realmUrl)) ? 1 : 0]
    })

    it.effect("what succeeded is visible to everybody when it returns, and it returns the result", () =>
      Effect.gen(function*() {
        const { run } = yield* Transaction
        const realmUrl = freshRealm()
        assert.strictEqual(yield* run(Effect.as(write(realmUrl), "result")), "result")
        assert.deepStrictEqual(yield* written(realmUrl), [1, 1])
      }))

    it.effect("it sees its own writes, and others see none of them before the commit", () =>
      Effect.gen(function*() {
        const { run } = yield* Transaction
        const realmUrl = freshRealm()
        const wrote = yield* Deferred.make<void>()
        const looked = yield* Deferred.make<void>()
        const open = yield* Effect.forkChild(run(Effect.gen(function*() {
          yield* write(realmUrl)
          yield* Deferred.succeed(wrote, undefined)
          yield* Deferred.await(looked)
          return yield* written(realmUrl)
        })))
        yield* Deferred.await(wrote)
        assert.deepStrictEqual(yield* written(realmUrl), [0, 0])
        yield* Deferred.succeed(looked, undefined)
        assert.deepStrictEqual(yield* Fiber.join(open), [1, 1])
      }))

    it.effect("a failure undoes all of it and is passed on as it is", () =>
      Effect.gen(function*() {
        const { run } = yield* Transaction
        const realmUrl = freshRealm()
        const error = yield* Effect.flip(run(Effect.andThen(write(realmUrl), Effect.fail("no" as const))))
        assert.strictEqual(error, "no")
        assert.deepStrictEqual(yield* written(realmUrl), [0, 0])
      }))

    it.effect("a defect undoes all of it", () =>
      Effect.gen(function*() {
        const { run } = yield* Transaction
        const realmUrl = freshRealm()
        assert.isTrue(Exit.isFailure(yield* Effect.exit(run(Effect.andThen(write(realmUrl), Effect.die("bug"))))))
        assert.deepStrictEqual(yield* written(realmUrl), [0, 0])
      }))

    it.effect("an interruption undoes all of it, and the next transaction can go ahead", () =>
      Effect.gen(function*() {
        const { run } = yield* Transaction
        const realmUrl = freshRealm()
        const wrote = yield* Deferred.make<void>()
        const open = yield* Effect.forkChild(
          run(Effect.andThen(write(realmUrl), Effect.andThen(Deferred.succeed(wrote, undefined), Effect.never)))
        )
        yield* Deferred.await(wrote)
        yield* Fiber.interrupt(open)
        assert.deepStrictEqual(yield* written(realmUrl), [0, 0])
        yield* run(write(realmUrl))
        assert.deepStrictEqual(yield* written(realmUrl), [1, 1])
      }))
  })
