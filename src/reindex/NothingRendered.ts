import { Context, Layer } from "effect"
import { LRUCache } from "lru-cache"

/**
 * Which bytes of which files were seen to have no rendering, so that they are not fetched again by each job. Forgetting
 * costs a fetch.
 */
export class NothingRendered extends Context.Service<NothingRendered, {
  /** The hash of the bytes. */
  readonly get: (realmUrl: string, path: string) => string | undefined
  readonly set: (realmUrl: string, path: string, hash: string) => void
}>()("lockstep/reindex/NothingRendered") {
  static readonly layer = Layer.sync(NothingRendered, () => {
    const hashes = new LRUCache<string, string>({ max: 50_000 })
    return NothingRendered.of({
      get: (realmUrl, path) => hashes.get(`${realmUrl}\0${path}`),
      set: (realmUrl, path, hash) => void hashes.set(`${realmUrl}\0${path}`, hash)
    })
  })
}
