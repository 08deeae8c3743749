import { Clock, Effect, type Exit, Metric } from "effect"

/**
 * What Lockstep measures, as effect's own metrics: whoever looks at the registry of the process sees them, `/_metrics` and an
 * OTLP exporter alike. Names follow Prometheus: base units, `_total` for what only grows. Every label has few values, which
 * are known here: never a realm, a path or a user.
 */
const prefix = "lockstep_"

/** From half a millisecond, which is an answer from memory, to ten seconds, which is a deadline. In seconds. */
const upToTenSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** For what copies a realm or renders all of it. In seconds. */
const upToMinutes = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]

type Labels = Readonly<Record<string, string>>

/** One metric with labels: a series for each combination, made once. */
const family = <L extends Labels, M>(make: (attributes: L) => M) => {
  const series = new Map<string, M>()
  return (labels: L): M => {
    const key = Object.values(labels).join(" ")
    let metric = series.get(key)
    if (metric === undefined) series.set(key, metric = make(labels))
    return metric
  }
}

const histograms = <L extends Labels>(name: string, description: string, boundaries: ReadonlyArray<number>) =>
  family((attributes: L) => Metric.histogram(prefix + name, { description, boundaries, attributes }))

const gauges = <L extends Labels>(name: string, description: string) =>
  family((attributes: L) => Metric.gauge(prefix + name, { description, attributes }))

const gauge = (name: string, description: string) => gauges<{}>(name, description)({})

/** Whether something went as it should. */
export type Outcome = "ok" | "error"

/** What a request asked for. */
export type RequestKind =
  | "module"
  | "file"
  | "listing"
  | "rendering"
  | "definitions"
  | "readiness"
  | "write"
  | "management"
  | "probe"

/** Until the answer's head is ready, in seconds. Answers that were finished in memory are counted, not timed. */
export const requestDuration = histograms<{ readonly kind: RequestKind; readonly status: string }>(
  "http_request_duration_seconds",
  "Time until an answer was ready, by kind and class of status; without what lockstep_finished_hits_total counts",
  upToTenSeconds
)

export const requestsInFlight = gauge("http_requests_in_flight", "Requests that are being answered now")

/** From the queue to the result, in seconds. */
export const transpileDuration = histograms<{
  readonly task: "transpile" | "map" | "analyze"
  readonly outcome: Outcome
}>(
  "transpile_duration_seconds",
  "Time from asking the worker farm until it answered, waiting for a worker included",
  upToTenSeconds
)

export const transpileQueueDepth = gauge("transpile_queue_depth", "Modules that wait for a transpile worker")
export const transpilesRunning = gauge("transpiles_running", "Modules that a transpile worker is at")

/** `all`: a publish, or a write with `?wait=all`. `soon`: any other change. */
export const publishBarrier = histograms<{
  readonly wait: "all" | "soon"
  readonly outcome: "acknowledged" | "waited_out"
}>(
  "publish_barrier_seconds",
  "Time from a commit until no replica could answer from before it (wait=all), or the courtesy that a write grants",
  upToTenSeconds
)

/**
 * For each change that this replica made and each other member: how long that member may have answered from before it. An
 * upper bound on the publisher's own monotonic clock, from the commit: until the member's acknowledgement was heard, or else
 * its lease with the drift. No two clocks are compared.
 */
export const invalidationDelay = histograms<{}>(
  "invalidation_delay_seconds",
  "Time from the commit of a change until another member was known to have applied it, for each member",
  upToTenSeconds
)({})

export const publishDuration = histograms<{ readonly outcome: Outcome }>(
  "publish_duration_seconds",
  "Time that a publish took, copying and barrier included",
  upToMinutes
)

/** By the wall clocks of two machines. */
export const staleness = histograms<{}>(
  "staleness_seconds",
  "Time from the commit of another replica's change until it was obeyed here, by the clocks of both",
  upToTenSeconds
)({})

export const reindexDuration = histograms<{ readonly outcome: Outcome }>(
  "reindex_duration_seconds",
  "Time of one attempt at a reindex job",
  upToMinutes
)

