import { Context, Effect, Layer, Option } from "effect"
import { type Change, Generations } from "../coordination/Generations.ts"
import { Notifications } from "../coordination/Notifications.ts"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { CommitConflict, type DatabaseError, type LockTimeout, RealmNotFound } from "../domain/errors.ts"
import { isExecutable } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { ModuleTable } from "../store/ModuleTable.ts"
import { ModuleTranspileTable } from "../store/ModuleTranspileTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { Transaction } from "../store/Transaction.ts"

/** What an invalidation voids: these paths, everything of the realm, or only what is known of its definitions. */
export type Target = ReadonlyArray<string> | "realm" | "definitions"

/**
 * The one invalidation path (S23): the only code that moves the generation of a realm that stays what it is. Lifecycle
 * programs that change what a realm is (publish, create, delete) move it with the same table operations and end in the
 * same announcement.
 */
export class Invalidation extends Context.Service<Invalidation, {
  /**
   * Moves the realm to its next generation, which voids the target in every replica and in L2. Takes no lock: the caller
   * holds the realm and says at which generation it found it.
   */
  readonly commit: (realm: RealmRow, target: Target) => Effect.Effect<Change, CommitConflict | DatabaseError>
  /** Locks the realm and invalidates: the public call. */
  readonly invalidate: (
    realmUrl: RealmUrl,
    target: Target
  ) => Effect.Effect<Change, RealmNotFound | CommitConflict | DatabaseError | LockTimeout>
  /** S20: clear here and tell the others; what every change ends with, after its commit. */
  readonly clearLocalSourceCachesAndBroadcast: (change: Change) => Effect.Effect<void>
  /** S20: tell the others only. A message that cannot be sent is made good by the others' own reads. */
  readonly notifyAllFileChanges: (change: Change) => Effect.Effect<void>
  /** S20: clear here only. */
  readonly clearLocalSourceCaches: (change: Change) => Effect.Effect<void>
}>()("lockstep/lifecycle/Invalidation") {
  static readonly layer = Layer.effect(
    Invalidation,
    Effect.gen(function*() {
      const definitions = yield* ModuleTable
      const generations = yield* Generations
      const lock = yield* RealmWriteLock
      const notifications = yield* Notifications
      const realms = yield* RealmTable
      const transaction = yield* Transaction
      const transpiled = yield* ModuleTranspileTable

      const clearLocalSourceCaches = generations.apply
      const notifyAllFileChanges = (change: Change) =>
        Effect.catch(
          generations.broadcast(change),
          (error) =>
            Effect.logWarning(`Generation ${change.generation} of ${change.realmUrl} could not be announced`, error)
        )
      const clearLocalSourceCachesAndBroadcast = (change: Change) =>
        Effect.andThen(clearLocalSourceCaches(change), notifyAllFileChanges(change))

      const advance = Effect.fnUntraced(function*(realm: RealmRow, target: Target) {
        const { realmUrl } = realm
        const scope = typeof target === "string" ? target : "paths"
        const generation = yield* realms.advance(realmUrl, realm.generation, scope)
        if (Option.isNone(generation)) return yield* new CommitConflict({ realmUrl, expected: realm.generation })
        if (typeof target !== "string") {
          const modules = target.filter(isExecutable)
          if (modules.length > 0) {
            yield* transpiled.bury(realmUrl, modules, generation.value)
            yield* definitions.bury(realmUrl, modules, generation.value)
          }
        }
        if (target === "definitions") yield* definitions.clear(realmUrl)
        return generation.value
      })

      const commit = Effect.fn("Invalidation.commit")(function*(realm: RealmRow, target: Target) {
        const generation = yield* transaction.run(advance(realm, target))
        const change: Change = {
          realmUrl: realm.realmUrl,
          generation,
          paths: typeof target === "string" ? "*" : target
        }
        yield* clearLocalSourceCachesAndBroadcast(change)
        if (target === "definitions") {
          yield* Effect.ignore(notifications.notify([
            { channel: "module_cache_invalidated", payload: JSON.stringify({ k: "realm", r: realm.realmUrl }) }
          ]))
        }
        return change
      })

      const invalidate = Effect.fn("Invalidation.invalidate")(function*(realmUrl: RealmUrl, target: Target) {
        return yield* lock.withLock(realmUrl)(Effect.gen(function*() {
          const [realm] = (yield* realms.read([realmUrl])).realms
          if (realm?.state !== "live") return yield* new RealmNotFound({ realmUrl })
          return yield* commit(realm, target)
        }))
      })

      return Invalidation.of({
        commit,
        invalidate,
        clearLocalSourceCachesAndBroadcast,
        notifyAllFileChanges,
        clearLocalSourceCaches
      })
    })
  )
}
