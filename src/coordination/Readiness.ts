import { Context, Effect, Layer } from "effect"
import { type DatabaseError, NotReady } from "../domain/errors.ts"
import { RealmTable } from "../store/RealmTable.ts"
import type { OnPartition } from "./Generations.ts"
import { Lease } from "./Lease.ts"

/** For how long one question to PostgreSQL answers everybody who asks whether this replica is ready. */
const asked = "500 millis"

/** Balancers give their checks a second or two. */
const patience = "1 second"

/**
 * Whether a balancer should send requests here. Not whether the process is well: one that is not ready must not be
 * restarted for it.
 */
export class Readiness extends Context.Service<Readiness, {
  /**
   * Succeeds where requests can be answered: the lease is held, or PostgreSQL answers what each read then asks. With
   * `--on-partition serve` memory answers, so that a fleet without PostgreSQL is not without replicas as well.
   */
  readonly check: Effect.Effect<void, NotReady>
  /** From now on it is not ready: the replica is about to end. */
  readonly drain: Effect.Effect<void>
}>()("lockstep/coordination/Readiness") {
  static readonly layer = (onPartition: OnPartition = "refuse") =>
    Layer.effect(
      Readiness,
      Effect.gen(function*() {
        const lease = yield* Lease
        const realms = yield* RealmTable
        let draining = false
        const silent = (_: DatabaseError | { readonly _tag: "TimeoutError" }) =>
          new NotReady({ detail: "PostgreSQL does not answer and the lease has ended" })
        // However many ask: one statement at a time, and two a second.
        const database = yield* Effect.cachedWithTTL(
          Effect.mapError(Effect.timeout(Effect.asVoid(realms.read([])), patience), silent),
          asked
        )
        return Readiness.of({
          check: Effect.suspend(() => {
            if (draining) return Effect.fail(new NotReady({ detail: "the replica is ending: ask another one" }))
            return lease.isHeld() || onPartition === "serve" ? Effect.void : database
          }),
          drain: Effect.sync(() => {
            draining = true
          })
        })
      })
    )
}
