import * as path from "node:path"
import { Effect, Option, Result } from "effect"
import type { Change } from "../coordination/Generations.ts"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { CommitConflict, InvalidInput, RealmConflict } from "../domain/errors.ts"
import { checkName, ofName, type RealmUrl } from "../domain/RealmUrl.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { PermissionTable } from "../store/PermissionTable.ts"
import { RealmFileTable } from "../store/RealmFileTable.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { Transaction } from "../store/Transaction.ts"
import { Invalidation } from "./Invalidation.ts"
import { holdUrl, refuseOverlap } from "./overlap.ts"

/** The realm that is to be, under the public URL. */
export interface CreateRequest {
  readonly publicUrl: RealmUrl
  readonly name: string
  /** An absolute path of a directory on the server, whose files the new realm starts with. */
  readonly from?: string
  /** Only who has permission may read it. Default false. */
  readonly isPrivate?: boolean
  /** The user who makes it, and owns it from now on. */
  readonly owner?: string | undefined
}

/** Creates a source realm. A directory of that name which is there already is taken as it is. */
export const createRealm = Effect.fn("createRealm")(function*(request: CreateRequest) {
  const { from, isPrivate, name, owner, publicUrl } = request
  const files = yield* RealmFiles
  const invalidation = yield* Invalidation
  const lock = yield* RealmWriteLock
  const realms = yield* RealmTable
  const permissions = yield* PermissionTable
  const recorded = yield* RealmFileTable
  const transaction = yield* Transaction
  const checked = checkName(name)
  if (Result.isFailure(checked)) return yield* checked.failure
  if (from !== undefined && !path.isAbsolute(from)) {
    return yield* new InvalidInput({ detail: `"from" must be an absolute path of a directory on the server` })
  }
  const realmUrl = ofName(publicUrl, name)

  const generation = yield* lock.withLock(realmUrl)(Effect.gen(function*() {
    const [existing] = (yield* realms.read([realmUrl])).realms
    if (existing?.state === "live") return yield* new RealmConflict({ realmUrl, detail: "exists already" })
    yield* refuseOverlap(realmUrl)
    const found = (yield* files.sources).includes(name)
    if (from !== undefined && found) {
      return yield* new RealmConflict({
        realmUrl,
        detail: `has a directory from before; remove it, or create the realm without "from" to take it over`
      })
    }
    return yield* Effect.gen(function*() {
      yield* files.createSource(name, from)
      const expected = existing?.generation ?? 0
      // Recorded as the realm is born: an edit that nobody watches is found by comparing.
      yield* recorded.recordAll(realmUrl, yield* files.scan({ directory: name }, undefined, new Map()))
      return yield* transaction.run(Effect.gen(function*() {
        yield* holdUrl(realmUrl)
        const mounted = yield* realms.mount(
          { realmUrl, kind: "source", directory: name, sourceUrl: null, isPrivate },
          expected
        )
        if (Option.isNone(mounted)) return yield* new CommitConflict({ realmUrl, expected })
        if (owner !== undefined) yield* permissions.grant({ realmUrl, user: owner, permission: "owner" })
        return mounted.value
      }))
    }).pipe(Effect.onError(() => found ? Effect.void : removeUnlessCreated(realmUrl, name)))
  }))
  const change: Change = { realmUrl, generation, paths: "*", cause: "create" }
  yield* invalidation.clearLocalSourceCaches(change)
  // Replicas that remember that there is no such realm must forget it.
  yield* invalidation.tell(change, "all", { channel: "realm_registry", payload: realmUrl })
  return { realmUrl, generation }
})

/** What a failed create made on disk would be adopted as a realm later. The reply of its commit may only be lost, though. */
const removeUnlessCreated = (realmUrl: RealmUrl, name: string) =>
  Effect.gen(function*() {
    const files = yield* RealmFiles
    const realms = yield* RealmTable
    const transaction = yield* Transaction
    // A commit whose reply was lost may still be under way, and holds the registry until it ends.
    const { realms: [row] } = yield* transaction.run(
      Effect.andThen(realms.holdRegistry, realms.read([realmUrl]))
    )
    if (row?.state !== "live") yield* files.removeSource(name)
  }).pipe(
    Effect.catch((error) => Effect.logWarning(`The directory ${name} was left behind`, error))
  )
