import { Clock, Effect, Layer, Option } from "effect"
import { HttpApiBuilder, HttpApiMiddleware } from "effect/http-api"
import { Access } from "../access/Access.ts"
import { Forbidden } from "../access/errors.ts"
import { CurrentPrincipal, type Principal } from "../access/Principal.ts"
import { isUserName } from "../access/UserTokens.ts"
import { Api, RequestShape } from "../api/Api.ts"
import { TranspiledModuleCache } from "../cache/TranspiledModuleCache.ts"
import { Counters } from "../coordination/Counters.ts"
import { Generations } from "../coordination/Generations.ts"
import { LockSession } from "../coordination/LockSession.ts"
import { Lease } from "../coordination/Lease.ts"
import { Membership } from "../coordination/Membership.ts"
import { Readiness } from "../coordination/Readiness.ts"
import { ReindexQueue } from "../coordination/ReindexQueue.ts"
import { InvalidInput, RealmNotFound } from "../domain/errors.ts"
import { parse as parsePath } from "../domain/ModulePath.ts"
import { parse as parseUrl, type RealmUrl } from "../domain/RealmUrl.ts"
import { version } from "../domain/version.ts"
import { accessOf, changeAccess } from "../lifecycle/changeAccess.ts"
import { createRealm } from "../lifecycle/create.ts"
import { Invalidation } from "../lifecycle/Invalidation.ts"
import { publish } from "../lifecycle/publish.ts"
import { deleteRealm, unpublish } from "../lifecycle/retire.ts"
import { Reconciler } from "../realms/Reconciler.ts"
import { JobTable } from "../store/JobTable.ts"
import { type Permission, PermissionTable } from "../store/PermissionTable.ts"
import { PoolConnections } from "../store/PoolConnections.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { fleetHandlers } from "./fleet.ts"
import { Metrics } from "./metrics.ts"
import { layerReference } from "./reference.ts"
import { type Failure, invalidRequest, problemOf } from "./problems.ts"
import { Reports } from "./Reports.ts"

/** Failures become problem answers here, at the edge; bugs go on to the server's own handling. */
const answered = <A, R>(program: Effect.Effect<A, Failure, R>) =>
  Effect.catch(program, (failure) => Effect.succeed(problemOf(failure)))

const realmUrl = (text: string) => Effect.fromResult(parseUrl(text))

const retired = ({ generation, replicas }: Effect.Success<ReturnType<typeof unpublish>>, url: RealmUrl) => ({
  realmURL: url,
  generation,
  replicas
})

/** Fails unless who asks has this permission for the realm. */
const demand = Effect.fnUntraced(function*(url: RealmUrl, permission: Permission) {
  const access = yield* Access
  yield* access.demand(yield* CurrentPrincipal, url, permission)
})

/**
 * Where a user may publish: onto what it owns, and where nothing is, under the public URL. Another host stands for the
 * public one until it has realms of its own: only the admin gives one away, by granting its URL before there is a realm.
 */
const demandTarget = Effect.fnUntraced(function*(principal: Principal, url: RealmUrl, publicUrl: RealmUrl) {
  if (principal.kind !== "user") return
  const permissions = yield* PermissionTable
  const realms = yield* RealmTable
  const [row] = (yield* realms.read([url])).realms
  const permission = Option.getOrUndefined(yield* permissions.find(url, principal.user))
  if (permission === "owner" || (row?.state !== "live" && url.startsWith(publicUrl) && url !== publicUrl)) return
  return yield* new Forbidden({ detail: `you may not publish to ${url}: it is not yours` })
})

const userOf = (principal: Principal) => principal.kind === "user" ? principal.user : undefined

const permissionsOf = (
  { exists, generation, grants, isPrivate, realmUrl }: Effect.Success<ReturnType<typeof accessOf>>
) => ({
  realmURL: realmUrl,
  generation,
  visibility: exists ? isPrivate ? "private" as const : "public" as const : null,
  permissions: grants.map(({ permission, user }) => ({ user, permission }))
})

