import { Effect } from "effect"
import { RealmWriteLock } from "../coordination/RealmWriteLock.ts"
import { RealmConflict, RealmNotFound } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { type Grant, type Permission, PermissionTable } from "../store/PermissionTable.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { Transaction } from "../store/Transaction.ts"
import { Invalidation } from "./Invalidation.ts"
import { requireOwner } from "./requireOwner.ts"

/** What changes of who may read, write and own a realm. What is left out stays. */
export interface AccessChange {
  readonly realmUrl: RealmUrl
  /** A user's permission from now on; null for none. */
  readonly grant?: { readonly user: string; readonly permission: Permission | null } | undefined
  readonly isPrivate?: boolean | undefined
  /** The user who asks, and must own the realm; none for the admin, who may give permission for a URL without a realm. */
  readonly owner: string | undefined
}

/** Beyond so many users a realm's readers are better kept by whoever issues their tokens. */
export const maxGrants = 1_000

/**
 * Changes who may do what with a realm. It moves the generation under the same commit, whatever changes: what replicas
 * remember of permissions is good for the generation that it was read at, and privacy is read with the row. So a revocation
 * is obeyed like a publish: when this returns, by every replica (I1), and within a lease by one that cannot be reached (I2).
 */
export const changeAccess = Effect.fn("changeAccess")(function*(change: AccessChange) {
  const { grant, isPrivate, owner, realmUrl } = change
  const invalidation = yield* Invalidation
  const lock = yield* RealmWriteLock
  const permissions = yield* PermissionTable
  const realms = yield* RealmTable
  const transaction = yield* Transaction

  const write = Effect.gen(function*() {
    if (grant !== undefined) {
      const { permission, user } = grant
      yield* permission === null
        ? permissions.revoke(realmUrl, user)
        : permissions.grant({ realmUrl, user, permission })
      if ((yield* permissions.ofRealm(realmUrl)).length > maxGrants) {
        return yield* new RealmConflict({
          realmUrl,
          detail: `has ${maxGrants} users with permission, which is all it may`
        })
      }
    }
    if (isPrivate !== undefined) yield* realms.setPrivate(realmUrl, isPrivate)
  })

  const moved = yield* lock.withLock(realmUrl)(Effect.gen(function*() {
    const [realm] = (yield* realms.read([realmUrl])).realms
    if (realm?.state !== "live") {
      if (owner !== undefined || isPrivate !== undefined) return yield* new RealmNotFound({ realmUrl })
      yield* transaction.run(write)
      return undefined
    }
    yield* requireOwner(realmUrl, owner)
    // Bytes stay what they are: only who may see them changes. A realm that changes between public and private is forgotten
    // whole, so that nothing made under the one is found under the other.
    const changesPrivacy = isPrivate !== undefined && isPrivate !== realm.isPrivate
    return yield* invalidation.commit(realm, changesPrivacy ? "realm" : [], "access", write)
  }))
  if (moved !== undefined) yield* invalidation.tell(moved, "all")
  return yield* accessOf(realmUrl)
})

/** Who may do what with a realm, as PostgreSQL knows it. A URL without a realm has permissions at most. */
export const accessOf = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
  const permissions = yield* PermissionTable
  const realms = yield* RealmTable
  const grants: ReadonlyArray<Grant> = yield* permissions.ofRealm(realmUrl)
  const [realm] = (yield* realms.read([realmUrl])).realms
  const live = realm?.state === "live" ? realm : undefined
  return {
    realmUrl,
    generation: live?.generation ?? 0,
    isPrivate: live?.isPrivate ?? false,
    exists: live !== undefined,
    grants
  }
})
