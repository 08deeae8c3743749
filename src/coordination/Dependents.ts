import { Context, Effect } from "effect"
import type { Change } from "./RealmMemory.ts"

/**
 * Who derives artifacts from several modules, and wants to know of each change after its commit: a latency hint, as every
 * announcement is. What was derived must be valid by its own record of what it was made from. Nobody by default.
 */
export const Dependents = Context.Reference<{
  /** Told once for each change that this replica has committed, while the other replicas are told. */
  readonly changed: (change: Change) => Effect.Effect<void>
}>("lockstep/coordination/Dependents", { defaultValue: () => ({ changed: () => Effect.void }) })
