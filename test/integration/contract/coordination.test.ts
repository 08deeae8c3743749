import { assert, layer } from "@effect/vitest"
import type { PgClient } from "@effect/sql-pg"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { Counters } from "../../../src/coordination/Counters.ts"
import { Lease } from "../../../src/coordination/Lease.ts"
import { LockSession } from "../../../src/coordination/LockSession.ts"
import { Membership } from "../../../src/coordination/Membership.ts"
import { type Event, Notifications } from "../../../src/coordination/Notifications.ts"
import { PopulateCoordinator } from "../../../src/coordination/PopulateCoordinator.ts"
import { RealmWriteLock } from "../../../src/coordination/RealmWriteLock.ts"
import { SessionConfig } from "../../../src/coordination/SessionConfig.ts"
import { Sessions } from "../../../src/coordination/Sessions.ts"
import { RealmTable } from "../../../src/store/RealmTable.ts"
import { ReplicaTable } from "../../../src/store/ReplicaTable.ts"
import { barrier, LeasedFleet } from "../../contract/barrier.ts"
import { freshRealm } from "../../contract/freshRealm.ts"
import { inWork } from "../../contract/inWork.ts"
import { notifications } from "../../contract/notifications.ts"
import { populateCoordinator, TwoCoordinators } from "../../contract/populateCoordinator.ts"
import { realmWriteLock, TwoWriteLocks } from "../../contract/realmWriteLock.ts"
import { aboveLease, identity, replicaOf } from "../../coordination/leases.ts"
import { timedAwake } from "../../support/awake.ts"
import { eventually } from "../../support/eventually.ts"
import { postgresWithSessions } from "./postgresLayers.ts"
import { advisoryLocks, listening, replica, terminate } from "./postgresReplica.ts"

const twoCoordinators = Layer.effect(
  TwoCoordinators,
  Effect.gen(function*() {
    const here = yield* Effect.provide(PopulateCoordinator, yield* Layer.build(replica))
    const there = yield* Effect.provide(PopulateCoordinator, yield* Layer.build(replica))
    return { here, there }
  })
)

const twoWriteLocks = Layer.effect(
  TwoWriteLocks,
  Effect.gen(function*() {
    const here = yield* Effect.provide(RealmWriteLock, yield* Layer.build(Layer.fresh(RealmWriteLock.layer)))
    const there = yield* Effect.provide(RealmWriteLock, yield* Layer.build(Layer.fresh(RealmWriteLock.layer)))
    return { here, there }
  })
)

populateCoordinator("PostgreSQL", twoCoordinators.pipe(Layer.provide(postgresWithSessions())))
realmWriteLock("PostgreSQL", twoWriteLocks.pipe(Layer.provide(postgresWithSessions())))
notifications("PostgreSQL", listening.pipe(Layer.provide(postgresWithSessions())))

const fleet = Layer.effect(
  LeasedFleet,
  Effect.gen(function*() {
    const shared = yield* Effect.context<PgClient.PgClient | RealmTable | SessionConfig | SqlClient.SqlClient>()
    return LeasedFleet.of({
      start: Effect.fnUntraced(function*(leaseMillis) {
        const replica = aboveLease.pipe(
          Layer.provideMerge(Layer.fresh(Notifications.layer)),
          Layer.provideMerge(Layer.fresh(Lease.layer)),
          Layer.provideMerge(Layer.fresh(Layer.mergeAll(
            Counters.layer,
            Membership.layer(identity("replica", leaseMillis)),
            ReplicaTable.layer,
            Sessions.layer
          )))
        )
        // In the replica's own scope: the fleet's is in that context, too.
        const scope = yield* Effect.scope
        return replicaOf(yield* Effect.provideContext(Layer.buildWithScope(replica, scope), shared))
      })
    })
  })
).pipe(Layer.provideMerge(RealmTable.layer), Layer.provide(postgresWithSessions()))

