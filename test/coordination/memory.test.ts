import { Effect, Layer } from "effect"
import type { MemoryBus } from "../../src/coordination/MemoryBus.ts"
import { Notifications } from "../../src/coordination/Notifications.ts"
import { PopulateCoordinator } from "../../src/coordination/PopulateCoordinator.ts"
import { RealmWriteLock } from "../../src/coordination/RealmWriteLock.ts"
import type { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { notifications } from "../contract/notifications.ts"
import { populateCoordinator, TwoCoordinators } from "../contract/populateCoordinator.ts"
import { realmWriteLock, TwoWriteLocks } from "../contract/realmWriteLock.ts"
import { barrier, LeasedFleet } from "../contract/barrier.ts"
import { aboveLease, memoryFleet, memoryLease, replicaOf } from "./leases.ts"

// In memory, the replicas of a fleet share one instance.
populateCoordinator(
  "memory",
  Layer.effect(TwoCoordinators, Effect.map(PopulateCoordinator, (one) => ({ here: one, there: one }))).pipe(
    Layer.provide(PopulateCoordinator.layerMemory)
  )
)
realmWriteLock(
  "memory",
  Layer.effect(TwoWriteLocks, Effect.map(RealmWriteLock, (one) => ({ here: one, there: one }))).pipe(
    Layer.provide(RealmWriteLock.layerMemory)
  )
)
notifications("memory", Notifications.layerMemory.pipe(Layer.provide(memoryLease("one")), Layer.provide(memoryFleet)))

const fleet = Layer.effect(
  LeasedFleet,
  Effect.gen(function*() {
    const shared = yield* Effect.context<MemoryBus | MemoryDatabase | RealmTable>()
    return LeasedFleet.of({
      start: Effect.fnUntraced(function*(leaseMillis) {
        const replica = aboveLease.pipe(
          Layer.provideMerge(Layer.fresh(Notifications.layerMemory)),
          Layer.provideMerge(memoryLease("replica", leaseMillis))
        )
        // In the replica's own scope: the fleet's is in that context, too.
        const scope = yield* Effect.scope
        return replicaOf(yield* Effect.provideContext(Layer.buildWithScope(replica, scope), shared))
      })
    })
  })
).pipe(Layer.provideMerge(RealmTable.layerMemory), Layer.provide(memoryFleet))

barrier("memory", fleet)
