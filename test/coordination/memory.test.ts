import { Effect, Layer } from "effect"
import { Notifications } from "../../src/coordination/Notifications.ts"
import { PopulateCoordinator } from "../../src/coordination/PopulateCoordinator.ts"
import { RealmWriteLock } from "../../src/coordination/RealmWriteLock.ts"
import { notifications } from "../contract/notifications.ts"
import { populateCoordinator, TwoCoordinators } from "../contract/populateCoordinator.ts"
import { realmWriteLock, TwoWriteLocks } from "../contract/realmWriteLock.ts"
import { memoryFleet, memoryLease } from "./leases.ts"

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
