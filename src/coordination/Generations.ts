import { Clock, Context, Deferred, Effect, Exit, Layer, type Scope } from "effect"
import { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import * as TraceContext from "../domain/TraceContext.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { makeReceiver, messagesOf, type Observer } from "./changeMessages.ts"
import { makeObserver } from "./observeChanges.ts"
import { Counters } from "./Counters.ts"
import { EventLog } from "./EventLog.ts"
import { Lease } from "./Lease.ts"
import { type Message, Notifications } from "./Notifications.ts"
import { type Change, type Known, RealmMemory, type RealmView } from "./RealmMemory.ts"

export type { Change, RealmView } from "./RealmMemory.ts"

/** What is sent in one statement with a change: those who hear it wake up once. */
export type Messages = ReadonlyArray<Pick<Message, "channel" | "payload">>

/**
 * Which generation each realm is at. While the lease is held, memory answers; without it every read asks PostgreSQL for
 * the rows, and questions that arrive while one is under way share the next, so no answer is older than the request (I1).
 * What is heard on `lockstep_generations` is a latency hint: a change that is heard in order voids its own paths, one that
 * was missed voids the realm.
 */
export class Generations extends Context.Service<Generations, {
  /** The first live realm among these URLs, and where PostgreSQL was asked all of them, in the order given. */
  readonly view: (urls: ReadonlyArray<RealmUrl>) => Effect.Effect<ReadonlyArray<RealmView>, DatabaseError>
  /** The same, asked of PostgreSQL whatever the lease: for a request whose token memory has not reached. */
  readonly ask: (urls: ReadonlyArray<RealmUrl>) => Effect.Effect<ReadonlyArray<RealmView>, DatabaseError>
  /** Whether an origin (`http://host:port`) has realms of its own: one that has none stands for the public URL's. */
  readonly hasRealms: (origin: string) => Effect.Effect<boolean, DatabaseError>
  /** The view of a live realm that memory knows, at once, while the lease is held. */
  readonly held: (realmUrl: RealmUrl) => RealmView | undefined
  /** What memory knows of a live realm while the lease is held, at once: for answers that are finished. */
  readonly known: (realmUrl: RealmUrl) => Known | undefined
  /** Likewise, whether an origin has realms. */
  readonly knownOrigin: (origin: string) => boolean | undefined
  /** Applies a change that this replica made. */
  readonly apply: (change: Change) => Effect.Effect<void>
  /**
   * Tells the other replicas, after the commit, of a change, together with other messages. Losing it costs latency, never
   * correctness.
   */
  readonly broadcast: (change: Change, ...together: Messages) => Effect.Effect<void, DatabaseError>
  /** The generation that this replica has applied, of realms that it has looked at. */
  readonly applied: Effect.Effect<ReadonlyArray<readonly [RealmUrl, number]>>
}>()("lockstep/coordination/Generations") {
  static readonly layer = (onPartition: OnPartition = "refuse") =>
    Layer.effect(
      Generations,
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const lease = yield* Lease
        const notifications = yield* Notifications
        const counters = yield* Counters
        const memory = new RealmMemory(counters)
        const { record } = yield* EventLog
        const { bootId, replicaId } = lease.self
        const measured = yield* makeObserver
        const observer: Observer = {
          heard: (change, origin) => {
            // Its own changes a replica has recorded when it applied them.
            if (origin.publisher === bootId) return
            measured(change, origin)
            record({ kind: "invalidation", ...change, via: "notification", by: origin.replica })
          },
          heardRaw: (realmUrl, paths) => record({ kind: "invalidation", realmUrl, paths, via: "notification" }),
          caughtUp: (realmUrl, generation) =>
            record({ kind: "invalidation", realmUrl, generation, paths: "*", via: "catch-up" })
        }
        yield* notifications.subscribe(makeReceiver(memory, counters, lease.acknowledge, observer))
        const read = yield* makeBatchedRead(realms, memory)

        const ask = (urls: ReadonlyArray<RealmUrl>) =>
          Effect.map(read(urls), (views) => urls.flatMap((url) => views.get(url) ?? []))

        // --on-partition serve: what memory knew when PostgreSQL was last heard, for as long as somebody may want that.
        const unconfirmed = Effect.fnUntraced(function*(urls: ReadonlyArray<RealmUrl>, error: DatabaseError) {
          const now = yield* Clock.currentTimeMillis
          const known = now - lease.heardAt() <= partitionBound ? memory.lookUp(urls) : undefined
          // That there is no such realm cannot be said with a warning: a 404 would look like an answer (I2).
          if (known === undefined || known.length === 0) return yield* error
          return known.map((view): RealmView => ({ ...view, unconfirmed: true }))
        })
        // With `serve` not every reader waits for PostgreSQL's silence: after one did, memory answers until it is time to ask
        // again. By the monotonic clock: one that is set back would keep the question from being asked.
        let silence: { readonly error: DatabaseError; readonly untilNanos: bigint } | undefined
        const unlessSilent = <A>(
          question: Effect.Effect<A, DatabaseError>,
          otherwise: (error: DatabaseError) => Effect.Effect<A, DatabaseError>
        ) =>
          Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
            if (onPartition === "serve" && silence !== undefined && now < silence.untilNanos) {
              return otherwise(silence.error)
            }
            return Effect.catch(question, (error) =>
              Effect.flatMap(Clock.monotonicTimeNanos, (later) => {
                silence = { error, untilNanos: later + silenceNanos }
                return otherwise(error)
              }))
          })
        const confirmedOrServed = (urls: ReadonlyArray<RealmUrl>) =>
          unlessSilent(ask(urls), (error) => unconfirmed(urls, error))
        const confirmed = onPartition === "refuse" ? ask : confirmedOrServed

        return Generations.of({
          view: (urls) =>
            Effect.suspend(() => {
              const known = lease.isHeld() ? memory.lookUp(urls) : undefined
              return known === undefined ? confirmed(urls) : Effect.succeed(known)
            }),
          ask,
          hasRealms: (origin) =>
            Effect.suspend(() => {
              const known = memory.origins.lookUp(origin)
              if (known !== undefined && lease.isHeld()) return Effect.succeed(known)
              const answer = memory.origins.begin(origin)
              // Where PostgreSQL does not answer, the view of the realm refuses or warns.
              return unlessSilent(
                realms.hasOrigin(origin),
                (error) => answer.before === undefined ? error : Effect.succeed(answer.before)
              ).pipe(Effect.tap((has) => Effect.sync(() => answer.has = has)))
            }),
          held: (realmUrl) => lease.isHeld() ? memory.view(realmUrl) : undefined,
          known: (realmUrl) => lease.isHeld() ? memory.known(realmUrl) : undefined,
          knownOrigin: (origin) => lease.isHeld() ? memory.origins.lookUp(origin) : undefined,
          apply: (change) =>
            Effect.sync(() => {
              memory.apply(change)
              record({ kind: "invalidation", ...change, via: "own" })
            }),
          broadcast: Effect.fnUntraced(function*(change: Change, ...together: Messages) {
            const origin = {
              publisher: bootId,
              replica: replicaId,
              at: yield* Clock.currentTimeMillis,
              trace: yield* TraceContext.current
            }
            yield* notifications.notify([...messagesOf(change, origin), ...together])
          }),
          applied: Effect.sync(() => memory.applied())
        })
      })
    )
}

