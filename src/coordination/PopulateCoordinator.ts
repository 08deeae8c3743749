import { Context, Deferred, type Duration, Effect, Latch, Layer, Option, Random } from "effect"
import type { DatabaseError } from "../domain/errors.ts"
import { lockKey } from "./lockKey.ts"
import { LockSession } from "./LockSession.ts"
import { Notifications } from "./Notifications.ts"

/**
 * Elects, among all replicas, the one that computes what a key stands for. Keys of all flows share it and are prefixed
 * (`transpile|<realm>|<path>`), so a foreign key is a benign miss.
 */
export class PopulateCoordinator extends Context.Service<PopulateCoordinator, {
  /**
   * Runs the effect under the key's lock, or answers none at once when another fiber or replica holds it. Losers are
   * notified when it ends: by then what `run` has persisted is visible to them.
   */
  readonly tryAcquireAndRun: <A, E, R>(
    coalesceKey: string,
    run: Effect.Effect<A, E, R>
  ) => Effect.Effect<Option.Option<A>, E | DatabaseError, R>
  /**
   * Waits for a winner of this key to end, at most for `timeout`; says whether one did. It is over sooner when nobody holds
   * the key: the winner is dead, or its word was lost. Starts to listen at once.
   */
  readonly waitForKey: (coalesceKey: string, timeout: Duration.Input) => Effect.Effect<boolean>
}>()("lockstep/coordination/PopulateCoordinator") {
  static readonly layer = Layer.effect(
    PopulateCoordinator,
    Effect.gen(function*() {
      const locks = yield* LockSession
      const notifications = yield* Notifications
      const waiters = makeWaiters()
      yield* notifications.subscribe((event) => {
        if (event._tag === "Message" && event.message.channel === "module_cache_populated") {
          waiters.wake(event.message.payload, true)
        }
      })
      // Session locks are re-entrant, so two fibers of one process must be told apart here.
      const running = new Set<string>()

      // One look for all keys that are waited for: a fleet's losers are many, and each that tried would cost all the others.
      // Where it cannot be asked, each hears why when it next tries for itself.
      const look = Effect.gen(function*() {
        yield* waiters.some.await
        yield* Effect.sleep(yield* Random.nextIntBetween(shortestLook, longestLook))
        const keys = waiters.keys().filter((key) => !running.has(key))
        if (keys.length === 0) return
        const free = yield* Effect.orElseSucceed(locks.free(keys), () => [])
        for (const key of free) waiters.wake(key, false)
      })
      yield* Effect.forkScoped(Effect.forever(look))
      return PopulateCoordinator.of({
        tryAcquireAndRun: (coalesceKey, run) =>
          // Only the run is interruptible: an interruption in between would leave the key taken for ever.
          Effect.uninterruptibleMask((restore) =>
            Effect.suspend(() => {
              const key = lockKey(coalesceKey)
              if (running.has(key)) return Effect.succeedNone
              running.add(key)
              return Effect.flatMap(
                locks.tryLock(key),
                (held) => held ? Effect.ensuring(Effect.asSome(restore(run)), locks.release(key)) : Effect.succeedNone
              ).pipe(Effect.ensuring(Effect.sync(() => running.delete(key))))
            })
          ),
        waitForKey: (coalesceKey, timeout) => waiters.wait(lockKey(coalesceKey), timeout)
      })
    })
  )

  /** S15: one process and nobody to coordinate with. Single flight in the process still holds. */
  static readonly layerNone = Layer.succeed(
    PopulateCoordinator,
    PopulateCoordinator.of({
      tryAcquireAndRun: (_, run) => Effect.asSome(run),
      waitForKey: () => Effect.succeed(false)
    })
  )

  /** Services built on one instance of this layer exclude each other: a fleet in one process. */
  static readonly layerMemory = Layer.sync(PopulateCoordinator, () => {
    const held = new Set<string>()
    const waiters = makeWaiters()
    return PopulateCoordinator.of({
      tryAcquireAndRun: (key, run) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.suspend(() => {
            if (held.has(key)) return Effect.succeedNone
            held.add(key)
            return Effect.ensuring(
              Effect.asSome(restore(run)),
              Effect.sync(() => {
                held.delete(key)
                waiters.wake(key, true)
              })
            )
          })
        ),
      waitForKey: waiters.wait
    })
  })
}

/**
 * How often it is looked whether a winner has died, in milliseconds: its key goes to another replica within half a second
 * (rule 8).
 */
const shortestLook = 150
const longestLook = 350

/** Fibers that wait for a key. A key without waiters takes no room. */
const makeWaiters = () => {
  const waiting = new Map<string, Set<Deferred.Deferred<boolean>>>()
  // Open while there is anybody.
  const some = Latch.makeUnsafe(false)
  const leave = (key: string, waiter: Deferred.Deferred<boolean>) => {
    const waiters = waiting.get(key)
    if (waiters?.delete(waiter) === true && waiters.size === 0) waiting.delete(key)
    if (waiting.size === 0) some.closeUnsafe()
  }
  return {
    some,
    keys: () => Array.from(waiting.keys()),
    wake: (key: string, told: boolean) =>
      waiting.get(key)?.forEach((waiter) => Deferred.doneUnsafe(waiter, Effect.succeed(told))),
    wait: (key: string, timeout: Duration.Input): Effect.Effect<boolean> =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          const waiter = Deferred.makeUnsafe<boolean>()
          const waiters = waiting.get(key) ?? new Set()
          waiting.set(key, waiters.add(waiter))
          some.openUnsafe()
          return waiter
        }),
        (waiter) => Effect.map(Effect.timeoutOption(Deferred.await(waiter), timeout), Option.getOrElse(() => false)),
        (waiter) => Effect.sync(() => leave(key, waiter))
      )
  }
}
