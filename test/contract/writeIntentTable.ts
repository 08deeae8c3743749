import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, type Layer, Option } from "effect"
import { RealmTable } from "../../src/store/RealmTable.ts"
import type { Transaction } from "../../src/store/Transaction.ts"
import { WriteIntentTable } from "../../src/store/WriteIntentTable.ts"
import { freshRealm } from "./freshRealm.ts"
import { openTransaction } from "./openTransaction.ts"

const edits = [{ path: "a.ts", hash: "h" }, { path: "b/c.ts", hash: null }]

const liveRealm = Effect.gen(function*() {
  const realms = yield* RealmTable
  const realmUrl = freshRealm()
  const generation = yield* realms.mount({ realmUrl, kind: "source", directory: realmUrl, sourceUrl: null }, 0)
  return { realmUrl, generation: Option.getOrThrow(generation) }
})

/** What every WriteIntentTable promises. */
export const writeIntentTable = <E>(
  name: string,
  tables: Layer.Layer<WriteIntentTable | RealmTable | Transaction, E>
) =>
  layer(tables, { excludeTestServices: true })(`WriteIntentTable on ${name}`, (it) => {
    it.effect("a batch is open from its beginning to its end, and ends once", () =>
      Effect.gen(function*() {
        const intents = yield* WriteIntentTable
        const { generation, realmUrl } = yield* liveRealm
        assert.deepStrictEqual(yield* intents.find(realmUrl), Option.none())
        assert.isTrue(yield* intents.begin(realmUrl, generation, "one", edits))
        assert.deepInclude(Option.getOrThrow(yield* intents.find(realmUrl)), { realmUrl, batch: "one", edits })
        assert.isFalse(yield* intents.finish(realmUrl, "another"))
        assert.isTrue(yield* intents.finish(realmUrl, "one"))
        assert.isFalse(yield* intents.finish(realmUrl, "one"))
        assert.deepStrictEqual(yield* intents.find(realmUrl), Option.none())
      }))

    it.effect("a realm has one open batch at most, whoever asks", () =>
      Effect.gen(function*() {
        const intents = yield* WriteIntentTable
        const { generation, realmUrl } = yield* liveRealm
        assert.isTrue(yield* intents.begin(realmUrl, generation, "one", edits))
        assert.isFalse(yield* intents.begin(realmUrl, generation, "two", edits))
        assert.strictEqual(Option.getOrThrow(yield* intents.find(realmUrl)).batch, "one")
      }))

    it.effect("who has lost the realm begins nothing (I4)", () =>
      Effect.gen(function*() {
        const intents = yield* WriteIntentTable
        const realms = yield* RealmTable
        const { generation, realmUrl } = yield* liveRealm
        yield* realms.advance(realmUrl, generation, "paths")
        assert.isFalse(yield* intents.begin(realmUrl, generation, "late", edits))
        yield* realms.retire(realmUrl, generation + 1)
        assert.isFalse(yield* intents.begin(realmUrl, generation + 2, "later", edits))
        assert.isFalse(yield* intents.begin(freshRealm(), 0, "nowhere", edits))
      }))

    it.effect("who asks while another's commit is under way is compared with what that leaves (I4)", () =>
      Effect.gen(function*() {
        const intents = yield* WriteIntentTable
        const realms = yield* RealmTable
        const { generation, realmUrl } = yield* liveRealm
        assert.isTrue(yield* intents.begin(realmUrl, generation, "one", edits))
        const { commit } = yield* openTransaction(Effect.andThen(
          realms.advance(realmUrl, generation, "paths"),
          intents.finish(realmUrl, "one")
        ))
        const late = yield* Effect.forkChild(intents.begin(realmUrl, generation, "late", edits), {
          startImmediately: true
        })
        yield* Effect.sleep("50 millis")
        yield* commit
        assert.isFalse(yield* Fiber.join(late))
        assert.deepStrictEqual(yield* intents.find(realmUrl), Option.none())
      }))

    it.effect("a batch that nobody seems to work at is found by its age", () =>
      Effect.gen(function*() {
        const intents = yield* WriteIntentTable
        const { generation, realmUrl } = yield* liveRealm
        yield* intents.begin(realmUrl, generation, "one", edits)
        assert.notInclude(yield* intents.abandoned("1 hour"), realmUrl)
        yield* Effect.sleep("20 millis")
        assert.include(yield* intents.abandoned("1 millis"), realmUrl)
        yield* intents.withdraw(realmUrl)
        assert.notInclude(yield* intents.abandoned(0), realmUrl)
      }))
  })
