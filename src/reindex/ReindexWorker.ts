import * as crypto from "node:crypto"
import { availableParallelism } from "node:os"
import { Cause, Clock, Effect, Exit, Layer, Option, Queue, Random } from "effect"
import { Counters } from "../coordination/Counters.ts"
import { EventLog } from "../coordination/EventLog.ts"
import { reindexDuration, timed } from "../domain/Metrics.ts"
import * as TraceContext from "../domain/TraceContext.ts"
import { JobBell } from "../coordination/ReindexQueue.ts"
import { type JobRow, JobTable, type Progress } from "../store/JobTable.ts"
import { layerIsolated } from "./isolated/layer.ts"
import { NothingRendered } from "./NothingRendered.ts"
import type { Prerenderer } from "./Prerenderer.ts"
import { reindexRealm, type ReindexServices } from "./reindexRealm.ts"
import { Replicas, type ReplicasOptions } from "./Replicas.ts"

/** Where a worker reads from, and what renders. */
export interface WorkerOptions {
  /** Jobs at a time, of different realms: a large one does not keep the others waiting. */
  readonly jobs: number
  /** Renderings at a time, for each job. */
  readonly renderers: number
  /** How long a claim lasts without being renewed: so long a job rests after its worker was killed. */
  readonly leaseMillis: number
  /** How often to look for jobs without having heard of any. */
  readonly pollMillis: number
  /** How often a job may fail before it is dead. */
  readonly maxAttempts: number
}

export const defaultWorker: WorkerOptions = {
  jobs: 2,
  // One renders while another waits for its modules.
  renderers: Math.max(2, Math.min(4, availableParallelism())),
  leaseMillis: 10_000,
  pollMillis: 2000,
  maxAttempts: 8
}

/** Doubles from a second up to a minute, by as much as a quarter less, so that workers do not come back together. */
export const backoffMillis = (attempts: number, chance: number): number =>
  Math.min(60_000, 1000 * 2 ** Math.max(0, attempts - 1)) * (1 - chance / 4)

/**
 * Takes reindex jobs for as long as the layer lives. Any number of workers may: the table gives each job to one of them.
 * A worker that stops puts its jobs back; what one that is killed had stored is found and carried over by the next.
 */
export const layerWorker = (given: Partial<WorkerOptions> = {}) =>
  Layer.effectDiscard(Effect.gen(function*() {
    const options = { ...defaultWorker, ...given }
    const bell = yield* JobBell
    for (let slot = 0; slot < options.jobs; slot++) {
      const hints = yield* Queue.sliding<void>(1)
      yield* bell.subscribe(() => void Queue.offerUnsafe(hints, undefined))
      yield* Effect.forkScoped(Effect.forever(
        Effect.flatMap(
          work(options),
          (worked) => worked ? Effect.void : Effect.timeoutOption(Queue.take(hints), options.pollMillis)
        )
      ))
    }
  }))

export interface ReindexLayerOptions extends Partial<WorkerOptions>, ReplicasOptions {
  /** What renders; `layerIsolated()` by default. */
  readonly prerenderer?: Layer.Layer<Prerenderer>
}

/** The worker with what it needs beside the stores. */
export const layerReindex = ({ prerenderer = layerIsolated(), ...options }: ReindexLayerOptions) =>
  layerWorker(options).pipe(
    Layer.provide(Layer.mergeAll(Replicas.layer(options), prerenderer, NothingRendered.layer))
  )

/** Does one job, if there is one. Says whether there was. */
export const work = Effect.fnUntraced(function*(
  options: WorkerOptions
): Effect.fn.Return<boolean, never, JobTable | Counters | ReindexServices> {
  const counters = yield* Counters
  const jobs = yield* JobTable
  const worker = crypto.randomUUID()
  return yield* Effect.gen(function*() {
    // Looking for work is no part of any trace: only what is done about a job is.
    const claimed = yield* Effect.withTracerEnabled(
      Effect.gen(function*() {
        counters.jobTakeovers += yield* jobs.reap(options.maxAttempts)
        return yield* jobs.claim(worker, options.leaseMillis)
      }),
      false
    )
    if (Option.isNone(claimed)) return false
    const job = claimed.value
    const parent = TraceContext.parse(job.traceContext)
    yield* attempt(job, worker, options).pipe(
      Effect.withSpan("ReindexWorker.attempt", {
        kind: "consumer",
        attributes: {
          "realm.url": job.realmUrl,
          "realm.generation": job.generation,
          "job.id": job.id,
          "job.attempt": job.attempts
        },
        ...(parent === undefined ? { root: true } : { parent })
      })
    )
    return true
  }).pipe(
    Effect.catch((error) =>
      Effect.as(Effect.logWarning("No reindex job could be looked for; trying again", error), false)
    )
  )
})