const handlers = (publicUrl: RealmUrl) =>
  HttpApiBuilder.group(
    Api,
    "management",
    Effect.fnUntraced(function*(group) {
      const started = yield* Clock.currentTimeMillis
      return group.handleAll({
        createRealm: ({ payload: { private: isPrivate, ...payload } }) =>
          answered(Effect.gen(function*() {
            const principal = yield* CurrentPrincipal
            // Whoever may name a directory of the server may read all of it.
            if (payload.from !== undefined && principal.kind !== "admin") {
              return yield* new Forbidden({ detail: `"from" names a directory of the server: it is for its admin` })
            }
            const { generation, realmUrl } = yield* createRealm({
              publicUrl,
              ...payload,
              ...isPrivate === undefined ? {} : { isPrivate },
              owner: userOf(principal)
            })
            return { realmURL: realmUrl, generation }
          })),
        publishRealm: ({ payload }) =>
          answered(Effect.gen(function*() {
            const principal = yield* CurrentPrincipal
            const sourceRealmUrl = yield* realmUrl(payload.sourceRealmURL)
            const publishedRealmUrl = yield* realmUrl(payload.publishedRealmURL)
            yield* demand(sourceRealmUrl, "owner")
            yield* demandTarget(principal, publishedRealmUrl, publicUrl)
            const published = yield* publish({
              sourceRealmUrl,
              publishedRealmUrl,
              isPrivate: payload.private,
              owner: userOf(principal)
            })
            return {
              realmURL: publishedRealmUrl,
              generation: published.generation,
              status: "pending" as const,
              lastPublishedAt: published.lastPublishedAt?.toISOString() ?? null,
              replicas: published.replicas
            }
          })),
        unpublishRealm: ({ payload }) =>
          answered(Effect.gen(function*() {
            const url = yield* realmUrl(payload.publishedRealmURL)
            yield* demand(url, "owner")
            return retired(yield* unpublish(url, userOf(yield* CurrentPrincipal)), url)
          })),
        deleteRealm: ({ payload }) =>
          answered(Effect.gen(function*() {
            const url = yield* realmUrl(payload.realmURL)
            yield* demand(url, "owner")
            return retired(yield* deleteRealm(url, userOf(yield* CurrentPrincipal)), url)
          })),
        invalidate: ({ payload }) =>
          answered(Effect.gen(function*() {
            const invalidation = yield* Invalidation
            const url = yield* realmUrl(payload.realmURL)
            yield* demand(url, "write")
            const target = payload.path === undefined ? "realm" : [yield* Effect.fromResult(parsePath(payload.path))]
            const { generation } = yield* invalidation.invalidate(url, target)
            return { realmURL: url, generation }
          })),
        reindex: ({ payload }) =>
          answered(Effect.gen(function*() {
            const queue = yield* ReindexQueue
            const realms = yield* RealmTable
            const url = yield* realmUrl(payload.realmURL)
            yield* demand(url, "write")
            const [realm] = (yield* realms.read([url])).realms
            if (realm?.state !== "live") return yield* new RealmNotFound({ realmUrl: url })
            yield* queue.enqueue(url, realm.generation)
            yield* queue.wake(url)
            return { realmURL: url, generation: realm.generation }
          })),
        permissions: ({ query }) =>
          answered(Effect.gen(function*() {
            const url = yield* realmUrl(query.realmURL)
            yield* demand(url, "owner")
            return permissionsOf(yield* accessOf(url))
          })),
        changePermissions: ({ payload: { permission, realmURL, user, visibility } }) =>
          answered(Effect.gen(function*() {
            const principal = yield* CurrentPrincipal
            const url = yield* realmUrl(realmURL)
            yield* demand(url, "owner")
            if ((user === undefined) !== (permission === undefined)) {
              return yield* new InvalidInput({ detail: "user and permission go together" })
            }
            if (user === undefined && visibility === undefined) {
              return yield* new InvalidInput({
                detail: "nothing is to be changed: give user and permission, or visibility"
              })
            }
            if (user !== undefined && !isUserName(user)) {
              return yield* new InvalidInput({
                detail: "a user's name has 1 to 256 characters, and no control characters"
              })
            }
            return permissionsOf(
              yield* changeAccess({
                realmUrl: url,
                grant: user === undefined || permission === undefined
                  ? undefined
                  : { user, permission: permission === "none" ? null : permission },
                isPrivate: visibility === undefined ? undefined : visibility === "private",
                owner: userOf(principal)
              })
            )
          })),
        realms: () =>
          answered(Effect.gen(function*() {
            const access = yield* Access
            const realms = yield* RealmTable
            const rows = yield* access.readable(yield* CurrentPrincipal, yield* realms.list)
            return {
              realms: rows.map((row) => ({
                url: row.realmUrl,
                kind: row.kind,
                generation: row.generation,
                ...(row.sourceUrl === null ? {} : { sourceURL: row.sourceUrl }),
                ...(row.isPrivate ? { visibility: "private" as const } : {}),
                ...(row.lastPublishedAt === null ? {} : { lastPublishedAt: row.lastPublishedAt.toISOString() })
              }))
            }
          })),
        status: () => status(started),
        health: () => Effect.map(Membership, ({ replicaId }) => ({ status: "ok" as const, replicaId, version })),
        ready: () =>
          answered(
            Effect.flatMap(
              Readiness,
              ({ check }) =>
                Effect.zipWith(check, Membership, (_, { replicaId }) => ({ ready: true as const, replicaId }))
            )
          ),
        metrics: () => Effect.flatMap(Metrics, ({ exposition, gather }) => Effect.andThen(gather, exposition))
      })
    })
  )

