import { Clock, Context, Effect, Layer, Queue } from "effect"
import { LRUCache } from "lru-cache"
import type { RealmRow } from "../store/RealmTable.ts"
import type { TreeSize } from "./measureTree.ts"
import { RealmFiles } from "./RealmFiles.ts"

interface Measured extends TreeSize {
  readonly directory: string
  readonly generation: number
  readonly at: number
}

/** A source realm is edited behind our back: what is older than this, in milliseconds, is measured again. */
const maxAge = 60_000

const capacity = 10_000

/** Realms that wait to be measured; more are not taken, and are asked for again. */
const backlog = 1_000

const deadline = "30 seconds"

/**
 * How large realms are, for people: measured in the background, one at a time, when somebody has asked, and remembered.
 * Nobody waits for a disk.
 */
export class RealmSizes extends Context.Service<RealmSizes, {
  /** What was measured last, if anything was; what is missing or old is measured for the next who asks. */
  readonly of: (realm: RealmRow) => Effect.Effect<TreeSize | undefined>
}>()("lockstep/realms/RealmSizes") {
  static readonly layer = Layer.effect(
    RealmSizes,
    Effect.gen(function*() {
      const files = yield* RealmFiles
      const measured = new LRUCache<string, Measured>({ max: capacity })
      const waiting = new Set<string>()
      const wanted = yield* Queue.dropping<RealmRow>(backlog)

      const measure = Effect.fnUntraced(function*(realm: RealmRow) {
        const { directory, generation, realmUrl } = realm
        const size = yield* Effect.option(Effect.timeout(files.measure(realm), deadline))
        waiting.delete(realmUrl)
        if (size._tag === "None") return
        measured.set(realmUrl, { ...size.value, directory, generation, at: yield* Clock.currentTimeMillis })
      })
      yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(wanted), measure)))

      return RealmSizes.of({
        of: (realm) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            const known = measured.get(realm.realmUrl)
            const isCurrent = known !== undefined && known.directory === realm.directory &&
              (realm.kind === "published" || (known.generation === realm.generation && now - known.at < maxAge))
            if (!isCurrent && !waiting.has(realm.realmUrl) && Queue.offerUnsafe(wanted, realm)) {
              waiting.add(realm.realmUrl)
            }
            return known?.directory === realm.directory ? known : undefined
          })
      })
    })
  )
}
