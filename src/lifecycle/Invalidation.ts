import { Context, Effect, Layer, Option, type Scope } from "effect"
import { type Acknowledgement, Barrier } from "../coordination/Barrier.ts"
import { realmMessage } from "../coordination/definitionMessages.ts"
import type { Cause } from "../coordination/EventLog.ts"
import { type Change, Generations, type Messages } from "../coordination/Generations.ts"
import { Notifications } from "../coordination/Notifications.ts"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { ReindexQueue } from "../coordination/ReindexQueue.ts"
import { CommitConflict, type DatabaseError, type LockTimeout, RealmNotFound } from "../domain/errors.ts"
import { aliasCandidates, isExecutable } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { ModuleTable } from "../store/ModuleTable.ts"
import { ModuleTranspileTable } from "../store/ModuleTranspileTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { Transaction } from "../store/Transaction.ts"

/** What an invalidation voids: these paths, everything of the realm, or only what is known of its definitions. */
export type Target = ReadonlyArray<string> | "realm" | "definitions"

/** Whether to return once the replicas that are well have applied a change (`soon`), or only when all of them have. */
export type Wait = "soon" | "all"

/** Beyond this many paths it is cheaper to void the realm. */
const maxPaths = 5000

/** The target for a change of these files. */
export const targetOf = (paths: ReadonlyArray<string>): Target => paths.length > maxPaths ? "realm" : paths

/**
 * The one invalidation path (S23): the only code that moves the generation of a realm that stays what it is. Lifecycle
 * programs that change what a realm is (publish, create, delete) move it with the same table operations and end in the
 * same announcement.
 */
export class Invalidation extends Context.Service<Invalidation, {
  /**
   * Moves the realm to its next generation, which voids the target here and in L2. The caller holds the realm, says at
   * which generation it found it, and tells the others when it has let go. `alongside` is committed with it, and so is a
   * job of the reindex where the files of a source realm may have changed. `cause` is for people.
   */
  readonly commit: <E = never, R = never>(
    realm: RealmRow,
    target: Target,
    cause: Cause,
    alongside?: Effect.Effect<void, E, R>
  ) => Effect.Effect<Change, E | CommitConflict | DatabaseError, R>
  /**
   * The end of every change that this replica committed: tells the other replicas and waits for them. Losing it costs
   * latency, never correctness; the catch-up covers it.
   */
  readonly tell: (change: Change, wait: Wait, ...together: Messages) => Effect.Effect<Acknowledgement, DatabaseError>
  /** Locks the realm and invalidates: the public call. */
  readonly invalidate: (
    realmUrl: RealmUrl,
    target: Target
  ) => Effect.Effect<Change, RealmNotFound | CommitConflict | DatabaseError | LockTimeout>
  /** S20: clear here and tell the others, waiting for those that are well. */
  readonly clearLocalSourceCachesAndBroadcast: (change: Change) => Effect.Effect<void, DatabaseError>
  /** S20: tell the others only. */
  readonly notifyAllFileChanges: (change: Change) => Effect.Effect<void, DatabaseError>
  /** S20: clear here only. */
  readonly clearLocalSourceCaches: (change: Change) => Effect.Effect<void>
  /** Calls `handler` for each change that this replica makes, once it is committed, until the scope closes. */
  readonly subscribe: (handler: (change: Change) => void) => Effect.Effect<void, never, Scope.Scope>
}>()("lockstep/lifecycle/Invalidation") {
  static readonly layer = Layer.effect(
    Invalidation,
    Effect.gen(function*() {
      const definitions = yield* ModuleTable
      const barrier = yield* Barrier
      const generations = yield* Generations
      const lock = yield* RealmWriteLock
      const notifications = yield* Notifications
      const queue = yield* ReindexQueue
      const realms = yield* RealmTable
      const transaction = yield* Transaction
      const transpiled = yield* ModuleTranspileTable

      const handlers = new Set<(change: Change) => void>()
      const clearLocalSourceCaches = (change: Change) =>
        Effect.andThen(
          generations.apply(change),
          Effect.sync(() => handlers.forEach((handler) => handler(change)))
        )
      const clearLocalSourceCachesAndBroadcast = (change: Change) =>
        Effect.andThen(clearLocalSourceCaches(change), Effect.asVoid(tell(change, "soon")))

      const tell = (change: Change, wait: Wait, ...together: Messages) =>
        wait === "all" ? barrier.confirm(change, ...together) : barrier.announce(change, ...together)

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
        else if (realm.kind === "source") yield* queue.enqueue(realmUrl, generation.value)
        return generation.value
      })

      const commit = Effect.fn("Invalidation.commit")(function*<E = never, R = never>(
        realm: RealmRow,
        target: Target,
        cause: Cause,
        alongside: Effect.Effect<void, E, R> = Effect.void as Effect.Effect<void, E, R>
      ) {
        const generation = yield* transaction.run(Effect.tap(advance(realm, target), alongside))
        const change: Change = {
          realmUrl: realm.realmUrl,
          generation,
          paths: typeof target === "string" ? "*" : target,
          cause
        }
        yield* clearLocalSourceCaches(change)
        return change
      })

      const invalidate = Effect.fn("Invalidation.invalidate")(function*(realmUrl: RealmUrl, asked: Target) {
        const target = typeof asked === "string" ? asked : asked.flatMap(withModules)
        const change = yield* lock.withLock(realmUrl)(Effect.gen(function*() {
          const [realm] = (yield* realms.read([realmUrl])).realms
          if (realm?.state !== "live") return yield* new RealmNotFound({ realmUrl })
          // Somebody says that what was made is wrong, whatever it was made from.
          const salt = target === "definitions" ? Effect.void : realms.salt(realmUrl)
          return yield* commit(realm, target, "call", salt)
        }))
        yield* tell(change, "soon")
        if (target === "definitions") {
          yield* Effect.ignore(notifications.notify([realmMessage(realmUrl)]))
        }
        return change
      })

      return Invalidation.of({
        commit,
        tell,
        invalidate,
        clearLocalSourceCachesAndBroadcast,
        notifyAllFileChanges: generations.broadcast,
        clearLocalSourceCaches,
        subscribe: (handler) =>
          Effect.asVoid(Effect.acquireRelease(
            Effect.sync(() => handlers.add(handler)),
            () => Effect.sync(() => handlers.delete(handler))
          ))
      })
    })
  )
}

/** A name without an extension may be an alias: it stands for every module that it may resolve to. */
const withModules = (path: string): ReadonlyArray<string> =>
  /\.[^/]*$/.test(path) ? [path] : [path, ...aliasCandidates(path)]
