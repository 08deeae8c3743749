import { Deferred, Duration, Effect, Exit, Latch, Result, type Scope } from "effect"
import { timeoutAwake } from "../domain/timeoutAwake.ts"
import * as FairQueue from "./FairQueue.ts"
import { FarmFailure, type FarmWorkerOptions } from "./FarmPlace.ts"
import { startWorker } from "./FarmWorker.ts"

export interface FarmOptions extends FarmWorkerOptions {
  readonly workers: number
  /** How long one job may run, from the moment a worker begins it. Waiting in the queue does not count. */
  readonly timeout: Duration.Duration
  /** How many jobs may wait for a worker. */
  readonly queueLimit: number
}

/**
 * A fixed number of threads behind a bounded, fair queue. It knows nothing of what they do.
 *
 * Each thread belongs to a fiber that starts it, feeds it one job after another, and replaces it when a job overstays
 * or the thread ends. Such a job fails; all others are untouched.
 */
export interface WorkerFarm<Job, Result> {
  /**
   * Interrupting a job that waits takes it out of the queue. One that runs goes on to its end or its deadline, and its
   * result is dropped: stopping it would cost a new thread, which is dearer than nearly every job.
   *
   * A job with a latch is nobody's: it waits until no other job does, until the latch is opened, or for ten seconds: on other
   * replicas somebody may wait for it by then.
   */
  readonly run: (group: string, job: Job, background?: Latch.Latch) => Effect.Effect<Result, FarmFailure>
  /** How many jobs run now, and how many wait. */
  readonly load: () => Load
}

const backgroundPatience = "10 seconds"

/** What workers have to do. */
export interface Load {
  readonly running: number
  readonly waiting: number
}

interface Ticket<Job, Result> {
  readonly job: Job
  readonly outcome: Deferred.Deferred<Result, FarmFailure>
}

/**
 * Returns when the first thread is warm, and fails when none starts. Closing the scope fails the jobs that wait or run
 * with `closed` and ends the threads.
 */
export const make = Effect.fnUntraced(function*<Job, Result>(
  options: FarmOptions
): Effect.fn.Return<WorkerFarm<Job, Result>, FarmFailure, Scope.Scope> {
  const readers = FairQueue.make<Ticket<Job, Result>>(options.queueLimit)
  const background = FairQueue.make<Ticket<Job, Result>>(options.queueLimit)
  const poll = () => readers.poll() ?? background.poll()
  const running = new Set<Ticket<Job, Result>>()
  // open while something may be queued
  const work = Latch.makeUnsafe(false)
  const firstWarm = Deferred.makeUnsafe<void, FarmFailure>()
  // threads that serve, or are starting for all we know
  let hopeful = options.workers
  let closed = false

  const settle = (ticket: Ticket<Job, Result>, exit: Exit.Exit<Result, FarmFailure>) => {
    running.delete(ticket)
    Deferred.doneUnsafe(ticket.outcome, exit)
  }
  const failQueued = (failure: FarmFailure) => {
    for (let ticket = poll(); ticket !== undefined; ticket = poll()) settle(ticket, Exit.fail(failure))
  }

  /** One thread's life. Returns how many jobs it was given when it has to be replaced. */
  const serve = Effect.fnUntraced(function*() {
    const worker = yield* startWorker<Job, Result>(options)
    Deferred.doneUnsafe(firstWarm, Exit.void)
    for (let jobs = 0;;) {
      const ticket = poll()
      if (ticket === undefined) {
        work.closeUnsafe()
        const woken = yield* Effect.result(Effect.raceFirst(work.await, worker.died))
        if (Result.isFailure(woken)) return jobs
        continue
      }
      jobs++
      running.add(ticket)
      const answered = yield* timeoutAwake(worker.ask(ticket.job), {
        patience: options.timeout,
        orElse: () => Effect.fail(new FarmFailure({ reason: "timeout", detail: "the deadline passed" }))
      }).pipe(
        Effect.onExit((exit) => Effect.sync(() => settle(ticket, exit))),
        Effect.result
      )
      if (Result.isFailure(answered)) return jobs
    }
  }, Effect.scoped)

  /** Keeps one thread in service. A thread that ends before its first job counts as one that did not start. */
  const keepServing = Effect.gen(function*() {
    for (let failedStarts = 0;; failedStarts++) {
      const served = yield* Effect.result(serve())
      if (Result.isSuccess(served) && served.success > 0) {
        failedStarts = -1
        continue
      }
      hopeful--
      if (hopeful === 0) {
        const failure = Result.isFailure(served) ? served.failure : endedEarly
        failQueued(failure)
        Deferred.doneUnsafe(firstWarm, Exit.fail(failure))
      }
      yield* Effect.sleep(Duration.millis(Math.min(100 * 2 ** failedStarts, 5_000)))
      hopeful++
    }
  })

  // one fiber for all, so that closing the scope ends every thread at the same time
  yield* Effect.forkScoped(Effect.all(Array.from({ length: options.workers }, () => keepServing), {
    concurrency: "unbounded",
    discard: true
  }))
  // added after the fork, so it runs before the fibers are interrupted
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      closed = true
      failQueued(shutDown)
      for (const ticket of running) settle(ticket, Exit.fail(shutDown))
    })
  )
  yield* Deferred.await(firstWarm)

  return {
    load: () => ({ running: running.size, waiting: readers.size() + background.size() }),
    run: (group, job, unhurried) =>
      // no interruption between queueing a ticket and being ready to take it back
      Effect.uninterruptibleMask((restore) => {
        if (closed) return Effect.fail(shutDown)
        const ticket = { job, outcome: Deferred.makeUnsafe<Result, FarmFailure>() }
        const queue = unhurried === undefined ? readers : background
        if (!queue.offer(group, ticket)) {
          return Effect.fail(new FarmFailure({ reason: "full", detail: `${queue.size()} jobs are waiting` }))
        }
        work.openUnsafe()
        const outcome = Deferred.await(ticket.outcome)
        // It is in one queue or the other, or running. Where the readers' is full it keeps its place.
        const promoted = Effect.suspend(() => {
          if (background.remove(group, ticket) && !readers.offer(group, ticket)) background.offer(group, ticket)
          return outcome
        })
        return Effect.onInterrupt(
          restore(
            unhurried === undefined
              ? outcome
              : Effect.raceFirst(
                outcome,
                Effect.andThen(Effect.timeoutOption(unhurried.await, backgroundPatience), promoted)
              )
          ),
          () => Effect.sync(() => readers.remove(group, ticket) || background.remove(group, ticket))
        )
      })
  }
})

const shutDown = new FarmFailure({ reason: "closed", detail: "the worker farm is shut down" })
const endedEarly = new FarmFailure({ reason: "start", detail: "workers end before they do anything" })
