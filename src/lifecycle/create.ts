import * as path from "node:path"
import { Effect, Option, Result } from "effect"
import { Notifications } from "../coordination/Notifications.ts"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { CommitConflict, InvalidInput, RealmConflict } from "../domain/errors.ts"
import { checkName, ofName, type RealmUrl } from "../domain/RealmUrl.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { Transaction } from "../store/Transaction.ts"
import { Invalidation } from "./Invalidation.ts"
import { refuseOverlap } from "./overlap.ts"

export interface CreateRequest {
  readonly publicUrl: RealmUrl
  readonly name: string
  /** An absolute path of a directory on the server, whose files the new realm starts with. */
  readonly from?: string
}

/** Creates a source realm. A directory of that name which is there already is taken as it is. */
export const createRealm = Effect.fn("createRealm")(function*({ from, name, publicUrl }: CreateRequest) {
  const files = yield* RealmFiles
  const invalidation = yield* Invalidation
  const lock = yield* RealmWriteLock
  const notifications = yield* Notifications
  const realms = yield* RealmTable
  const transaction = yield* Transaction
  const checked = checkName(name)
  if (Result.isFailure(checked)) return yield* checked.failure
  if (from !== undefined && !path.isAbsolute(from)) {
    return yield* new InvalidInput({ detail: `"from" must be an absolute path of a directory on the server` })
  }
  const realmUrl = ofName(publicUrl, name)

  return yield* lock.withLock(realmUrl)(Effect.gen(function*() {
    const [existing] = (yield* realms.read([realmUrl])).realms
    if (existing?.state === "live") return yield* new RealmConflict({ realmUrl, detail: "exists already" })
    yield* refuseOverlap(realmUrl)
    if (from !== undefined && (yield* files.sources).includes(name)) {
      return yield* new RealmConflict({
        realmUrl,
        detail: `has a directory from before; remove it, or create the realm without "from" to take it over`
      })
    }
    yield* files.createSource(name, from)
    const expected = existing?.generation ?? 0
    const generation = yield* transaction.run(
      realms.mount({ realmUrl, kind: "source", directory: name, sourceUrl: null }, expected)
    )
    if (Option.isNone(generation)) return yield* new CommitConflict({ realmUrl, expected })
    yield* invalidation.clearLocalSourceCachesAndBroadcast({ realmUrl, generation: generation.value, paths: "*" })
    yield* Effect.ignore(notifications.notify([{ channel: "realm_registry", payload: realmUrl }]))
    return { realmUrl, generation: generation.value }
  }))
})
