import { Context, Effect, Layer, Option, Redacted } from "effect"
import { LRUCache } from "lru-cache"
import type { Fence } from "../coordination/Fence.ts"
import type { RealmView } from "../coordination/Generations.ts"
import { type DatabaseError, RealmNotFound } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { type Permission, PermissionTable } from "../store/PermissionTable.ts"
import { type RealmRow, RealmTable } from "../store/RealmTable.ts"
import { AccessMisconfigured, AccessNotConfigured, Forbidden, type KeysUnavailable, Unauthenticated } from "./errors.ts"
import { fleetHeader, FleetPass } from "./FleetPass.ts"
import { admin, anonymous, fleet, type Principal } from "./Principal.ts"
import { makeSameSecret } from "./sameSecret.ts"
import { isLongEnough, makeUserTokens, type UserTokensOptions } from "./UserTokens.ts"

/** Who may do what. Without a token and without users everybody may do everything: only where nobody else can reach it. */
export interface AccessOptions {
  /** Whoever has it may do everything: at least 16 visible ASCII characters. */
  readonly adminToken?: Redacted.Redacted | undefined
  /** Where tokens of users come from. */
  readonly users?: UserTokensOptions | undefined
}

type Headers = { readonly [name: string]: string | undefined }

/** Says who sends a request, and what they may do. */
export class Access extends Context.Service<Access, {
  /** Nothing is configured: everybody is the admin. */
  readonly isOpen: boolean
  /** Who sends a request with these headers. Credentials that are not good are refused, whatever the request is for. */
  readonly authenticate: (
    headers: Headers
  ) => Effect.Effect<Principal, Unauthenticated | KeysUnavailable | DatabaseError>
  /**
   * Whether a realm may be read. Where there is none at `asked`, the answer is no, after the same work as for a private one
   * that may not be read: neither the answer nor its time tells the two apart.
   */
  readonly mayRead: (
    principal: Principal,
    view: RealmView | undefined,
    asked: RealmUrl
  ) => Effect.Effect<boolean, DatabaseError>
  /** Whether a realm's files may be written. */
  readonly mayWrite: (principal: Principal, view: RealmView) => Effect.Effect<boolean, DatabaseError>
  /** Fails unless the principal has this permission for a realm, as PostgreSQL knows it now. */
  readonly demand: (
    principal: Principal,
    realmUrl: RealmUrl,
    permission: Permission
  ) => Effect.Effect<void, DatabaseError | Forbidden | RealmNotFound>
  /** Which of these realms may be read, by URL: for whoever lists them. */
  readonly readable: (
    principal: Principal,
    rows: ReadonlyArray<RealmRow>
  ) => Effect.Effect<ReadonlyArray<RealmRow>, DatabaseError>
}>()("lockstep/access/Access") {
  /** `host` is the address that is listened on: one that others can reach needs access configured. */
  static readonly layer = (host: string, options: AccessOptions = {}) =>
    Layer.effect(Access, make(host, options)).pipe(Layer.provide(FleetPass.layer))
}

/** An address that only this machine can reach. */
export const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || host === "[::1]" || /^127(?:\.\d{1,3}){3}$/.test(host)

/** Whether anything says who may do what. */
export const isConfigured = ({ adminToken, users }: AccessOptions): boolean =>
  adminToken !== undefined || users?.secret !== undefined || users?.jwksUrl !== undefined

/** A token that can be sent in a header, and is too long to be guessed. */
export const isAdminToken = (token: Redacted.Redacted): boolean => /^[\x21-\x7e]{16,1024}$/.test(Redacted.value(token))

const ranks: { readonly [P in Permission]: number } = { read: 1, write: 2, owner: 3 }
const includes = (has: Option.Option<Permission>, needed: Permission) =>
  Option.isSome(has) && ranks[has.value] >= ranks[needed]

/** Longer ones are no tokens: they are not even looked at. */
const maxTokenLength = 8192

/** Permissions in memory: those that were given, of so many users and realms. */
const rememberedGrants = 10_000

interface Remembered {
  readonly fence: Fence
  readonly generation: number
  readonly permission: Permission
}

