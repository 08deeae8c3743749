import { Metric } from "effect"

/** In seconds: from what a message between two processes takes, to the longest lease that anybody should have. */
const boundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** How long a publish, or whatever else promises I1, waited from its commit until no replica could answer from before it. */
export const publishBarrier = Metric.histogram("lockstep_publish_barrier_seconds", {
  description: "From the commit of a change until no replica could answer from before it, where that was waited for",
  boundaries
})

/**
 * For each change that this replica made and each other member: how long that member may have answered from before it. An
 * upper bound on the publisher's own monotonic clock, from the commit: until the member's acknowledgement was heard, or else
 * its lease with the drift. No two clocks are compared.
 */
export const invalidationDelay = Metric.histogram("lockstep_invalidation_delay_seconds", {
  description: "From the commit of a change until another member was known to have applied it, for each member",
  boundaries
})
