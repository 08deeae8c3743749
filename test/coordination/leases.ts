import { Context, Effect, Layer } from "effect"
import { Barrier } from "../../src/coordination/Barrier.ts"
import { Counters } from "../../src/coordination/Counters.ts"
import { Generations } from "../../src/coordination/Generations.ts"
import { Lease } from "../../src/coordination/Lease.ts"
import { Membership } from "../../src/coordination/Membership.ts"
import { MemoryBus } from "../../src/coordination/MemoryBus.ts"
import { Sessions } from "../../src/coordination/Sessions.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { ReplicaTable } from "../../src/store/ReplicaTable.ts"

/** One replica's identity, as the program would be given it. */
export const identity = (replicaId: string, leaseMillis = 3_000) => ({
  replicaId,
  advertiseUrl: `http://${replicaId}/`,
  leaseMillis
})

/** A database and a bus that the replicas of one test share. */
export const memoryFleet = Layer.mergeAll(MemoryDatabase.layer, MemoryBus.layer)

/** A lease of its own on them. */
export const memoryLease = (replicaId: string, leaseMillis?: number) =>
  Layer.fresh(Lease.layer).pipe(
    Layer.provideMerge(Layer.fresh(Layer.mergeAll(
      Counters.layer,
      Membership.layer(identity(replicaId, leaseMillis)),
      ReplicaTable.layerMemory,
      Sessions.layerMemory
    )))
  )

/** What a replica has above its lease. */
export const aboveLease = Layer.fresh(Barrier.layer).pipe(Layer.provideMerge(Layer.fresh(Generations.layer())))

/** What tests look at of a replica. */
export const replicaOf = (context: Context.Context<Barrier | Generations | Lease>) => ({
  barrier: Context.get(context, Barrier),
  generations: Context.get(context, Generations),
  lease: Context.get(context, Lease)
})

/** A replica that hears what is on the bus, at once, and never holds a lease: every read asks. */
export const neverHeld = Layer.effect(
  Lease,
  Effect.map(MemoryBus, (bus) =>
    Lease.of({
      self: { ...identity("listens"), bootId: "listens" },
      isHeld: () => false,
      heardAt: () => 0,
      subscribe: (handler) => bus.subscribe((message) => handler({ _tag: "Message", message })),
      requestCatchUp: () => {},
      acknowledge: () => {}
    }))
)