export const leaseHeld = gauge("lease_held", "1 while memory may answer without asking PostgreSQL, else 0")
export const leaseAge = gauge("lease_age_seconds", "Time since the last renewal of the lease")
export const leaseLength = gauge("lease_seconds", "How long a renewed lease is good for")

/** The caches in memory: what each holds, and its bound. */
export const l1Bytes = gauges<{ readonly cache: string }>("l1_bytes", "Bytes in memory, by cache")
export const l1MaxBytes = gauges<{ readonly cache: string }>("l1_max_bytes", "Bound of a cache in memory, in bytes")

export const poolConnections = gauge(
  "pool_connections",
  "Connections of this replica's pool, as PostgreSQL counts them"
)
export const lockConnections = gauge("lock_connections", "Connections that hold coalescing locks, 0 or 1")
export const databaseUp = gauge("database_up", "1 if PostgreSQL answered when the metrics were last gathered, else 0")

export const jobs = gauges<{ readonly state: "waiting" | "running" | "dead" }>(
  "jobs",
  "Reindex jobs of the whole fleet, by state"
)
export const oldestJob = gauge("jobs_oldest_waiting_seconds", "How long the oldest job that could be taken has waited")

export const replicas = gauge("replicas", "Members of the fleet, this one included")
export const realmsMounted = gauge("realms_mounted", "Realms that this replica has mounted")

export const buildInfo = gauges<{ readonly version: string; readonly node: string }>(
  "build_info",
  "Always 1; the labels say what runs"
)

/** A counter of Lockstep: its name without prefix and suffix. */
export const counter = (name: string, description: string, attributes: Labels = {}) =>
  Metric.counter(`${prefix}${name}_total`, { description, attributes, incremental: true })

export const telemetryDropped = family(({ signal }: { readonly signal: string }) =>
  counter("telemetry_batches_dropped", "Batches of telemetry that no collector took", { signal })
)

/** What every program on Node shows of itself, under the names that dashboards know. */
export const processCpu = Metric.counter("process_cpu_seconds_total", {
  description: "Processor time that this process has used, user and system",
  incremental: true
})
export const processResident = Metric.gauge("process_resident_memory_bytes", {
  description: "Resident memory of this process"
})
export const processHeap = Metric.gauge("nodejs_heap_size_used_bytes", { description: "JavaScript heap in use" })
export const processStart = Metric.gauge("process_start_time_seconds", {
  description: "When this process started, in seconds since 1970"
})

/** Reads a gauge whenever somebody looks, until the scope closes. It must not wait. */
export const liveGauge = (metric: Metric.Gauge<number>, read: () => number) =>
  Effect.asVoid(Effect.acquireRelease(
    register(metric, () => ({ value: read() })),
    (registration) => Effect.sync(registration.remove)
  ))

/**
 * The same of a counter, which is kept elsewhere as a plain number. It stays when its owner is gone, whose last word an
 * exporter sends after it.
 */
export const liveCounter = (metric: Metric.Counter<number>, read: () => number) =>
  Effect.asVoid(register(metric, () => ({ count: read(), incremental: true })))

const register = <Input, State>(metric: Metric.Metric<Input, State>, read: () => State) =>
  Effect.map(
    Effect.context<never>(),
    (context) => Metric.registerUnsafe(metric, context, { get: read, update: () => {}, modify: () => {} })
  )

/** Shows a value that was asked for, or nothing where it could not be had: a gauge that stands still would lie. */
export const show = (metric: Metric.Gauge<number>, value: number | undefined) =>
  value === undefined ? Metric.remove(metric) : Metric.update(metric, value)

/** Times an effect, however it ends, into the histogram that its end stands for; in none where that is undefined. */
export const timed =
  <A, E>(metricOf: (exit: Exit.Exit<A, E>) => Metric.Histogram<number> | undefined) =>
  <R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(Clock.monotonicTimeNanos, (began) =>
      Effect.onExit(effect, (exit) => {
        const metric = metricOf(exit)
        return metric === undefined ? Effect.void : Effect.flatMap(
          Clock.monotonicTimeNanos,
          (ended) => Metric.update(metric, Number(ended - began) / 1e9)
        )
      }))
