import { PgPool } from "@effect/sql-pg"
import { Context, Effect, Layer, RcMap, Semaphore } from "effect"
import { DatabaseError, LockTimeout } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { heartbeat, lock, unlockAll } from "../store/sessionStatements.ts"
import { lockKey } from "./lockKey.ts"
import { SessionConfig, sessionConfig } from "./SessionConfig.ts"

/** A writer that says nothing for this long (a frozen replica) loses the realm; its commit's comparison stops it. */
const idleSessionTimeout = "8000"

/** How long a writer waits for its turn before it is told to come back. */
const patience = 20_000

const withPatience = <A, E, R>(realmUrl: RealmUrl, acquire: Effect.Effect<A, E, R>) =>
  Effect.timeoutOrElse(acquire, {
    duration: patience,
    orElse: () => Effect.fail(new LockTimeout({ realmUrl, waitedMs: patience }))
  }).pipe(Effect.withSpan("RealmWriteLock.acquire"))

const inOrder = (realmUrls: ReadonlyArray<RealmUrl>) => Array.from(new Set(realmUrls)).sort()

/** A mutex a realm, kept only while somebody uses it. */
const makeMutexes = Effect.map(
  RcMap.make({ lookup: (_: RealmUrl) => Semaphore.make(1) }),
  (mutexes) => ({
    /** Holds the realms' mutexes until the scope closes. */
    take: (realmUrls: ReadonlyArray<RealmUrl>) =>
      Effect.forEach(
        realmUrls,
        (realmUrl) => Effect.flatMap(RcMap.get(mutexes, realmUrl), (mutex) => Semaphore.takeScoped(mutex, 1)),
        { discard: true }
      )
  })
)

/**
 * One writer a realm, across replicas (S17). Writers of one process queue in memory first, so that a busy realm takes
 * one connection a replica; different realms run in parallel. Lock order: realms by their URL, then rows.
 */
export class RealmWriteLock extends Context.Service<RealmWriteLock, {
  /** Runs a write while it holds these realms, which are locked in one order, however they are named: no deadlock. */
  readonly withLock: (
    ...realmUrls: readonly [RealmUrl, ...ReadonlyArray<RealmUrl>]
  ) => <A, E, R>(write: Effect.Effect<A, E, R>) => Effect.Effect<A, E | DatabaseError | LockTimeout, R>
}>()("lockstep/coordination/RealmWriteLock") {
  static readonly layer = Layer.effect(
    RealmWriteLock,
    Effect.gen(function*() {
      const config = yield* SessionConfig
      // Sessions of their own: a lock that is held while files are copied must not take a connection from readers.
      const pool = yield* PgPool.make({
        ...sessionConfig(config, "write locks", {
          idle_session_timeout: idleSessionTimeout,
          lock_timeout: String(patience),
          // The pool's would end the wait long before a frozen holder has lost the realm.
          statement_timeout: "0"
        }),
        maxConnections: 16,
        idleTimeout: "5 seconds"
      })
      const session = Effect.fnUntraced(function*(realmUrls: ReadonlyArray<RealmUrl>) {
        const connection = yield* pool.reserve
        // Registered before the lock is asked for: it may be granted while its caller is being interrupted.
        yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(connection.query(unlockAll), "2 seconds")))
        for (const realmUrl of realmUrls) yield* connection.query(lock, [lockKey(`realm|${realmUrl}`)])
        yield* Effect.forkScoped(Effect.ignore(Effect.forever(
          Effect.andThen(Effect.sleep("2 seconds"), connection.query(heartbeat))
        )))
      })
      const mutexes = yield* makeMutexes
      return RealmWriteLock.of({
        withLock: (...realmUrls) => (write) =>
          Effect.scoped(Effect.gen(function*() {
            const ordered = inOrder(realmUrls)
            yield* withPatience(
              realmUrls[0],
              Effect.andThen(
                mutexes.take(ordered),
                Effect.mapError(
                  session(ordered),
                  (cause) =>
                    cause.reason._tag === "LockTimeoutError"
                      ? new LockTimeout({ realmUrl: realmUrls[0], waitedMs: patience })
                      : new DatabaseError({ operation: `lock ${realmUrls[0]}`, cause })
                )
              )
            )
            return yield* write
          }))
      })
    })
  )

  /** Services built on one instance of this layer exclude each other: a fleet in one process. */
  static readonly layerMemory = Layer.effect(
    RealmWriteLock,
    Effect.map(makeMutexes, (mutexes) =>
      RealmWriteLock.of({
        withLock: (...realmUrls) => (write) =>
          Effect.scoped(Effect.andThen(withPatience(realmUrls[0], mutexes.take(inOrder(realmUrls))), write))
      }))
  )
}
