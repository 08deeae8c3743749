import { Clock, Effect, Layer, Option } from "effect"
import { HttpApiBuilder, HttpApiMiddleware } from "effect/http-api"
import { Api, RequestShape } from "../api/Api.ts"
import { TranspiledModuleCache } from "../cache/TranspiledModuleCache.ts"
import { Counters } from "../coordination/Counters.ts"
import { Generations } from "../coordination/Generations.ts"
import { LockSession } from "../coordination/LockSession.ts"
import { Lease } from "../coordination/Lease.ts"
import { Membership } from "../coordination/Membership.ts"
import { Readiness } from "../coordination/Readiness.ts"
import { ReindexQueue } from "../coordination/ReindexQueue.ts"
import { RealmNotFound } from "../domain/errors.ts"
import { parse as parsePath } from "../domain/ModulePath.ts"
import { parse as parseUrl, type RealmUrl } from "../domain/RealmUrl.ts"
import { createRealm } from "../lifecycle/create.ts"
import { Invalidation } from "../lifecycle/Invalidation.ts"
import { publish } from "../lifecycle/publish.ts"
import { deleteRealm, unpublish } from "../lifecycle/retire.ts"
import { Reconciler } from "../realms/Reconciler.ts"
import { JobTable } from "../store/JobTable.ts"
import { PoolConnections } from "../store/PoolConnections.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { ReplicaTable } from "../store/ReplicaTable.ts"
import { type Failure, invalidRequest, problemOf } from "./problems.ts"

/** Failures become problem answers here, at the edge; bugs go on to the server's own handling. */
const answered = <A, R>(program: Effect.Effect<A, Failure, R>) =>
  Effect.catch(program, (failure) => Effect.succeed(problemOf(failure)))

const realmUrl = (text: string) => Effect.fromResult(parseUrl(text))

const retired = ({ generation, replicas }: Effect.Success<ReturnType<typeof unpublish>>, url: RealmUrl) => ({
  realmURL: url,
  generation,
  replicas
})

const handlers = (publicUrl: RealmUrl) =>
  HttpApiBuilder.group(
    Api,
    "management",
    Effect.fnUntraced(function*(group) {
      const started = yield* Clock.currentTimeMillis
      return group.handleAll({
        createRealm: ({ payload }) =>
          answered(
            Effect.map(
              createRealm({ publicUrl, ...payload }),
              ({ generation, realmUrl }) => ({ realmURL: realmUrl, generation })
            )
          ),
        publishRealm: ({ payload }) =>
          answered(Effect.gen(function*() {
            const publishedRealmUrl = yield* realmUrl(payload.publishedRealmURL)
            const published = yield* publish({
              sourceRealmUrl: yield* realmUrl(payload.sourceRealmURL),
              publishedRealmUrl
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
          answered(
            Effect.flatMap(
              realmUrl(payload.publishedRealmURL),
              (url) => Effect.map(unpublish(url), (outcome) => retired(outcome, url))
            )
          ),
        deleteRealm: ({ payload }) =>
          answered(
            Effect.flatMap(
              realmUrl(payload.realmURL),
              (url) => Effect.map(deleteRealm(url), (outcome) => retired(outcome, url))
            )
          ),
        invalidate: ({ payload }) =>
          answered(Effect.gen(function*() {
            const invalidation = yield* Invalidation
            const url = yield* realmUrl(payload.realmURL)
            const target = payload.path === undefined ? "realm" : [yield* Effect.fromResult(parsePath(payload.path))]
            const { generation } = yield* invalidation.invalidate(url, target)
            return { realmURL: url, generation }
          })),
        reindex: ({ payload }) =>
          answered(Effect.gen(function*() {
            const queue = yield* ReindexQueue
            const realms = yield* RealmTable
            const url = yield* realmUrl(payload.realmURL)
            const [realm] = (yield* realms.read([url])).realms
            if (realm?.state !== "live") return yield* new RealmNotFound({ realmUrl: url })
            yield* queue.enqueue(url, realm.generation)
            yield* queue.wake(url)
            return { realmURL: url, generation: realm.generation }
          })),
        realms: () =>
          answered(Effect.flatMap(RealmTable, (realms) =>
            Effect.map(realms.list, (rows) => ({
              realms: rows.map((row) => ({
                url: row.realmUrl,
                kind: row.kind,
                generation: row.generation,
                ...(row.sourceUrl === null ? {} : { sourceURL: row.sourceUrl }),
                ...(row.lastPublishedAt === null ? {} : { lastPublishedAt: row.lastPublishedAt.toISOString() })
              }))
            })))),
        status: () => status(started),
        health: () => Effect.map(Membership, ({ replicaId }) => ({ status: "ok" as const, replicaId })),
        ready: () =>
          answered(
            Effect.flatMap(
              Readiness,
              ({ check }) =>
                Effect.zipWith(check, Membership, (_, { replicaId }) => ({ ready: true as const, replicaId }))
            )
          ),
        metrics: () => Effect.map(Counters, exposition)
      })
    })
  )

/** What this replica did and holds. It answers without PostgreSQL too: an operator asks when something is wrong. */
const status = Effect.fnUntraced(function*(started: number) {
  const counters = yield* Counters
  const self = yield* Membership
  const members = yield* ReplicaTable
  const lease = yield* Lease
  const generations = yield* Generations
  const modules = yield* TranspiledModuleCache
  const reconciler = yield* Reconciler
  const pool = yield* PoolConnections
  const locks = yield* Effect.serviceOption(LockSession)
  const queue = yield* JobTable
  const now = yield* Clock.currentTimeMillis
  const replicas = yield* Effect.orElseSucceed(Effect.timeout(members.members, "1 second"), () => [self])
  return {
    replicaId: self.replicaId,
    uptimeSeconds: (now - started) / 1000,
    ...counters,
    poolConnections: yield* Effect.orElseSucceed(Effect.timeout(pool.count, "1 second"), () => 0),
    lockConnections: Option.isSome(locks) ? yield* locks.value.connections : 0,
    leaseHeld: lease.isHeld(),
    l1Bytes: modules.bytes(),
    applied: Object.fromEntries(yield* generations.applied),
    mounted: yield* reconciler.mounted,
    jobs: yield* Effect.orElseSucceed(Effect.timeout(queue.unfinished, "1 second"), () => []),
    replicas
  }
})

/** The counters in Prometheus' text format. */
const exposition = (counters: Counters["Service"]): string =>
  Object.entries(counters).map(([name, count]) => {
    const metric = `lockstep_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_total`
    return `# TYPE ${metric} counter\n${metric} ${count}\n`
  }).join("")

const requestShape = HttpApiMiddleware.layerSchemaErrorTransform(
  RequestShape,
  (error) =>
    error.kind === "Body" || error.kind === "ResponseHeaders"
      ? Effect.die(error)
      : Effect.succeed(invalidRequest(String(error.cause.message).replace(/\s+/g, " ").slice(0, 500)))
)

/** The management interface, mounted on a router. */
export const layerManagement = (publicUrl: RealmUrl) =>
  HttpApiBuilder.layer(Api, { openapiPath: "/_openapi.json" }).pipe(
    Layer.provide(handlers(publicUrl)),
    Layer.provide(requestShape)
  )
