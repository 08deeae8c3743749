import { assert, layer } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Option, Redacted, Scope } from "effect"
import { SqlClient } from "effect/sql"
import { LockSession } from "../../../src/coordination/LockSession.ts"
import { PopulateCoordinator } from "../../../src/coordination/PopulateCoordinator.ts"
import { SessionConfig } from "../../../src/coordination/SessionConfig.ts"
import { inWork } from "../../contract/inWork.ts"
import { eventually } from "../../support/eventually.ts"
import { makeTcpProxy } from "../../support/tcpProxy.ts"
import { postgresWithSessions } from "./postgresLayers.ts"
import { advisoryLocks, listening, replica, terminate } from "./postgresReplica.ts"

/** Sessions that go through a proxy. */
const proxied = Effect.gen(function*() {
  const config = yield* SessionConfig
  const url = new URL(config.url === undefined ? "" : Redacted.value(config.url))
  const proxy = yield* makeTcpProxy(Number(url.port))
  url.port = String(proxy.port)
  return { proxy, behind: SessionConfig.layerOf({ ...config, url: Redacted.make(url.href) }) }
})

layer(postgresWithSessions(), { excludeTestServices: true })("a lock session that is lost", (it) => {
  it.effect("a holder whose session was lost takes its locks again, and nobody works beside it (I5)", () =>
    Effect.gen(function*() {
      const here = yield* Effect.provide(PopulateCoordinator, yield* Layer.build(replica))
      const there = yield* Effect.provide(PopulateCoordinator, yield* Layer.build(replica))
      const sql = yield* SqlClient.SqlClient
      let told = 0
      for (let round = 0; round < 3; round++) {
        const key = `regained ${round}`
        const end = yield* Deferred.make<string>()
        yield* here.tryAcquireAndRun("given back before", Effect.void)
        const holder = yield* inWork(here, key, Deferred.await(end))
        const [before] = yield* advisoryLocks
        yield* sql`SELECT pg_terminate_backend(${before?.pid ?? 0})`
        const after = yield* eventually(
          "the lock on another session",
          advisoryLocks,
          ([row]) => row !== undefined && row.pid !== before?.pid
        )
        assert.strictEqual(after.length, 1)
        assert.deepStrictEqual(yield* there.tryAcquireAndRun(key, Effect.succeed("beside it")), Option.none())
        const woken = yield* Effect.forkChild(there.waitForKey(key, "60 seconds"), { startImmediately: true })
        yield* Deferred.succeed(end, "once")
        assert.deepStrictEqual(yield* Fiber.join(holder), Option.some("once"))
        if (yield* Fiber.join(woken)) told++
        yield* eventually("the lock given back", advisoryLocks, (rows) => rows.length === 0)
      }
      // The word of it may be overtaken by a look at the free key, though hardly ever.
      assert.isAbove(told, 0, "nobody was told")
    }).pipe(Effect.scoped))

  it.effect("a holder whose key another has had meanwhile does not take it again", () =>
    Effect.gen(function*() {
      const here = yield* Effect.provide(PopulateCoordinator, yield* Layer.build(replica))
      const sql = yield* SqlClient.SqlClient
      const end = yield* Deferred.make<string>()
      const holder = yield* inWork(here, "lost", Deferred.await(end))
      const [before] = yield* advisoryLocks
      yield* sql.withTransaction(Effect.gen(function*() {
        // Waits for the lock until the holder's session has ended, and has it before that one is opened again.
        yield* sql`WITH ended AS MATERIALIZED (SELECT pg_terminate_backend(${before?.pid ?? 0}))
          SELECT pg_advisory_xact_lock(${before?.key ?? "0"}::bigint) FROM ended`
        // Answered by the holder's next session, which has asked for what is in work before.
        yield* here.tryAcquireAndRun("another", Effect.void)
        yield* Deferred.succeed(end, "late")
        assert.deepStrictEqual(yield* Fiber.join(holder), Option.some("late"))
        assert.deepStrictEqual(yield* here.tryAcquireAndRun("lost", Effect.succeed("too early")), Option.none())
      }))
      yield* eventually("it to win again", here.tryAcquireAndRun("lost", Effect.succeed("again")), Option.isSome)
    }).pipe(Effect.scoped))

  it.effect("what ends while there is no session is not taken again, and what is in work then is, unasked", () =>
    Effect.gen(function*() {
      const { behind, proxy } = yield* proxied
      const coordinator = Layer.fresh(PopulateCoordinator.layer.pipe(
        Layer.provide(Layer.mergeAll(LockSession.layer.pipe(Layer.provide(behind)), listening))
      ))
      const here = yield* Effect.provide(PopulateCoordinator, yield* Layer.build(coordinator))
      const end = yield* Deferred.make<string>()
      const ending = yield* inWork(here, "ends meanwhile", Deferred.await(end))
      const [first] = yield* advisoryLocks
      yield* inWork(here, "goes on", Effect.never)
      yield* proxy.hold()
      yield* proxy.cut()
      yield* eventually("the locks to be lost", advisoryLocks, (rows) => rows.length === 0)
      yield* Deferred.succeed(end, "ended")
      assert.deepStrictEqual(yield* Fiber.join(ending), Option.some("ended"))
      // A session was asked for in vain: who asked is told so.
      assert.isTrue(Exit.isFailure(yield* Effect.exit(here.tryAcquireAndRun("asked", Effect.void))))
      yield* proxy.release
      const rows = yield* eventually("the lock that is in work", advisoryLocks, ({ length }) => length > 0)
      assert.strictEqual(rows.length, 1)
      assert.notStrictEqual(rows[0]?.key, first?.key)
    }).pipe(Effect.scoped))

  it.effect("a try that was answered is not made again with what its session was lost over", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(replica)
      const here = yield* Effect.provide(LockSession, context)
      const there = yield* Effect.provide(LockSession, yield* Layer.build(replica))
      for (let round = 0; round < 5; round++) {
        const [own, others] = [String(2 * round), String(2 * round + 1)]
        assert.isTrue(yield* there.tryLock(others))
        const [won, refused, look] = yield* Effect.all([
          here.tryLock(own),
          here.tryLock(others),
          // Asked with them, after them, and no key: it costs the session.
          Effect.exit(here.free(["none"]))
        ], { concurrency: "unbounded" })
        assert.deepStrictEqual([won, refused, Exit.isFailure(look)], [true, false, true])
        yield* there.release(others)
        yield* eventually("its next session", advisoryLocks, (rows) => rows.map(({ key }) => key).join() === own)
        yield* here.release(own)
        // Answered after everything else that was asked of it.
        assert.isTrue(yield* here.tryLock("1000"))
        assert.deepStrictEqual((yield* advisoryLocks).length, 1)
        yield* here.release("1000")
        yield* eventually("all given back", advisoryLocks, (rows) => rows.length === 0)
      }
    }).pipe(Effect.scoped))

  it.effect("whoever asks a session that is closed meanwhile, or was before, is told so", () =>
    Effect.gen(function*() {
      const { behind, proxy } = yield* proxied
      const life = yield* Scope.make()
      const layer = Layer.fresh(LockSession.layer.pipe(Layer.provide(behind)))
      const locks = yield* Effect.provide(LockSession, yield* Layer.buildWithScope(layer, life))
      yield* locks.tryLock("1")
      yield* proxy.hold()
      const sent = yield* Effect.forkChild(Effect.exit(locks.tryLock("2")), { startImmediately: true })
      yield* eventually("it to be on its way", proxy.held, (count) => count > 0)
      yield* Effect.sleep("50 millis")
      const waiting = yield* Effect.forkChild(Effect.exit(locks.tryLock("3")), { startImmediately: true })
      yield* Scope.close(life, Exit.void)
      for (
        const exit of [yield* Fiber.join(sent), yield* Fiber.join(waiting), yield* Effect.exit(locks.tryLock("4"))]
      ) {
        assert.isTrue(Exit.isFailure(exit))
      }
    }).pipe(Effect.scoped))
  it.effect("tries that a session was lost with are made on the next one (I5)", () =>
    Effect.gen(function*() {
      const context = yield* Layer.build(replica)
      const here = yield* Effect.provide(PopulateCoordinator, context)
      yield* here.tryAcquireAndRun("first", Effect.void)
      const sql = yield* SqlClient.SqlClient
      const outcomes = yield* Effect.forEach(
        Array.from({ length: 40 }, (_, index) => index),
        Effect.fnUntraced(function*(index) {
          if (index === 20) yield* terminate("locks")
          return yield* Effect.exit(here.tryAcquireAndRun(`key ${index}`, Effect.void))
        }),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(outcomes, outcomes.map(() => Exit.succeed(Option.some(undefined))))
      assert.deepStrictEqual(yield* sql`SELECT 1 AS one`, [{ one: 1 }])
    }).pipe(Effect.scoped))
})
