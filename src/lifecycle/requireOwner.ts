import { Effect, Option } from "effect"
import { RealmNotFound } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { PermissionTable } from "../store/PermissionTable.ts"

/**
 * Refuses what a user asked for unless that user owns the realm. The caller holds the realm: between an earlier look and the
 * lock, somebody else may have made a realm of that URL. Without a user it is the admin who asks.
 */
export const requireOwner = Effect.fnUntraced(function*(realmUrl: RealmUrl, user: string | undefined) {
  if (user === undefined) return
  const permissions = yield* PermissionTable
  const permission = yield* permissions.find(realmUrl, user)
  if (Option.getOrUndefined(permission) !== "owner") return yield* new RealmNotFound({ realmUrl })
})
