import { Effect } from "effect"
import { Membership } from "../coordination/Membership.ts"

/** How many replicas live, and how many cannot answer from before the change any more. */
export interface Acknowledgement {
  readonly live: number
  readonly acked: number
}

/**
 * Waits until no replica can answer from before a committed change. Every read asks PostgreSQL for its realm's
 * generation, so a replica that begins an answer after the commit sees it: nothing is left to wait for.
 */
export const barrier: Effect.Effect<Acknowledgement, never, Membership> = Effect.gen(function*() {
  const membership = yield* Membership
  const members = yield* Effect.orElseSucceed(membership.live, () => [membership.self])
  return { live: members.length, acked: members.length }
})
