import { Clock, Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import type { TraceContext } from "../domain/TraceContext.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/** A unit of durable background work for one realm. */
export interface JobRow {
  readonly id: number
  readonly kind: "reindex"
  readonly realmUrl: RealmUrl
  readonly generation: number
  /** `dead`: it failed too often, and stays to be seen until a later job of its realm is done. */
  readonly state: "waiting" | "running" | "done" | "superseded" | "dead"
  /** How often it was begun. */
  readonly attempts: number
  /** How many entries are done, of `total`; null before a worker has counted them. */
  readonly indexed: number | null
  readonly total: number | null
  /** Why its last attempt failed. */
  readonly error: string | null
  /** The trace of whoever asked for it, which its worker continues. */
  readonly traceContext: TraceContext | null
}

/** How many jobs there are, of all realms, and for how many seconds the oldest that could be taken has waited. */
export interface JobCounts {
  readonly waiting: number
  readonly running: number
  readonly dead: number
  readonly oldestWaitingSeconds: number
}

/** How far a job has come. */
export interface Progress {
  readonly indexed: number
  readonly total: number
}

/** What a worker that renews its claim is told: go on, make way for a newer job of the realm, or somebody else has it. */
export type Renewal = "held" | "superseded" | "lost"

/**
 * Table `jobs`. Of a realm's jobs one waits and one runs at most. A worker's claim is a lease that it renews: when it
 * ends, the job goes to another. A job that fails waits again until `available_at`, or is dead after too many attempts.
 *
 *     enqueue -> waiting -> running -> done
 *                   ^  failed  |  `-> superseded (a newer one waits, or its realm is gone)
 *                   `----------+----> dead
 */
export class JobTable extends Context.Service<JobTable, {
  /** Enqueues work for this generation. What waits for the realm already becomes this job, however often it has failed. */
  readonly enqueue: (
    kind: JobRow["kind"],
    realmUrl: RealmUrl,
    generation: number,
    traceContext?: TraceContext
  ) => Effect.Effect<void, DatabaseError>
  /** The same, unless a job for this generation or a newer one waits, runs, or is dead. Says whether it did. */
  readonly ensure: (
    kind: JobRow["kind"],
    realmUrl: RealmUrl,
    generation: number
  ) => Effect.Effect<boolean, DatabaseError>
  /** Ends whatever waits or runs for this realm. */
  readonly cancel: (realmUrl: RealmUrl) => Effect.Effect<void, DatabaseError>
  /** The newest job of this realm that is not superseded. */
  readonly latest: (realmUrl: RealmUrl) => Effect.Effect<Option.Option<JobRow>, DatabaseError>
  /** How much the last job of this realm that was done had to do, and at which generation. */
  readonly lastDone: (
    realmUrl: RealmUrl
  ) => Effect.Effect<Option.Option<{ readonly generation: number; readonly total: number }>, DatabaseError>
  /** Takes the job that has been available longest, of a realm where none runs. */
  readonly claim: (worker: string, leaseMillis: number) => Effect.Effect<Option.Option<JobRow>, DatabaseError>
  /** Puts back jobs whose lease has ended, or ends them: where a newer one waits, or after `maxAttempts`. Counts them. */
  readonly reap: (maxAttempts: number) => Effect.Effect<number, DatabaseError>
  /** Extends a claim, and says how far the job has come. */
  readonly renew: (
    id: number,
    worker: string,
    leaseMillis: number,
    progress: Progress | undefined
  ) => Effect.Effect<Renewal, DatabaseError>
  /** Ends a job well, and forgets the realm's earlier ones. False if the claim was lost. */
  readonly finish: (id: number, worker: string, progress: Progress) => Effect.Effect<boolean, DatabaseError>
  /** Ends a job for a newer one that waits. */
  readonly supersede: (id: number, worker: string) => Effect.Effect<void, DatabaseError>
  /** Puts a failed job back for `delayMillis`, or ends it as `reap` does. None if the claim was lost. */
  readonly fail: (
    id: number,
    worker: string,
    failure: { readonly error: string; readonly delayMillis: number; readonly maxAttempts: number }
  ) => Effect.Effect<Option.Option<JobRow["state"]>, DatabaseError>
  /** What waits, runs or is dead, oldest first; a hundred at most. */
  readonly unfinished: Effect.Effect<ReadonlyArray<JobRow>, DatabaseError>
  readonly counts: Effect.Effect<JobCounts, DatabaseError>
}>()("lockstep/store/JobTable") {
  static readonly layer = Layer.effect(
    JobTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const columns = sql.literal(`jobs.id::float8 AS id, jobs.kind, jobs.realm_url AS "realmUrl",
        jobs.generation::float8 AS generation, jobs.state, jobs.attempts, jobs.indexed, jobs.total, jobs.error,
        jobs.trace_context AS "traceContext"`)
      const until = (leaseMillis: number) => sql`now() + ${leaseMillis}::float8 * interval '1 millisecond'`
      // Where a job goes that does not go on: a newer one of its realm that waits is enough.
      const ended = (maxAttempts: number) =>
        sql`state = CASE
            WHEN EXISTS (SELECT FROM jobs newer WHERE newer.kind = jobs.kind AND newer.realm_url = jobs.realm_url
              AND newer.state = 'waiting') THEN 'superseded'
            WHEN attempts >= ${maxAttempts} THEN 'dead'
            ELSE 'waiting' END,
          worker = NULL, leased_until = NULL`
      return JobTable.of({
        enqueue: (kind, realmUrl, generation, traceContext) =>
          Effect.asVoid(statement(
            "enqueue a job",
            sql`INSERT INTO jobs (kind, realm_url, generation, trace_context)
              VALUES (${kind}, ${realmUrl}, ${generation}, ${traceContext ?? null})
              ON CONFLICT (kind, realm_url) WHERE state = 'waiting' DO UPDATE SET
                generation = greatest(jobs.generation, EXCLUDED.generation), attempts = 0, available_at = now(),
                error = NULL, indexed = NULL, total = NULL, trace_context = EXCLUDED.trace_context`
          )),
        ensure: (kind, realmUrl, generation) =>
          statement(
            "ensure a job",
            sql`INSERT INTO jobs (kind, realm_url, generation)
              SELECT ${kind}, ${realmUrl}, ${generation}::bigint WHERE NOT EXISTS (
                SELECT FROM jobs WHERE kind = ${kind} AND realm_url = ${realmUrl}
                  AND state IN ('waiting', 'running', 'dead') AND generation >= ${generation}::bigint
              )
              ON CONFLICT (kind, realm_url) WHERE state = 'waiting'
                DO UPDATE SET generation = greatest(jobs.generation, EXCLUDED.generation)
              RETURNING 1`
          ).pipe(Effect.map((rows) => rows.length > 0)),
        cancel: (realmUrl) =>
          Effect.asVoid(statement(
            "cancel jobs",
            sql`UPDATE jobs SET state = 'superseded', finished_at = now(), worker = NULL, leased_until = NULL
              WHERE realm_url = ${realmUrl} AND state IN ('waiting', 'running')`
          )),
        latest: (realmUrl) =>
          statement(
            "read the latest job",
            sql<JobRow>`SELECT ${columns}
              FROM jobs WHERE realm_url = ${realmUrl} AND state <> 'superseded' ORDER BY jobs.id DESC LIMIT 1`
          ).pipe(Effect.map((rows) => Option.fromNullishOr(rows[0]))),
        lastDone: (realmUrl) =>
          statement(
            "read the last job that was done",
            sql<{ readonly generation: number; readonly total: number }>`
              SELECT jobs.generation::float8 AS generation, coalesce(jobs.total, 0) AS total
              FROM jobs WHERE realm_url = ${realmUrl} AND state = 'done' ORDER BY jobs.id DESC LIMIT 1`
          ).pipe(Effect.map((rows) => Option.fromNullishOr(rows[0]))),
        claim: (worker, leaseMillis) =>
          statement(
            "claim a job",
            // Two claims of one realm cannot both commit: the index on running jobs refuses the second.
            sql<JobRow>`UPDATE jobs SET state = 'running', worker = ${worker}, leased_until = ${until(leaseMillis)},
                attempts = attempts + 1, indexed = NULL, total = NULL
              WHERE id = (
                SELECT free.id FROM jobs free WHERE free.state = 'waiting' AND free.available_at <= now()
                  AND NOT EXISTS (SELECT FROM jobs busy WHERE busy.kind = free.kind AND busy.realm_url = free.realm_url
                    AND busy.state = 'running')
                ORDER BY free.available_at, free.id LIMIT 1 FOR UPDATE SKIP LOCKED
              ) RETURNING ${columns}`
          ).pipe(Effect.map((rows) => Option.fromNullishOr(rows[0]))),
        reap: (maxAttempts) =>
          statement(
            "put back abandoned jobs",
            sql`UPDATE jobs SET ${ended(maxAttempts)}, available_at = now(),
                error = 'its worker did not renew its claim'
              WHERE id IN (
                SELECT id FROM jobs WHERE state = 'running' AND leased_until < now() FOR UPDATE SKIP LOCKED
              ) RETURNING 1`
          ).pipe(Effect.map((rows) => rows.length)),
        renew: (id, worker, leaseMillis, progress) =>
          statement(
            "renew a claim",
            sql<{ superseded: boolean }>`UPDATE jobs SET leased_until = ${until(leaseMillis)},
                indexed = ${progress?.indexed ?? null}, total = ${progress?.total ?? null}
              WHERE id = ${id} AND worker = ${worker} AND state = 'running'
              RETURNING EXISTS (SELECT FROM jobs newer WHERE newer.kind = jobs.kind
                AND newer.realm_url = jobs.realm_url AND newer.state = 'waiting') AS superseded`
          ).pipe(Effect.map(([row]): Renewal => row === undefined ? "lost" : row.superseded ? "superseded" : "held")),
        finish: (id, worker, progress) =>
          statement(
            "finish a job",
            sql`WITH done AS (
                UPDATE jobs SET state = 'done', finished_at = now(), worker = NULL, leased_until = NULL, error = NULL,
                  indexed = ${progress.indexed}, total = ${progress.total}
                WHERE id = ${id} AND worker = ${worker} AND state = 'running' RETURNING id, kind, realm_url
              ), forgotten AS (
                DELETE FROM jobs earlier USING done WHERE earlier.kind = done.kind
                  AND earlier.realm_url = done.realm_url AND earlier.id < done.id
                  AND earlier.state IN ('done', 'superseded', 'dead')
              )
              SELECT FROM done`
          ).pipe(Effect.map((rows) => rows.length > 0)),
        supersede: (id, worker) =>
          Effect.asVoid(statement(
            "supersede a job",
            sql`UPDATE jobs SET state = 'superseded', finished_at = now(), worker = NULL, leased_until = NULL
              WHERE id = ${id} AND worker = ${worker} AND state = 'running'`
          )),
        fail: (id, worker, { delayMillis, error, maxAttempts }) =>
          statement(
            "put back a failed job",
            sql<Pick<JobRow, "state">>`UPDATE jobs SET ${ended(maxAttempts)}, error = ${error},
                available_at = ${until(delayMillis)}
              WHERE id = ${id} AND worker = ${worker} AND state = 'running' RETURNING state`
          ).pipe(Effect.map((rows) => Option.map(Option.fromNullishOr(rows[0]), ({ state }) => state))),
        unfinished: statement(
          "list jobs",
          sql<JobRow>`SELECT ${columns} FROM jobs WHERE state IN ('waiting', 'running', 'dead')
            ORDER BY jobs.id LIMIT 100`
        ),
        counts: statement(
          "count jobs",
          sql<JobCounts>`SELECT
              count(*) FILTER (WHERE state = 'waiting')::float8 AS waiting,
              count(*) FILTER (WHERE state = 'running')::float8 AS running,
              count(*) FILTER (WHERE state = 'dead')::float8 AS dead,
              coalesce(extract(epoch FROM now() - min(available_at) FILTER (WHERE state = 'waiting'
                AND available_at <= now())), 0)::float8 AS "oldestWaitingSeconds"
            FROM jobs WHERE state IN ('waiting', 'running', 'dead')`
        ).pipe(
          Effect.map(([row]) => row ?? { waiting: 0, running: 0, dead: 0, oldestWaitingSeconds: 0 })
        )
      })
    })
  )

  static readonly layerMemory = Layer.effect(
    JobTable,
    Effect.map(MemoryDatabase, (database) => {
      type Jobs = Map<number, MemoryJob>
      const update = <A>(f: (jobs: Jobs, now: number) => A) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => database.write((tables) => f(tables.jobs, now)))
      const of = (jobs: Jobs, realmUrl: RealmUrl, states: ReadonlyArray<JobRow["state"]>) =>
        Array.from(jobs.values()).filter((job) => job.realmUrl === realmUrl && states.includes(job.state))
      const set = (jobs: Jobs, job: MemoryJob, change: Partial<MemoryJob>) =>
        void jobs.set(job.id, { ...job, ...change })
      const held = (jobs: Jobs, id: number, worker: string) => {
        const job = jobs.get(id)
        return job?.state === "running" && job.worker === worker ? job : undefined
      }
      const end = (jobs: Jobs, job: MemoryJob, maxAttempts: number, change: Partial<MemoryJob>) => {
        const state = of(jobs, job.realmUrl, ["waiting"]).length > 0
          ? "superseded"
          : job.attempts >= maxAttempts
          ? "dead"
          : "waiting"
        set(jobs, job, { ...change, state, worker: null, leasedUntil: null })
        return state
      }
      const insert = (
        jobs: Jobs,
        kind: JobRow["kind"],
        realmUrl: RealmUrl,
        generation: number,
        now: number,
        traceContext?: TraceContext
      ) => {
        const id = Math.max(0, ...jobs.keys()) + 1
        jobs.set(id, {
          id,
          kind,
          realmUrl,
          generation,
          state: "waiting",
          attempts: 0,
          indexed: null,
          total: null,
          error: null,
          traceContext: traceContext ?? null,
          worker: null,
          leasedUntil: null,
          availableAt: now
        })
      }
      return JobTable.of({
        enqueue: (kind, realmUrl, generation, traceContext) =>
          update((jobs, now) => {
            const [waiting] = of(jobs, realmUrl, ["waiting"])
            if (waiting === undefined) return insert(jobs, kind, realmUrl, generation, now, traceContext)
            set(jobs, waiting, {
              generation: Math.max(generation, waiting.generation),
              attempts: 0,
              availableAt: now,
              error: null,
              indexed: null,
              total: null,
              traceContext: traceContext ?? null
            })
          }),
        ensure: (kind, realmUrl, generation) =>
          update((jobs, now) => {
            const known = of(jobs, realmUrl, ["waiting", "running", "dead"])
            if (known.some((job) => job.generation >= generation)) return false
            const waiting = known.find((job) => job.state === "waiting")
            if (waiting === undefined) insert(jobs, kind, realmUrl, generation, now)
            else set(jobs, waiting, { generation })
            return true
          }),
        cancel: (realmUrl) =>
          update((jobs) => {
            for (const job of of(jobs, realmUrl, ["waiting", "running"])) {
              set(jobs, job, { state: "superseded", worker: null, leasedUntil: null })
            }
          }),
        latest: (realmUrl) =>
          database.read((tables) =>
            Option.map(
              Option.fromNullishOr(
                of(tables.jobs, realmUrl, ["waiting", "running", "done", "dead"]).toSorted((a, b) => a.id - b.id).at(-1)
              ),
              toRow
            )
          ),
        lastDone: (realmUrl) =>
          database.read((tables) =>
            Option.map(
              Option.fromNullishOr(of(tables.jobs, realmUrl, ["done"]).toSorted((a, b) => b.id - a.id)[0]),
              ({ generation, total }) => ({ generation, total: total ?? 0 })
            )
          ),
        claim: (worker, leaseMillis) =>
          update((jobs, now) => {
            const free = Array.from(jobs.values())
              .filter((job) =>
                job.state === "waiting" && job.availableAt <= now && of(jobs, job.realmUrl, ["running"]).length === 0
              )
              .toSorted((a, b) => a.availableAt - b.availableAt || a.id - b.id)[0]
            if (free === undefined) return Option.none()
            const claimed: MemoryJob = {
              ...free,
              state: "running",
              worker,
              leasedUntil: now + leaseMillis,
              attempts: free.attempts + 1,
              indexed: null,
              total: null
            }
            jobs.set(claimed.id, claimed)
            return Option.some(toRow(claimed))
          }),
        reap: (maxAttempts) =>
          update((jobs, now) => {
            const abandoned = Array.from(jobs.values()).filter((job) =>
              job.state === "running" && (job.leasedUntil ?? 0) < now
            )
            for (const job of abandoned) {
              end(jobs, job, maxAttempts, { availableAt: now, error: "its worker did not renew its claim" })
            }
            return abandoned.length
          }),
        renew: (id, worker, leaseMillis, progress) =>
          update((jobs, now): Renewal => {
            const job = held(jobs, id, worker)
            if (job === undefined) return "lost"
            set(jobs, job, {
              leasedUntil: now + leaseMillis,
              indexed: progress?.indexed ?? null,
              total: progress?.total ?? null
            })
            return of(jobs, job.realmUrl, ["waiting"]).length > 0 ? "superseded" : "held"
          }),
        finish: (id, worker, progress) =>
          update((jobs) => {
            const job = held(jobs, id, worker)
            if (job === undefined) return false
            set(jobs, job, { ...progress, state: "done", worker: null, leasedUntil: null, error: null })
            for (const earlier of of(jobs, job.realmUrl, ["done", "superseded", "dead"])) {
              if (earlier.id < id) jobs.delete(earlier.id)
            }
            return true
          }),
        supersede: (id, worker) =>
          update((jobs) => {
            const job = held(jobs, id, worker)
            if (job !== undefined) set(jobs, job, { state: "superseded", worker: null, leasedUntil: null })
          }),
        fail: (id, worker, { delayMillis, error, maxAttempts }) =>
          update((jobs, now) => {
            const job = held(jobs, id, worker)
            return job === undefined
              ? Option.none()
              : Option.some(end(jobs, job, maxAttempts, { error, availableAt: now + delayMillis }))
          }),
        unfinished: database.read((tables) =>
          Array.from(tables.jobs.values())
            .filter((job) => job.state === "waiting" || job.state === "running" || job.state === "dead")
            .toSorted((a, b) => a.id - b.id)
            .slice(0, 100)
            .map(toRow)
        ),
        counts: Effect.flatMap(Clock.currentTimeMillis, (now) =>
          database.read((tables) => {
            const all = Array.from(tables.jobs.values())
            const count = (state: JobRow["state"]) => all.filter((job) => job.state === state).length
            const available = all.filter((job) => job.state === "waiting" && job.availableAt <= now)
            return {
              waiting: count("waiting"),
              running: count("running"),
              dead: count("dead"),
              oldestWaitingSeconds: (now - Math.min(now, ...available.map((job) => job.availableAt))) / 1000
            }
          }))
      })
    })
  )
}

/** A job with what only the table knows of it. Times are wall-clock milliseconds. */
export interface MemoryJob extends JobRow {
  readonly worker: string | null
  readonly leasedUntil: number | null
  readonly availableAt: number
}

const toRow = (
  { attempts, error, generation, id, indexed, kind, realmUrl, state, total, traceContext }: MemoryJob
): JobRow => ({
  id,
  kind,
  realmUrl,
  generation,
  state,
  attempts,
  indexed,
  total,
  error,
  traceContext
})
