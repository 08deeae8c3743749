import { Context, Layer } from "effect"

const zero = () => ({
  transpiles: 0,
  l1Hits: 0,
  /** Answers of published realms that were finished in memory, and written before any routing. */
  finishedHits: 0,
  l2Hits: 0,
  joined: 0,
  l2WriteRejected: 0,
  l2Errors: 0,
  invalidationsReceived: 0,
  listenerReconnects: 0,
  gapsRepaired: 0,
  leaseExpiries: 0,
  takeovers: 0,
  malformedPayloads: 0,
  failovers: 0,
  editsNoticed: 0,
  batchesFinished: 0,
  /** Definitions answered from memory. */
  definitionHits: 0,
  /** Modules whose definitions were put together here. */
  definitionsComputed: 0,
  /** Definitions in memory that were found void because a module that they depend on, or they themselves, changed. */
  definitionsInvalidated: 0,
  /** Rows of dependents that a change made here has voided, in any realm. */
  definitionsCascaded: 0,
  renderings: 0,
  renderingsKept: 0,
  jobsDone: 0,
  jobsFailed: 0,
  jobTakeovers: 0
})

/**
 * What this replica has done since it started, as `/_status` shows it. Plain numbers: every request touches them.
 */
export class Counters extends Context.Service<Counters, ReturnType<typeof zero>>()("lockstep/coordination/Counters") {
  static readonly layer = Layer.sync(Counters, zero)
}
