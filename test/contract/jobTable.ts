import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option } from "effect"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { JobTable } from "../../src/store/JobTable.ts"
import { freshRealm } from "./freshRealm.ts"

// Claims take whatever waits: tests of one table take turns.
const alone = { concurrent: false }

/** What every JobTable promises. */
export const jobTable = <E>(name: string, table: Layer.Layer<JobTable, E>) =>
  layer(table, { excludeTestServices: true })(`JobTable on ${name}`, (it) => {
    it.effect("a realm without jobs has no latest one", () =>
      Effect.gen(function*() {
        const jobs = yield* JobTable
        assert.deepStrictEqual(yield* jobs.latest(freshRealm()), Option.none())
      }), alone)

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
      }), alone)

    it.effect("realms' jobs do not touch each other", () =>
      Effect.gen(function*() {
        const jobs = yield* JobTable
        const [one, two] = [freshRealm(), freshRealm()]
        yield* jobs.enqueue("reindex", one, 1)
        yield* jobs.enqueue("reindex", two, 7)
        yield* jobs.cancel(two)
        assert.strictEqual(Option.getOrThrow(yield* jobs.latest(one)).generation, 1)
      }), alone)

    it.effect(
      "a job carries the trace of who asked for it last, and none that was not given",
      () =>
        Effect.gen(function*() {
          const jobs = yield* JobTable
          const realmUrl = freshRealm()
          const traceOf = Effect.map(jobs.latest(realmUrl), (job) => Option.getOrThrow(job).traceContext)
          const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
          yield* jobs.enqueue("reindex", realmUrl, 1, trace)
          assert.strictEqual(yield* traceOf, trace)
          yield* jobs.enqueue("reindex", realmUrl, 2)
          assert.isNull(yield* traceOf)
          yield* jobs.cancel(realmUrl)
          yield* jobs.ensure("reindex", realmUrl, 3)
          assert.isNull(yield* traceOf)
        }),
      alone
    )

    it.effect(
      "jobs are counted by state, and the wait of the oldest that could be taken",
      () =>
        Effect.gen(function*() {
          const jobs = yield* JobTable
          const before = yield* jobs.counts
          const [one, two] = [freshRealm(), freshRealm()]
          yield* jobs.enqueue("reindex", one, 1)
          yield* jobs.enqueue("reindex", two, 1)
          const { oldestWaitingSeconds, waiting } = yield* jobs.counts
          assert.strictEqual(waiting, before.waiting + 2)
          assert.isAtLeast(oldestWaitingSeconds, 0)
          const claimed = Option.getOrThrow(yield* claimOf(two))
          const running = yield* jobs.counts
          assert.strictEqual(running.running, before.running + 1)
          yield* jobs.fail(claimed.id, "w", { error: "no", delayMillis: 0, maxAttempts: 1 })
          const { dead } = yield* jobs.counts
          assert.strictEqual(dead, before.dead + 1)
        }),
      alone
    )

    const claimOf = Effect.fnUntraced(function*(realmUrl: RealmUrl, worker = "w", leaseMillis = 60_000) {
      const jobs = yield* JobTable
      // Other tests' jobs wait in the same table.
      for (let looked = 0; looked < 100; looked++) {
        const claimed = yield* jobs.claim(worker, leaseMillis)
        if (Option.isNone(claimed) || claimed.value.realmUrl === realmUrl) return claimed
        yield* jobs.finish(claimed.value.id, worker, { indexed: 0, total: 0 })
      }
      return Option.none()
    })

    const latest = (realmUrl: RealmUrl) =>
      Effect.flatMap(JobTable, (jobs) => Effect.map(jobs.latest(realmUrl), Option.getOrUndefined))

    it.effect(
      "a claim takes the job, counts the attempt, and keeps the realm's next one waiting",
      () =>
        Effect.gen(function*() {
          const jobs = yield* JobTable
          const realmUrl = freshRealm()
          yield* jobs.enqueue("reindex", realmUrl, 1)
          const claimed = Option.getOrThrow(yield* claimOf(realmUrl))
          assert.deepInclude(claimed, { realmUrl, generation: 1, state: "running", attempts: 1, indexed: null })
          yield* jobs.enqueue("reindex", realmUrl, 2)
          assert.deepStrictEqual(yield* claimOf(realmUrl, "other"), Option.none())
          assert.strictEqual(yield* jobs.renew(claimed.id, "w", 60_000, { indexed: 1, total: 2 }), "superseded")
          assert.deepStrictEqual(yield* jobs.lastDone(realmUrl), Option.none())
          assert.isTrue(yield* jobs.finish(claimed.id, "w", { indexed: 2, total: 2 }))
          assert.deepStrictEqual(yield* jobs.lastDone(realmUrl), Option.some({ generation: 1, total: 2 }))
          assert.strictEqual(Option.getOrThrow(yield* claimOf(realmUrl, "other")).generation, 2)
        }),
      alone
    )

    it.effect("many workers at once claim one job of a realm", () =>
      Effect.gen(function*() {
        const jobs = yield* JobTable
        const realmUrl = freshRealm()
        yield* jobs.enqueue("reindex", realmUrl, 1)
        const claimed = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, worker) => `w${worker}`),
          (worker) => jobs.claim(worker, 60_000),
          { concurrency: "unbounded" }
        )
        assert.lengthOf(claimed.filter((job) => Option.isSome(job) && job.value.realmUrl === realmUrl), 1)
      }), alone)

    it.effect("an older generation that is enqueued late does not replace a newer one", () =>
      Effect.gen(function*() {
        const jobs = yield* JobTable
        const realmUrl = freshRealm()
        yield* jobs.enqueue("reindex", realmUrl, 7)
        yield* jobs.enqueue("reindex", realmUrl, 3)
        assert.strictEqual((yield* latest(realmUrl))?.generation, 7)
      }), alone)

    it.effect("ensure offers a job unless one for the generation waits, runs or is dead", () =>
      Effect.gen(function*() {
        const jobs = yield* JobTable
        const realmUrl = freshRealm()
        const ensure = (generation: number) => jobs.ensure("reindex", realmUrl, generation)
        assert.isTrue(yield* ensure(2))
        assert.isFalse(yield* ensure(2))
        const claimed = Option.getOrThrow(yield* claimOf(realmUrl))
        assert.isFalse(yield* ensure(2))
        const dead = { error: "e", delayMillis: 0, maxAttempts: 1 }
        assert.deepStrictEqual(yield* jobs.fail(claimed.id, "w", dead), Option.some("dead"))
        assert.isFalse(yield* ensure(2))
        assert.isTrue(yield* ensure(3))
        const next = Option.getOrThrow(yield* claimOf(realmUrl))
        yield* jobs.finish(next.id, "w", { indexed: 0, total: 0 })
        assert.isTrue(yield* ensure(3))
      }), alone)

    it.effect(
      "a failed job waits for its time, and is dead after its last attempt, until a later one is done",
      () =>
        Effect.gen(function*() {
          const jobs = yield* JobTable
          const realmUrl = freshRealm()
          yield* jobs.enqueue("reindex", realmUrl, 1)
          const fail = (id: number, delayMillis: number) =>
            jobs.fail(id, "w", { error: "no", delayMillis, maxAttempts: 2 })
          const first = Option.getOrThrow(yield* claimOf(realmUrl))
          assert.deepStrictEqual(yield* fail(first.id, 3_600_000), Option.some("waiting"))
          assert.deepStrictEqual(yield* claimOf(realmUrl), Option.none())
          assert.deepInclude(yield* latest(realmUrl), { state: "waiting", attempts: 1, error: "no" })
          // A newer publish does not wait for the old one's turn, and begins to count anew.
          yield* jobs.enqueue("reindex", realmUrl, 2)
          const second = Option.getOrThrow(yield* claimOf(realmUrl))
          assert.deepInclude(second, { generation: 2, attempts: 1 })
          assert.deepStrictEqual(yield* fail(second.id, 0), Option.some("waiting"))
          const third = Option.getOrThrow(yield* claimOf(realmUrl))
          assert.deepStrictEqual(yield* fail(third.id, 0), Option.some("dead"))
          assert.deepStrictEqual(yield* claimOf(realmUrl), Option.none())
          const shown = (yield* jobs.unfinished).find((job) => job.realmUrl === realmUrl)
          assert.deepInclude(shown, { state: "dead", attempts: 2, error: "no" })
          yield* jobs.enqueue("reindex", realmUrl, 3)
          const last = Option.getOrThrow(yield* claimOf(realmUrl))
          yield* jobs.finish(last.id, "w", { indexed: 0, total: 0 })
          assert.isUndefined((yield* jobs.unfinished).find((job) => job.realmUrl === realmUrl))
          assert.deepInclude(yield* latest(realmUrl), { state: "done", generation: 3 })
        }),
      alone
    )

    it.effect(
      "a claim whose lease has ended goes to another worker, and its first owner is told",
      () =>
        Effect.gen(function*() {
          const jobs = yield* JobTable
          const realmUrl = freshRealm()
          yield* jobs.enqueue("reindex", realmUrl, 1)
          const abandoned = Option.getOrThrow(yield* claimOf(realmUrl, "killed", -1000))
          assert.isAtLeast(yield* jobs.reap(5), 1)
          const taken = Option.getOrThrow(yield* claimOf(realmUrl, "other"))
          assert.deepInclude(taken, { id: abandoned.id, attempts: 2 })
          assert.strictEqual(yield* jobs.renew(abandoned.id, "killed", 60_000, undefined), "lost")
          assert.isFalse(yield* jobs.finish(abandoned.id, "killed", { indexed: 0, total: 0 }))
          const late = { error: "e", delayMillis: 0, maxAttempts: 5 }
          assert.deepStrictEqual(yield* jobs.fail(abandoned.id, "killed", late), Option.none())
          assert.strictEqual(yield* jobs.renew(taken.id, "other", 60_000, undefined), "held")
        }),
      alone
    )

    it.effect("a lease that is renewed is not taken over", () =>
      Effect.gen(function*() {
        const jobs = yield* JobTable
        const realmUrl = freshRealm()
        yield* jobs.enqueue("reindex", realmUrl, 1)
        const { id } = Option.getOrThrow(yield* claimOf(realmUrl, "w", -1000))
        assert.strictEqual(yield* jobs.renew(id, "w", 60_000, { indexed: 3, total: 4 }), "held")
        yield* jobs.reap(5)
        assert.deepInclude(yield* latest(realmUrl), { state: "running", indexed: 3, total: 4 })
      }), alone)

    it.effect(
      "an abandoned job makes way for a newer one, and one that kills its workers is dead in the end",
      () =>
        Effect.gen(function*() {
          const jobs = yield* JobTable
          const [one, two] = [freshRealm(), freshRealm()]
          yield* jobs.enqueue("reindex", one, 1)
          yield* claimOf(one, "killed", -1000)
          yield* jobs.enqueue("reindex", one, 2)
          yield* jobs.reap(5)
          assert.deepInclude(yield* latest(one), { state: "waiting", generation: 2, attempts: 0 })
          yield* jobs.enqueue("reindex", two, 1)
          yield* claimOf(two, "killed", -1000)
          yield* jobs.reap(1)
          assert.deepInclude(yield* latest(two), { state: "dead", attempts: 1 })
        }),
      alone
    )

    it.effect("a realm that goes takes its running job with it", () =>
      Effect.gen(function*() {
        const jobs = yield* JobTable
        const realmUrl = freshRealm()
        yield* jobs.enqueue("reindex", realmUrl, 1)
        const { id } = Option.getOrThrow(yield* claimOf(realmUrl))
        yield* jobs.cancel(realmUrl)
        assert.strictEqual(yield* jobs.renew(id, "w", 60_000, undefined), "lost")
        assert.deepStrictEqual(yield* jobs.latest(realmUrl), Option.none())
      }), alone)
  })