barrier("PostgreSQL", fleet)

const sessions = (purpose: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    sql<{ pid: number }>`SELECT pid FROM pg_stat_activity
      WHERE datname = current_database() AND application_name = ${`lockstep ${purpose}`}`)

layer(postgresWithSessions(), { excludeTestServices: true })("coordination on PostgreSQL", (it) => {
  it.effect("five hundred keys in work at once hold one connection, and each runs (S16)", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(replica)
      const coordinator = yield* Effect.provide(PopulateCoordinator, context)
      const { connections } = yield* Effect.provide(LockSession, context)
      const began = yield* Deferred.make<void>()
      const end = yield* Deferred.make<void>()
      let running = 0
      const all = yield* Effect.forkChild(Effect.forEach(
        Array.from({ length: 500 }, (_, index) => `transpile|http://test.example/|${index}.ts`),
        (key) =>
          coordinator.tryAcquireAndRun(
            key,
            Effect.suspend(() => {
              if (++running === 500) Deferred.doneUnsafe(began, Effect.void)
              return Deferred.await(end)
            })
          ),
        { concurrency: "unbounded" }
      ))
      yield* Deferred.await(began)
      // The pool is free all the while. A session that is lost is opened again, and takes them along.
      yield* eventually(
        "all locks on one session",
        Effect.all([advisoryLocks, sessions("locks"), connections]),
        ([locks, [session, ...others], count]) =>
          locks.length === 500 && locks.every(({ pid }) => pid === session?.pid) && others.length === 0 && count === 1
      )
      yield* Deferred.succeed(end, undefined)
      assert.strictEqual((yield* Fiber.join(all)).filter(Option.isSome).length, 500)
      yield* eventually("all locks given back", advisoryLocks, (rows) => rows.length === 0)
    }).pipe(Effect.scoped))

  it.effect("a woken loser sees the row that the winner committed", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE won (key text PRIMARY KEY)`
      const here = yield* Effect.provide(PopulateCoordinator, yield* Layer.build(replica))
      const there = yield* Effect.provide(PopulateCoordinator, yield* Layer.build(replica))
      let rounds = 0
      for (let round = 0; round < 20; round++) {
        const key = `round ${round}`
        const woken = yield* Effect.forkChild(
          Effect.all([there.waitForKey(key, "10 seconds"), sql`SELECT key FROM won WHERE key = ${key}`]),
          { startImmediately: true }
        )
        yield* here.tryAcquireAndRun(key, sql`INSERT INTO won VALUES (${key})`)
        const [told, rows] = yield* Fiber.join(woken)
        // Who was not told has found the key free, which it was before the winner had it, too.
        if (!told) continue
        assert.deepStrictEqual(rows, [{ key }])
        rounds++
      }
      assert.isAbove(rounds, 0, "nobody was told")
    }).pipe(Effect.scoped))

  it.effect("a waiter is let go within half a second when the holder is gone, and not before (rule 8)", () =>
    Effect.gen(function*() {
      const there = yield* Effect.provide(PopulateCoordinator, yield* Layer.build(replica))
      // A key's 64 bits are found again whatever their signs are.
      const keys = Array.from({ length: 20 }, (_, index) => `held ${index}`)
      const holders = Effect.map(advisoryLocks, (locks) => Array.from(new Set(locks.map(({ pid }) => pid))))
      const letGo = Effect.gen(function*() {
        const life = yield* Effect.acquireRelease(Scope.make(), (life, exit) => Scope.close(life, exit))
        const here = yield* Effect.provide(PopulateCoordinator, yield* Layer.buildWithScope(replica, life))
        // A replica that was closed before may have its locks for a moment.
        yield* eventually("all locks given back", advisoryLocks, (rows) => rows.length === 0)
        let held: ReadonlyArray<number> = []
        const waiting = yield* Effect.forEach(keys, (key) =>
          Effect.gen(function*() {
            yield* inWork(here, key, Effect.never)
            held = yield* holders
            return yield* Effect.forkChild(there.waitForKey(key, "60 seconds"), { startImmediately: true })
          }))
        yield* Effect.sleep("1 second")
        const early = waiting.filter((each) => each.pollUnsafe() !== undefined).length
        // While its session is being opened again a holder has no locks: a look may find them free.
        if (early > 0 && String(yield* holders) !== String(held)) return false
        assert.strictEqual(early, 0)
        yield* Scope.close(life, Exit.void)
        const [took, told] = yield* timedAwake(Effect.forEach(waiting, (each) => Fiber.join(each)))
        assert.deepStrictEqual(told, keys.map(() => false))
        // Half a second, and what a busy machine adds; without the look it would be a minute.
        assert.isBelow(took, 5_000)
        return true
      }).pipe(Effect.scoped)
      const kept = yield* Effect.repeat(letGo, { until: (kept) => kept, times: 2 })
      assert.isTrue(kept, "each time the holder's session was lost")
    }).pipe(Effect.scoped))

  it.effect("a closed replica leaves no session behind", () =>
    Effect.gen(function*() {
      const before = [(yield* sessions("locks")).length, (yield* sessions("listener")).length]
      yield* Effect.scoped(Effect.gen(function*() {
        const context = yield* Layer.build(replica)
        yield* Effect.provide(PopulateCoordinator, context).pipe(
          Effect.flatMap((coordinator) => coordinator.tryAcquireAndRun("key", Effect.void))
        )
        yield* Effect.provide(RealmWriteLock, context).pipe(
          Effect.flatMap((lock) => lock.withLock(freshRealm())(Effect.void))
        )
        assert.isAbove((yield* sessions("listener")).length, 0)
      }))
      yield* eventually(
        "its sessions to be gone",
        Effect.all([sessions("locks"), sessions("listener"), sessions("write locks")]),
        ([locks, listener, writers]) =>
          locks.length <= (before[0] ?? 0) && listener.length <= (before[1] ?? 0) && writers.length === 0
      )
    }))

  it.effect("a writer waits for its turn, whatever the pool's statements may take", () =>
    Effect.gen(function*() {
      const config = yield* SessionConfig
      const hurried = SessionConfig.layerOf({ ...config, startupParameters: { statement_timeout: "100" } })
      const locks = Layer.build(Layer.fresh(RealmWriteLock.layer).pipe(Layer.provide(hurried)))
      const here = yield* Effect.provide(RealmWriteLock, yield* locks)
      const there = yield* Effect.provide(RealmWriteLock, yield* locks)
      const realmUrl = freshRealm()
      const held = yield* Deferred.make<void>()
      const holder = yield* Effect.forkChild(
        here.withLock(realmUrl)(Effect.andThen(Deferred.succeed(held, undefined), Effect.sleep("500 millis")))
      )
      yield* Deferred.await(held)
      assert.strictEqual(yield* there.withLock(realmUrl)(Effect.succeed("its turn")), "its turn")
      yield* Fiber.join(holder)
    }).pipe(Effect.scoped))

  it.effect("a writer whose session was killed keeps nobody waiting", () =>
    Effect.gen(function*() {
      const here = yield* Effect.provide(RealmWriteLock, yield* Layer.build(Layer.fresh(RealmWriteLock.layer)))
      const there = yield* Effect.provide(RealmWriteLock, yield* Layer.build(Layer.fresh(RealmWriteLock.layer)))
      const realmUrl = freshRealm()
      const held = yield* Deferred.make<void>()
      const end = yield* Deferred.make<string>()
      const holder = yield* Effect.forkChild(
        here.withLock(realmUrl)(Effect.andThen(Deferred.succeed(held, undefined), Deferred.await(end)))
      )
      yield* Deferred.await(held)
      yield* terminate("write locks")
      assert.strictEqual(yield* there.withLock(realmUrl)(Effect.succeed("next")), "next")
      yield* Deferred.succeed(end, "late")
      // What the first then writes is refused by its compare-and-set, not by the lock.
      assert.strictEqual(yield* Fiber.join(holder), "late")
      assert.strictEqual(yield* here.withLock(realmUrl)(Effect.succeed("again")), "again")
    }).pipe(Effect.scoped))
})

layer(postgresWithSessions(), { excludeTestServices: true })("the listening session on PostgreSQL", (it) => {
  const hearing = Effect.gen(function*() {
    const context = yield* Layer.build(Layer.fresh(listening))
    const { notify, subscribe } = yield* Effect.provide(Notifications, context)
    // It is not waited for for ever when it starts.
    const { isHeld } = yield* Effect.provide(Lease, context)
    yield* eventually("the session", Effect.sync(isHeld), (held) => held)
    const heard: Array<string> = []
    yield* subscribe((event: Event) => {
      if (event._tag !== "CaughtUp") heard.push(event._tag === "Gap" ? "gap" : event.message.payload)
    })
    return {
      heard,
      /** What was heard beside the gaps, of which a session that is lost unasked makes another. */
      messages: () => heard.filter((each) => each !== "gap"),
      notify,
      counters: yield* Effect.provide(Counters, context)
    }
  })

  it.effect("is opened again when its backend is terminated, and announces the gap (S22)", () =>
    Effect.gen(function*() {
      const { counters, heard, notify } = yield* hearing
      yield* notify([{ channel: "realm_registry", payload: "before" }])
      yield* eventually("the first message", Effect.sync(() => heard.slice()), (all) => all.includes("before"))
      const gaps = Effect.sync(() => heard.filter((each) => each === "gap").length)
      for (const round of [1, 2, 3]) {
        const before = yield* gaps
        yield* terminate("listener")
        yield* eventually("a gap", gaps, (now) => now > before)
        yield* notify([{ channel: "realm_registry", payload: `after ${round}` }])
        yield* eventually("the next message", Effect.sync(() => heard.slice()), (all) => all.includes(`after ${round}`))
      }
      assert.match(heard.join(), /^(gap,)*before(,gap)+,after 1(,gap)+,after 2(,gap)+,after 3(,gap)*$/)
      assert.isAtLeast(counters.listenerReconnects, 3)
      yield* eventually("one session", sessions("listener"), (rows) => rows.length === 1)
    }).pipe(Effect.scoped))

  it.effect("hears every channel, from any session of the database", () =>
    Effect.gen(function*() {
      const { messages } = yield* hearing
      const sql = yield* SqlClient.SqlClient
      const channels = [
        "realm_file_changes",
        "module_cache_invalidated",
        "module_cache_populated",
        "realm_registry",
        "lockstep_generations",
        "lockstep_acks"
      ]
      for (const channel of channels) yield* sql`SELECT pg_notify(${channel}, ${`on ${channel}`})`
      yield* eventually("all of them", Effect.sync(messages), (all) => all.length === channels.length)
      assert.deepStrictEqual(messages().toSorted(), channels.map((channel) => `on ${channel}`).toSorted())
    }).pipe(Effect.scoped))

  it.effect("a payload that PostgreSQL refuses is the sender's error, and nothing of its batch is sent", () =>
    Effect.gen(function*() {
      const { messages, notify } = yield* hearing
      const error = yield* Effect.flip(notify([
        { channel: "realm_registry", payload: "first of the batch" },
        { channel: "realm_registry", payload: "x".repeat(8_000) }
      ]))
      assert.strictEqual(error._tag, "DatabaseError")
      yield* notify([{ channel: "realm_registry", payload: "x".repeat(7_999) }])
      yield* eventually("the next message", Effect.sync(() => messages().length), (length) => length > 0)
      assert.deepStrictEqual(messages().map((payload) => payload.length), [7_999])
    }).pipe(Effect.scoped))
})