/** What this replica did and holds. It answers without PostgreSQL too: an operator asks when something is wrong. */
const status = Effect.fnUntraced(function*(started: number) {
  const counters = yield* Counters
  const self = yield* Membership
  const reports = yield* Reports
  const lease = yield* Lease
  const generations = yield* Generations
  const modules = yield* TranspiledModuleCache
  const reconciler = yield* Reconciler
  const pool = yield* PoolConnections
  const locks = yield* Effect.serviceOption(LockSession)
  const queue = yield* JobTable
  const visible = yield* visibleRealms
  const now = yield* Clock.currentTimeMillis
  const [{ answers }, poolConnections, jobs] = yield* Effect.all([
    reports.all,
    Effect.orElseSucceed(Effect.timeout(pool.count, "1 second"), () => 0),
    Effect.orElseSucceed(Effect.timeout(queue.unfinished, "1 second"), () => [])
  ], { concurrency: "unbounded" })
  return {
    replicaId: self.replicaId,
    uptimeSeconds: (now - started) / 1000,
    ...counters,
    poolConnections,
    lockConnections: Option.isSome(locks) ? yield* locks.value.connections : 0,
    leaseHeld: lease.isHeld(),
    l1Bytes: modules.bytes(),
    applied: Object.fromEntries((yield* generations.applied).filter(([url]) => visible(url))),
    mounted: (yield* reconciler.mounted).filter(visible),
    jobs: jobs.filter(({ realmUrl }) => visible(realmUrl)),
    replicas: answers.map(({ member: { advertiseUrl, bootId, leaseMillis, replicaId }, report }) => ({
      replicaId,
      bootId,
      advertiseUrl,
      leaseMillis,
      leaseHeld: report?.lease.held ?? null,
      applied: report === null ? null : Object.fromEntries(
        Object.entries(report.applied).filter(([url]) => visible(url))
      )
    }))
  }
})

/** Which realms a status may name to who asks: all of them to the admin, and nothing but what it may read to a user. */
const visibleRealms = Effect.gen(function*() {
  const principal = yield* CurrentPrincipal
  if (principal.kind === "admin" || principal.kind === "fleet") return () => true
  const access = yield* Access
  const realms = yield* RealmTable
  const rows = yield* Effect.orElseSucceed(
    Effect.timeout(Effect.flatMap(realms.list, (rows) => access.readable(principal, rows)), "1 second"),
    () => []
  )
  const urls = new Set<string>(rows.map(({ realmUrl }) => realmUrl))
  return (url: string) => urls.has(url)
})

const requestShape = HttpApiMiddleware.layerSchemaErrorTransform(
  RequestShape,
  (error) =>
    error.kind === "Body" || error.kind === "ResponseHeaders"
      ? Effect.die(error)
      : Effect.succeed(invalidRequest(String(error.cause.message).replace(/\s+/g, " ").slice(0, 500)))
)

/** The management interface, mounted on a router. */
export const layerManagement = (publicUrl: RealmUrl) =>
  HttpApiBuilder.layer(Api).pipe(
    Layer.provide(Layer.mergeAll(fleetHandlers(publicUrl), handlers(publicUrl))),
    Layer.provide(requestShape),
    Layer.merge(layerReference)
  )
