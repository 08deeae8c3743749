import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import { JobTable } from "../../src/store/JobTable.ts"
import { freshRealm } from "./freshRealm.ts"

/** What every JobTable promises. */
export const jobTable = <E>(name: string, table: Layer.Layer<JobTable, E>) =>
  layer(table, { excludeTestServices: true })(`JobTable on ${name}`, (it) => {
    it.effect("a realm without jobs has no latest one", () =>
      Effect.gen(function*() {
        const jobs = yield* JobTable
        assert.deepStrictEqual(yield* jobs.latest(freshRealm()), Option.none())
      }))

    it.effect("a newer job supersedes the one of its realm that still waits", () =>
      Effect.gen(function*() {
        const jobs = yield* JobTable
        const realmUrl = freshRealm()
        yield* jobs.enqueue("reindex", realmUrl, 1)
        yield* jobs.enqueue("reindex", realmUrl, 2)
        const latest = Option.getOrThrow(yield* jobs.latest(realmUrl))
        assert.deepInclude(latest, { kind: "reindex", realmUrl, generation: 2, state: "waiting" })
        yield* jobs.cancel(realmUrl)
        // The first would be the latest again, had it not been superseded.
        assert.deepStrictEqual(yield* jobs.latest(realmUrl), Option.none())
      }))

    it.effect("realms' jobs do not touch each other", () =>
      Effect.gen(function*() {
        const jobs = yield* JobTable
        const [one, two] = [freshRealm(), freshRealm()]
        yield* jobs.enqueue("reindex", one, 1)
        yield* jobs.enqueue("reindex", two, 7)
        yield* jobs.cancel(two)
        assert.strictEqual(Option.getOrThrow(yield* jobs.latest(one)).generation, 1)
      }))
  })
