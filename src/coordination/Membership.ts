import * as crypto from "node:crypto"
import { Context, Effect, Layer, Schedule } from "effect"
import type { DatabaseError } from "../domain/errors.ts"
import { type ReplicaRow, ReplicaTable } from "../store/ReplicaTable.ts"

export interface Identity {
  readonly replicaId: string
  /** How other replicas and workers reach this one. */
  readonly advertiseUrl: string
  readonly leaseMillis: number
}

/** This replica's place in the fleet: renewed a few times a lease, given up at a clean stop. */
export class Membership extends Context.Service<Membership, {
  readonly self: ReplicaRow
  /** Members that have renewed lately, this one included. */
  readonly live: Effect.Effect<ReadonlyArray<ReplicaRow>, DatabaseError>
}>()("lockstep/coordination/Membership") {
  static readonly layer = (identity: Identity) =>
    Layer.effect(
      Membership,
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        // Twins started with one id are two members: the boot tells them apart.
        const self: ReplicaRow = { ...identity, bootId: crypto.randomUUID() }
        yield* Effect.acquireRelease(
          Effect.ignore(replicas.renew(self)),
          () => Effect.ignore(Effect.timeout(replicas.leave(self), "1 second"))
        )
        yield* Effect.forkScoped(Effect.repeat(
          Effect.catch(
            replicas.renew(self),
            (error) => Effect.logWarning("The membership could not be renewed", error)
          ),
          Schedule.spaced(identity.leaseMillis / 3)
        ))
        return Membership.of({ self, live: replicas.live })
      })
    )
}