/** One attempt at a claimed job: until it is done or fails, makes way for a newer one, or is lost to another worker. */
const attempt = Effect.fnUntraced(function*(job: JobRow, worker: string, options: WorkerOptions) {
  const counters = yield* Counters
  const jobs = yield* JobTable
  const at = `${job.realmUrl} at generation ${job.generation}`
  let progress: Progress | undefined
  const onProgress = (now: Progress) => {
    progress = now
  }
  const done = Effect.flatMap(
    reindexRealm(job, { renderers: options.renderers, onProgress }),
    (indexed) => Effect.as(jobs.finish(job.id, worker, indexed), "done" as const)
  )
  const outcome = yield* Effect.raceFirst(done, keep(job, worker, options, () => progress)).pipe(
    Effect.onInterrupt(() => Effect.ignore(Effect.timeout(putBack(job, worker, "its worker stopped", 0), "1 second"))),
    timed((exit) => reindexDuration({ outcome: Exit.isSuccess(exit) ? "ok" : "error" })),
    Effect.exit
  )
  if (Exit.isSuccess(outcome)) {
    if (outcome.value === "superseded") yield* jobs.supersede(job.id, worker)
    if (outcome.value === "done") counters.jobsDone++
    return yield* Effect.logDebug(`The reindex of ${at} is ${outcome.value}`)
  }
  counters.jobsFailed++
  const error = Cause.squash(outcome.cause)
  const reason = error instanceof Error ? error.message : String(error)
  const delay = backoffMillis(job.attempts, yield* Random.next)
  const { record } = yield* EventLog
  record({ kind: "failure", realmUrl: job.realmUrl, generation: job.generation, detail: `Reindex: ${reason}` })
  const state = yield* jobs.fail(job.id, worker, {
    error: reason.slice(0, 2000),
    delayMillis: delay,
    maxAttempts: options.maxAttempts
  })
  const then = Option.match(state, {
    onNone: () => "another worker has it",
    onSome: (is) => is === "waiting" ? `trying again in ${Math.round(delay / 1000)} s` : `it is ${is}`
  })
  yield* Effect.logWarning(`The reindex of ${at} failed at attempt ${job.attempts}; ${then}`, outcome.cause)
})

const putBack = (job: JobRow, worker: string, error: string, delayMillis: number) =>
  Effect.flatMap(JobTable, (jobs) => jobs.fail(job.id, worker, { error, delayMillis, maxAttempts: 2 ** 31 - 1 }))

/** Renews the claim until it is lost, or a newer job waits. A database that is away for a whole lease is a loss. */
const keep = Effect.fnUntraced(function*(
  job: JobRow,
  worker: string,
  { leaseMillis }: WorkerOptions,
  progress: () => Progress | undefined
) {
  const jobs = yield* JobTable
  const monotonic = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)
  let renewedAt = yield* monotonic
  let shown: Progress | undefined
  for (;;) {
    // Progress is worth a write twice a second; the claim itself is renewed three times a lease.
    const until = (yield* monotonic) + leaseMillis / 3
    do yield* Effect.sleep(Math.min(500, leaseMillis / 3))
    while (progress() === shown && (yield* monotonic) < until)
    shown = progress()
    const renewal = yield* Effect.option(jobs.renew(job.id, worker, leaseMillis, shown))
    if (Option.isSome(renewal)) {
      if (renewal.value !== "held") return renewal.value
      renewedAt = yield* monotonic
    } else if ((yield* monotonic) - renewedAt > leaseMillis) return "lost" as const
  }
})