const make = Effect.fnUntraced(function*(host: string, options: AccessOptions) {
  const { adminToken, users } = options
  const isOpen = !isConfigured(options)
  if (isOpen && !isLoopback(host)) return yield* new AccessNotConfigured({ host })
  if (adminToken !== undefined && !isAdminToken(adminToken)) {
    return yield* new AccessMisconfigured({ detail: "the admin token needs 16 to 1,024 visible ASCII characters" })
  }
  if (users?.secret !== undefined && users.jwksUrl !== undefined) {
    return yield* new AccessMisconfigured({ detail: "users' tokens have a shared secret or a key set, not both" })
  }
  if (users?.secret !== undefined && !isLongEnough(users.secret)) {
    return yield* new AccessMisconfigured({ detail: "the secret of users' tokens needs 32 bytes at least (HS256)" })
  }
  const pass = yield* FleetPass
  const permissions = yield* PermissionTable
  const realms = yield* RealmTable
  const isAdmin = adminToken === undefined ? () => false : makeSameSecret(Redacted.value(adminToken))
  const userOf = isOpen || users === undefined ? undefined : makeUserTokens(users)
  const remembered = new LRUCache<string, Remembered>({ max: rememberedGrants })

  const authenticate = Effect.fnUntraced(function*(headers: Headers) {
    if (isOpen) return admin
    const shown = headers[fleetHeader]
    if (shown !== undefined) {
      if (yield* pass.holds(shown)) return fleet
      return yield* new Unauthenticated({ detail: "the pass is not of this fleet, or too old", refused: true })
    }
    const authorization = headers["authorization"]
    if (authorization === undefined) return anonymous
    const token = authorization.length > maxTokenLength ? undefined : /^Bearer +(\S+) *$/i.exec(authorization)?.[1]
    if (token === undefined) {
      return yield* new Unauthenticated({ detail: "send the token as authorization: Bearer TOKEN", refused: true })
    }
    if (isAdmin(token)) return admin
    if (userOf !== undefined) return { kind: "user", user: yield* userOf(token) } satisfies Principal
    return yield* new Unauthenticated({ detail: "the token is not the one that this server has", refused: true })
  })

  // What was read of a permission is good for the generation of the view before it: whoever changes one moves that. Only
  // what was given is remembered: that there is none is asked each time, of realms that exist and of those that do not.
  const permissionOf = Effect.fnUntraced(function*(user: string, { fence, row, unconfirmed }: RealmView) {
    const { generation, realmUrl } = row
    const key = `${user}\0${realmUrl}`
    const known = remembered.get(key)
    if (known?.fence === fence && known.generation === generation && unconfirmed !== true) {
      return Option.some(known.permission)
    }
    const found = yield* permissions.find(realmUrl, user)
    if (Option.isSome(found)) remembered.set(key, { fence, generation, permission: found.value })
    return found
  })

  const mayRead = Effect.fnUntraced(function*(principal: Principal, view: RealmView | undefined, asked: RealmUrl) {
    if (view !== undefined && (!view.row.isPrivate || principal.kind === "admin" || principal.kind === "fleet")) {
      return true
    }
    if (principal.kind !== "user") return false
    if (view === undefined) {
      yield* permissions.find(asked, principal.user)
      return false
    }
    return includes(yield* permissionOf(principal.user, view), "read")
  })

  const mayWrite = Effect.fnUntraced(function*(principal: Principal, view: RealmView) {
    if (principal.kind === "admin") return true
    return principal.kind === "user" && includes(yield* permissionOf(principal.user, view), "write")
  })

  const demand = Effect.fnUntraced(function*(principal: Principal, realmUrl: RealmUrl, needed: Permission) {
    if (principal.kind === "admin") return
    // Both are asked whatever the first says.
    const [row] = (yield* realms.read([realmUrl])).realms
    const has = principal.kind === "user" ? yield* permissions.find(realmUrl, principal.user) : Option.none()
    if (row?.state !== "live") return yield* new RealmNotFound({ realmUrl })
    if (includes(has, needed)) return
    if (row.isPrivate && Option.isNone(has)) return yield* new RealmNotFound({ realmUrl })
    return yield* new Forbidden({ detail: `this needs the permission "${needed}" for ${realmUrl}` })
  })

  const readable = Effect.fnUntraced(function*(principal: Principal, rows: ReadonlyArray<RealmRow>) {
    if (principal.kind === "admin" || principal.kind === "fleet") return rows
    const grants = principal.kind === "user" ? yield* permissions.ofUser(principal.user) : []
    const granted = new Set(grants.map(({ realmUrl }) => realmUrl))
    return rows.filter(({ isPrivate, realmUrl }) => !isPrivate || granted.has(realmUrl))
  })

  return Access.of({ isOpen, authenticate, mayRead, mayWrite, demand, readable })
})
