import { Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/** What a user may do with a realm: each includes those before it. */
export const Permission = Schema.Literals(["read", "write", "owner"])
export type Permission = typeof Permission.Type

/** One user's permission for one realm. */
export interface Grant {
  readonly realmUrl: RealmUrl
  readonly user: string
  readonly permission: Permission
}

const SqlRow = Schema.Struct({ realm_url: Schema.String, user_name: Schema.String, permission: Permission })
const decode = Schema.decodeUnknownSync(Schema.Array(SqlRow))
const toGrants = (rows: ReadonlyArray<unknown>): ReadonlyArray<Grant> =>
  decode(rows).map(({ permission, realm_url, user_name }) => ({
    realmUrl: realm_url as RealmUrl,
    user: user_name,
    permission
  }))

/**
 * Table `realm_permissions`: which user may do what with which realm. Only lifecycle programs write, under the realm's
 * write lock and in a transaction that moves its generation: what was read of it is good for that generation.
 */
export class PermissionTable extends Context.Service<PermissionTable, {
  /** What a user may do with a realm, which need not exist. */
  readonly find: (realmUrl: RealmUrl, user: string) => Effect.Effect<Option.Option<Permission>, DatabaseError>
  /** Every grant for a realm, by user. */
  readonly ofRealm: (realmUrl: RealmUrl) => Effect.Effect<ReadonlyArray<Grant>, DatabaseError>
  /** Every grant to a user, by realm. */
  readonly ofUser: (user: string) => Effect.Effect<ReadonlyArray<Grant>, DatabaseError>
  /** Gives a user this permission, in place of what the user had. */
  readonly grant: (grant: Grant) => Effect.Effect<void, DatabaseError>
  /** Takes a user's permission away. */
  readonly revoke: (realmUrl: RealmUrl, user: string) => Effect.Effect<void, DatabaseError>
  /** Forgets a realm that goes: who makes one of that name anew begins anew. */
  readonly clear: (realmUrl: RealmUrl) => Effect.Effect<void, DatabaseError>
}>()("lockstep/store/PermissionTable") {
  static readonly layer = Layer.effect(
    PermissionTable,
    Effect.map(SqlClient.SqlClient, (sql) =>
      PermissionTable.of({
        find: (realmUrl, user) =>
          statement(
            "read a permission",
            sql`SELECT realm_url, user_name, permission FROM realm_permissions
              WHERE realm_url = ${realmUrl} AND user_name = ${user}`
          ).pipe(Effect.map((rows) => Option.fromUndefinedOr(toGrants(rows)[0]?.permission))),
        ofRealm: (realmUrl) =>
          statement(
            "list a realm's permissions",
            sql`SELECT realm_url, user_name, permission FROM realm_permissions
              WHERE realm_url = ${realmUrl} ORDER BY user_name COLLATE "C"`
          ).pipe(Effect.map(toGrants)),
        ofUser: (user) =>
          statement(
            "list a user's permissions",
            sql`SELECT realm_url, user_name, permission FROM realm_permissions
              WHERE user_name = ${user} ORDER BY realm_url COLLATE "C"`
          ).pipe(Effect.map(toGrants)),
        grant: ({ permission, realmUrl, user }) =>
          Effect.asVoid(statement(
            "grant a permission",
            sql`INSERT INTO realm_permissions (realm_url, user_name, permission)
              VALUES (${realmUrl}, ${user}, ${permission})
              ON CONFLICT (realm_url, user_name) DO UPDATE SET permission = EXCLUDED.permission, granted_at = now()`
          )),
        revoke: (realmUrl, user) =>
          Effect.asVoid(statement(
            "revoke a permission",
            sql`DELETE FROM realm_permissions WHERE realm_url = ${realmUrl} AND user_name = ${user}`
          )),
        clear: (realmUrl) =>
          Effect.asVoid(statement(
            "forget a realm's permissions",
            sql`DELETE FROM realm_permissions WHERE realm_url = ${realmUrl}`
          ))
      }))
  )

  static readonly layerMemory = Layer.effect(
    PermissionTable,
    Effect.map(MemoryDatabase, (database) => {
      const key = (realmUrl: RealmUrl, user: string) => `${realmUrl}\0${user}`
      const select = (wanted: (grant: Grant) => boolean) =>
        database.read((tables) =>
          Array.from(tables.permissions).toSorted(([a], [b]) => a < b ? -1 : 1).flatMap(([id, permission]) => {
            const [realmUrl = "", user = ""] = id.split("\0")
            const grant: Grant = { realmUrl: realmUrl as RealmUrl, user, permission }
            return wanted(grant) ? [grant] : []
          })
        )
      return PermissionTable.of({
        find: (realmUrl, user) =>
          database.read((tables) => Option.fromUndefinedOr(tables.permissions.get(key(realmUrl, user)))),
        ofRealm: (realmUrl) => select((grant) => grant.realmUrl === realmUrl),
        ofUser: (user) => select((grant) => grant.user === user),
        grant: ({ permission, realmUrl, user }) =>
          database.write((tables) => void tables.permissions.set(key(realmUrl, user), permission)),
        revoke: (realmUrl, user) => database.write((tables) => void tables.permissions.delete(key(realmUrl, user))),
        clear: (realmUrl) =>
          database.write((tables) => {
            for (const id of Array.from(tables.permissions.keys())) {
              if (id.startsWith(key(realmUrl, ""))) tables.permissions.delete(id)
            }
          })
      })
    })
  )
}
