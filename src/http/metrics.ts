import { Clock, Context, Effect, Layer, Metric, Option, References } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { LockSession } from "../coordination/LockSession.ts"
import {
  buildInfo,
  databaseUp,
  jobs,
  liveCounter,
  liveGauge,
  lockConnections,
  oldestJob,
  poolConnections,
  processCpu,
  processHeap,
  processResident,
  processStart,
  realmsMounted,
  replicas,
  show
} from "../domain/Metrics.ts"
import { version } from "../domain/version.ts"
import { Reconciler } from "../realms/Reconciler.ts"
import { JobTable } from "../store/JobTable.ts"
import { PoolConnections } from "../store/PoolConnections.ts"
import { ReplicaTable } from "../store/ReplicaTable.ts"

/** How long what PostgreSQL was asked for is good for, in milliseconds: any number of scrapers cost one question. */
const freshness = 1000

const patience = "1 second"

/** How often the same is asked for an exporter, which does not scrape. */
const exported = "15 seconds"

/**
 * The metrics of this process in Prometheus' text format. What is counted here is read as it is at that moment; what
 * PostgreSQL knows (connections, jobs, members) is asked for at most once a second, and left out while it does not answer.
 */
export class Metrics extends Context.Service<Metrics, {
  /** Asks for what is not at hand, unless that was done just now. It never fails, and takes a second at most. */
  readonly gather: Effect.Effect<void>
  readonly exposition: Effect.Effect<string>
}>()("lockstep/http/Metrics") {
  static readonly layer = Layer.effect(
    Metrics,
    Effect.gen(function*() {
      const locks = yield* Effect.serviceOption(LockSession)
      const members = yield* ReplicaTable
      const pool = yield* PoolConnections
      const queue = yield* JobTable
      const reconciler = yield* Reconciler
      const context = yield* Effect.context<never>()
      const registry = Context.get(context, Metric.MetricRegistry)

      yield* Metric.update(buildInfo({ version, node: process.versions.node }), 1)
      yield* Metric.update(processStart, (yield* Clock.currentTimeMillis) / 1000 - process.uptime())
      yield* liveCounter(processCpu, () => {
        const { system, user } = process.cpuUsage()
        return (system + user) / 1e6
      })
      yield* liveGauge(processResident, () => process.memoryUsage.rss())
      yield* liveGauge(processHeap, () => process.memoryUsage().heapUsed)

      const asked = <A, E>(question: Effect.Effect<A, E>) =>
        Effect.map(Effect.option(Effect.timeout(question, patience)), Option.getOrUndefined)
      const ask = Effect.gen(function*() {
        const [connections, counted, present] = yield* Effect.all(
          [asked(pool.count), asked(queue.counts), asked(members.members)],
          { concurrency: "unbounded" }
        )
        yield* Metric.update(databaseUp, counted === undefined ? 0 : 1)
        yield* show(poolConnections, connections)
        yield* show(jobs({ state: "waiting" }), counted?.waiting)
        yield* show(jobs({ state: "running" }), counted?.running)
        yield* show(jobs({ state: "dead" }), counted?.dead)
        yield* show(oldestJob, counted?.oldestWaitingSeconds)
        yield* show(replicas, present?.length)
        yield* show(lockConnections, Option.isSome(locks) ? yield* locks.value.connections : 0)
        yield* show(realmsMounted, (yield* reconciler.mounted).length)
      }).pipe(Effect.withTracerEnabled(false))

      let gatheredAt = -Infinity
      const gather = Effect.flatMap(Clock.currentTimeMillis, (now) => {
        if (now - gatheredAt < freshness) return Effect.void
        gatheredAt = now
        return ask
      })

      if (yield* References.TracerEnabled) {
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(exported), gather)))
      }

      // A host's own metrics are in the same registry, and are the host's to show.
      const isOurs = ({ id }: { readonly id: string }) => /^(lockstep|process|nodejs)_/.test(id)
      return Metrics.of({
        gather,
        exposition: Effect.suspend(() => {
          const ours = new Map(Array.from(registry).filter(([, metadata]) => isOurs(metadata)))
          return Effect.provideService(PrometheusMetrics.format(), Metric.MetricRegistry, ours)
        })
      })
    })
  )
}
