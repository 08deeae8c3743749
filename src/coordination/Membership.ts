import * as crypto from "node:crypto"
import { Context, Effect, Layer } from "effect"
import type { ReplicaRow } from "../store/ReplicaTable.ts"

/** Who a replica is in its fleet. */
export interface Identity {
  readonly replicaId: string
  /** How other replicas and workers reach this one. */
  readonly advertiseUrl: string
  /** How long this replica may trust its memory without hearing from PostgreSQL. */
  readonly leaseMillis: number
}

/** This process as a member of the fleet. Twins started with one id are two members: the boot tells them apart. */
export class Membership extends Context.Service<Membership, ReplicaRow>()("lockstep/coordination/Membership") {
  static readonly layer = ({ advertiseUrl, leaseMillis, replicaId }: Identity) =>
    Layer.effect(
      Membership,
      Effect.sync(() => ({ replicaId, advertiseUrl, leaseMillis, bootId: crypto.randomUUID() }))
    )
}
