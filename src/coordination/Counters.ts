import { Context, Effect, Layer } from "effect"
import { counter, liveCounter } from "../domain/Metrics.ts"

/** What is counted, and what each number says: `/_status` shows them by name, `/_metrics` with their descriptions. */
const descriptions = {
  transpiles: "Modules whose transpile was begun here",
  l1Hits: "Modules answered from memory",
  finishedHits: "Answers of published realms that were finished in memory, and written before any routing",
  l2Hits: "Values found in the shared cache",
  joined: "Values that another reader's run made, in this process or in another",
  l2WriteRejected: "Values that the shared cache refused because something newer had been there",
  l2Errors: "Uses of the shared cache that failed; the callers got their values all the same",
  invalidationsReceived: "Changes of other replicas that were heard",
  listenerReconnects: "Losses of the listening session",
  gapsRepaired: "Gaps in what was heard that a catch-up repaired",
  leaseExpiries: "Times that the lease ended without having been renewed",
  takeovers: "Runs that another replica had begun and left",
  malformedPayloads: "Notifications that could not be read",
  failovers: "Failovers or restores of PostgreSQL that were noticed here",
  editsNoticed: "Edits on disk that became an invalidation here",
  batchesFinished: "Batches of edits that another writer had left half done",
  definitionHits: "Definitions answered from memory",
  definitionsComputed: "Modules whose definitions were put together here",
  definitionsInvalidated: "Definitions in memory found void, because they or a module that they depend on changed",
  definitionsCascaded: "Rows of dependents that a change made here has voided, in any realm",
  renderings: "Entries rendered by reindex jobs here",
  renderingsKept: "Renderings that were still valid, and carried over",
  jobsDone: "Reindex jobs done here",
  jobsFailed: "Attempts at a reindex job that failed here",
  jobTakeovers: "Jobs put back whose worker had not renewed its claim"
}

const names = Object.keys(descriptions) as ReadonlyArray<keyof typeof descriptions>

const zero = () => Object.fromEntries(names.map((name) => [name, 0])) as { [Name in keyof typeof descriptions]: number }

/**
 * What this replica has done since it started, as `/_status` shows it. Plain numbers: every request touches them.
 */
export class Counters extends Context.Service<Counters, ReturnType<typeof zero>>()("lockstep/coordination/Counters") {
  static readonly layer = Layer.effect(
    Counters,
    Effect.gen(function*() {
      const counters = zero()
      for (const name of names) {
        const words = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
        yield* liveCounter(counter(words, descriptions[name]), () => counters[name])
      }
      return counters
    })
  )

  /** For a part whose doings are not the replica's to show. */
  static readonly layerApart = Layer.sync(Counters, zero)
}
