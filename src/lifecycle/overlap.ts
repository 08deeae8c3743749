import { Effect } from "effect"
import { RealmConflict } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { RealmTable } from "../store/RealmTable.ts"

/** A realm inside another would hide a part of it: every URL belongs to one realm. */
export const refuseOverlap = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
  const realms = yield* RealmTable
  const [other] = yield* realms.overlapping(realmUrl)
  if (other !== undefined) {
    return yield* new RealmConflict({
      realmUrl,
      // Not which: it may be one that whoever asks must not know of.
      detail: "lies in another realm, or has one in it; no realm may lie inside another"
    })
  }
})

/** The same within the transaction that mounts: two nested realms mounted at one instant see each other. */
export const holdUrl = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
  const realms = yield* RealmTable
  yield* realms.holdRegistry
  yield* refuseOverlap(realmUrl)
})
