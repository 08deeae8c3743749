import { Context, Effect, Layer, Queue, Semaphore } from "effect"
import { Counters } from "../coordination/Counters.ts"
import { moduleMessages } from "../coordination/definitionMessages.ts"
import type { Change } from "../coordination/Generations.ts"
import { Notifications } from "../coordination/Notifications.ts"
import { moduleUrl } from "../definitions/ModuleLocator.ts"
import { aliasOf } from "../domain/ModulePath.ts"
import type { DatabaseError } from "../domain/errors.ts"
import { type Changed, ModuleTable } from "../store/ModuleTable.ts"
import { Invalidation } from "./Invalidation.ts"

/** Changes that wait for their turn. The oldest are forgotten beyond it. */
const backlog = 1_000

/**
 * Voids what depends on a change, in any realm (S27): rows of definitions, and by `module_cache_invalidated` what replicas
 * have in memory. The rows' recorded dependencies are transitive, so one question finds all.
 *
 * It runs after the change was committed, holds no realm's lock and moves no generation: a definition is compared with
 * what it was made from whenever it is read (rule 12), so a cascade that is late or lost costs nothing but rows that
 * nobody reads.
 */
export class Cascade extends Context.Service<Cascade, {
  /** Follows one change to its end. Changes that this replica commits are followed by themselves. */
  readonly follow: (change: Change) => Effect.Effect<void, DatabaseError>
}>()("lockstep/lifecycle/Cascade") {
  static readonly layer = Layer.effect(
    Cascade,
    Effect.gen(function*() {
      const counters = yield* Counters
      const invalidation = yield* Invalidation
      const notifications = yield* Notifications
      const table = yield* ModuleTable

      // One at a time: who follows a change that is being followed already waits until that is done.
      const turn = yield* Semaphore.make(1)
      const follow = Effect.fn("Cascade.follow")(function*(change: Change) {
        const changed = changedBy(change)
        if ("urls" in changed && changed.urls.length === 0) return
        const voided = yield* table.voidDependents(changed, change)
        if (voided.length === 0) return
        counters.definitionsCascaded += voided.length
        const byRealm = Map.groupBy(voided, ({ realmUrl }) => realmUrl)
        yield* notifications.notify(
          Array.from(
            byRealm,
            ([realmUrl, rows]) => moduleMessages(realmUrl, rows.map(({ path }) => moduleUrl(realmUrl, path)))
          ).flat()
        )
      }, (following) => turn.withPermit(following))

      const changes = yield* Queue.sliding<Change>(backlog)
      yield* invalidation.subscribe((change) => {
        Queue.offerUnsafe(changes, change)
      })
      yield* Queue.take(changes).pipe(
        Effect.flatMap((change) =>
          Effect.catch(
            follow(change),
            (error) => Effect.logWarning(`Dependents of ${change.realmUrl} were not told of a change`, error)
          )
        ),
        Effect.forever,
        Effect.forkScoped
      )
      return Cascade.of({ follow })
    })
  )
}

/** A file is known by its path, by its alias, and, where it is no module, to imports all the same. */
const changedBy = ({ paths, realmUrl }: Change): Changed =>
  paths === "*" ? { realmUrl } : {
    urls: [
      ...new Set(paths.flatMap((path) => {
        const alias = aliasOf(path)
        return [moduleUrl(realmUrl, path), ...(alias === undefined ? [] : [moduleUrl(realmUrl, alias)])]
      }))
    ]
  }