/** What a replica does while PostgreSQL cannot be asked: answer 503, or from memory with a warning. */
export type OnPartition = "refuse" | "serve"

/** For how long PostgreSQL is not asked again after it did not answer: with `serve` only. */
const silenceNanos = 1_000_000_000n

/** How long memory is served without a word from PostgreSQL, in milliseconds. */
const partitionBound = 10 * 60 * 1000

interface Batch {
  readonly urls: Set<RealmUrl>
  readonly views: Deferred.Deferred<ReadonlyMap<RealmUrl, RealmView>, DatabaseError>
}

/** One question at a time: whoever asks while one is under way joins the next, which starts after they asked (I1). */
const makeBatchedRead = Effect.fnUntraced(function*(realms: RealmTable["Service"], memory: RealmMemory) {
  const scope: Scope.Scope = yield* Effect.scope
  let next: Batch | undefined
  let running = false

  const readOnce = (urls: ReadonlySet<RealmUrl>) =>
    Effect.suspend(() => {
      const reading = memory.beginReading()
      return realms.read(Array.from(urls)).pipe(
        Effect.map((snapshot) => memory.endReading(reading, urls, snapshot)),
        Effect.ensuring(Effect.sync(() => memory.abandonReading(reading)))
      )
    })

  // A snapshot taken just before a change that was heard since must not be shown (I3).
  const readCurrent = Effect.fnUntraced(function*(urls: ReadonlySet<RealmUrl>) {
    for (let attempt = 0; attempt < 10; attempt++) {
      const views = yield* readOnce(urls)
      if (views !== undefined) return views
    }
    return yield* new DatabaseError({
      operation: "read realms",
      cause: new Error("its generations went back; was it restored from a backup?")
    })
  })

  // One synchronous step decides that nobody waits and says so: a question could fall between the two.
  const run: Effect.Effect<void> = Effect.suspend(() => {
    const batch = next
    next = undefined
    if (batch === undefined) {
      running = false
      return Effect.void
    }
    return readCurrent(batch.urls).pipe(
      Effect.onExit((exit) => Effect.sync(() => Deferred.doneUnsafe(batch.views, exit))),
      Effect.exit,
      Effect.andThen(run)
    )
  })

  // The layer is closing: whoever still asks is told so.
  const ended = (exit: Exit.Exit<void>) => {
    if (Exit.isSuccess(exit)) return
    running = false
    if (next !== undefined) Deferred.doneUnsafe(next.views, Exit.failCause(exit.cause))
    next = undefined
  }

  return (urls: ReadonlyArray<RealmUrl>) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.suspend(() => {
        next ??= { urls: new Set(), views: Deferred.makeUnsafe() }
        const { views } = next
        for (const url of urls) next.urls.add(url)
        if (running) return restore(Deferred.await(views))
        running = true
        return Effect.flatMap(Effect.forkIn(run, scope), (fiber) => {
          fiber.addObserver(ended)
          return restore(Deferred.await(views))
        })
      })
    )
})
