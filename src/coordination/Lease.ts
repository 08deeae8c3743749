import { Clock, Context, Deferred, Duration, Effect, Layer, Queue, Schedule, type Scope } from "effect"
import { leaseAge, leaseHeld, leaseLength, liveGauge } from "../domain/Metrics.ts"
import { monotonicMillis } from "../domain/monotonicMillis.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { type ReplicaRow, ReplicaTable } from "../store/ReplicaTable.ts"
import { Counters } from "./Counters.ts"
import { EventLog } from "./EventLog.ts"
import { Membership } from "./Membership.ts"
import { type CatchUp, type Message, type Session, Sessions } from "./Sessions.ts"

/** How far a replica's clock may run from the publisher's, as a share of elapsed time. */
export const drift = 0.01

/** What is heard on the session. */
export type Event =
  | { readonly _tag: "Message"; readonly message: Message }
  /** A new session: any number of messages may have been missed. Trust rows, not silence. */
  | { readonly _tag: "Gap" }
  /** The rows that moved. Without continuity nothing is known of the time before: memory is void. */
  | { readonly _tag: "CaughtUp"; readonly realms: CatchUp["realms"]; readonly continuous: boolean }

/** A generation to acknowledge, as JSON, and to whom. */
interface Applied {
  readonly entry: string
  readonly to: string | undefined
}

const make = Effect.fnUntraced(function*(self: ReplicaRow) {
  const clock = yield* Clock.Clock
  const counters = yield* Counters
  const { record } = yield* EventLog
  const replicas = yield* ReplicaTable
  const sessions = yield* Sessions
  const handlers = new Set<(event: Event) => void>()
  // What is wrong with one subscriber is neither the others' concern nor the session's.
  const dispatch = (events: ReadonlyArray<Event>) => {
    const failures: Array<unknown> = []
    for (const event of events) {
      for (const handler of handlers) {
        try {
          handler(event)
        } catch (failure) {
          failures.push(failure)
        }
      }
    }
    return failures
  }
  const announce = (events: ReadonlyArray<Event>) =>
    Effect.suspend(() => {
      const failures = dispatch(events)
      return failures.length === 0 ? Effect.void : Effect.logError("A subscriber of notifications failed", ...failures)
    })
  const wanted = yield* Queue.sliding<void>(1)
  const applied = yield* Queue.sliding<Applied>(10_000)
  const granted = Deferred.makeUnsafe<void>()
  const span = self.leaseMillis * (1 - drift)

  const monotonic = () => monotonicMillis(clock)
  let until = -Infinity
  // A machine that slept may have a monotonic clock that did not notice: the wall clock must agree.
  let wallUntil = -Infinity
  let held = false
  let heardAt = 0
  const startedAt = clock.currentTimeMillisUnsafe()
  const isHeld = () => {
    if (monotonic() < until && clock.currentTimeMillisUnsafe() < wallUntil) return true
    if (held) {
      held = false
      counters.leaseExpiries++
      record({ kind: "lease", detail: "The lease has ended: reads ask PostgreSQL until it is renewed" })
    }
    return false
  }

  yield* liveGauge(leaseHeld, () => isHeld() ? 1 : 0)
  yield* liveGauge(leaseLength, () => self.leaseMillis / 1000)
  yield* liveGauge(leaseAge, () => (clock.currentTimeMillisUnsafe() - Math.max(heardAt, startedAt)) / 1000)

  // What the last catch-up of this database, timeline and incarnation saw; it outlives the session.
  let position: Pick<CatchUp, "identity" | "cursor"> | undefined

  const renew = Effect.fnUntraced(function*(session: Session) {
    // I1: read before the renewal is sent; the reply may have been long on its way.
    const sentAt = monotonic()
    const sentAtWall = clock.currentTimeMillisUnsafe()
    // I1: the membership is committed before the statement that reads generations starts.
    if (!(yield* session.renew)) yield* session.register
    const caughtUp = yield* session.catchUp(position?.cursor)
    const sameDatabase = position?.identity === caughtUp.identity
    // Transactions are counted upwards: a database that counts less than it did was restored to an earlier state.
    const wentBack = sameDatabase && BigInt(caughtUp.cursor) < BigInt(position?.cursor ?? 0)
    const continuous = sameDatabase && !wentBack
    if (!continuous && (yield* session.beginEpoch(wentBack))) {
      counters.failovers++
      yield* Effect.logWarning("PostgreSQL has failed over or was restored: generations were raised, memory is dropped")
    }
    // No step may come between applying what moved and granting, and what was not applied is found again.
    const failures = dispatch([{ _tag: "CaughtUp", realms: continuous ? caughtUp.realms : [], continuous }])
    if (failures.length > 0) return yield* Effect.die(failures[0])
    position = { identity: caughtUp.identity, cursor: caughtUp.cursor }
    heardAt = sentAtWall
    until = sentAt + span
    wallUntil = sentAtWall + span
    held = true
    Deferred.doneUnsafe(granted, Effect.void)
  })

  const serve = Effect.gen(function*() {
    const session = yield* sessions.open(self)
    // Listening is confirmed: whatever is missed from here on is missed by a break of this session.
    yield* announce([{ _tag: "Gap" }])
    const receive = Effect.forever(Effect.flatMap(
      Queue.takeAll(session.inbox),
      (messages) => announce(messages.map((message) => ({ _tag: "Message", message })))
    ))
    const keep = Effect.forever(Effect.andThen(
      renew(session),
      Effect.timeoutOption(Queue.take(wanted), Duration.millis(self.leaseMillis / 3))
    ))
    const tell = Effect.forever(
      Effect.flatMap(
        Queue.takeAll(applied),
        (generations) =>
          Effect.forEach(
            Map.groupBy(generations, ({ to }) => to),
            ([to, entries]) =>
              Effect.forEach(
                chunks(self.bootId, entries.map(({ entry }) => entry)),
                (payload) => session.acknowledge(payload, to),
                { discard: true }
              ),
            { discard: true }
          )
      )
    )
    return yield* Effect.raceAllFirst([receive, keep, tell])
  }).pipe(
    Effect.scoped,
    // A defect is a loss like any other: the listener must not die silently (S22).
    Effect.catchCause((cause) =>
      Effect.sync(() => {
        counters.listenerReconnects++
        record({ kind: "lease", detail: "The listening session was lost and is being opened again" })
      }).pipe(
        Effect.andThen(Effect.logWarning("The listening session was lost and is being opened again", cause)),
        Effect.andThen(Effect.fail("lost" as const))
      )
    )
  )

  // At a clean stop memory answers no more, and publishers need not wait for it. Added before the fiber that renews, so
  // that it runs when that one has ended.
  yield* Effect.addFinalizer(() => {
    until = -Infinity
    return Effect.ignore(Effect.timeout(replicas.leave(self), "1 second"))
  })

  yield* Effect.forkScoped(Effect.retry(
    serve,
    Schedule.jittered(Schedule.min([Schedule.exponential("50 millis"), Schedule.spaced("1 second")]))
  ))
  // A replica that cannot listen yet may serve all the same: its reads ask PostgreSQL.
  yield* Effect.timeoutOption(Deferred.await(granted), "5 seconds")
  return Lease.of({
    self,
    isHeld,
    heardAt: () => heardAt,
    subscribe: (handler) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => handlers.add(handler)),
        () => Effect.sync(() => handlers.delete(handler))
      )),
    requestCatchUp: () => void Queue.offerUnsafe(wanted, undefined),
    acknowledge: (realmUrl, generation, to) => {
      // A publisher has applied its own change before it told of it.
      if (to !== self.bootId) Queue.offerUnsafe(applied, { entry: JSON.stringify([realmUrl, generation]), to })
    }
  })
})

/**
 * How long this replica may trust its memory without asking PostgreSQL (Gray and Cheriton's leases, 1989).
 *
 * One pinned session listens, renews the membership and catches up. Each renewal is counted from the moment *before* it
 * was sent and lasts for the lease less the drift, on the monotonic clock; it is granted after everything that moved
 * since the last one was applied. A publisher waits until each member has acknowledged its generation or the member's
 * lease must have ended, so no memory answers from before a publish that has returned (I1).
 */
export class Lease extends Context.Service<Lease, {
  readonly self: ReplicaRow
  /** Whether memory may answer now. Two readings of clocks, never a timer: a replica that was stopped sees it at once. */
  readonly isHeld: () => boolean
  /** Wall-clock milliseconds of the last renewal. */
  readonly heardAt: () => number
  /** Calls `handler` for each event until the scope closes. Handlers run in turn and must not wait. */
  readonly subscribe: (handler: (event: Event) => void) => Effect.Effect<void, never, Scope.Scope>
  /** Catches up soon: a gap was noticed. Requests are coalesced. */
  readonly requestCatchUp: () => void
  /**
   * Tells the publisher, by its boot, or every member where it is not known, that this generation is applied. Only after
   * applying it, whether or not the realm is mounted.
   */
  readonly acknowledge: (realmUrl: RealmUrl, generation: number, to?: string) => void
}>()("lockstep/coordination/Lease") {
  static readonly layer = Layer.effect(Lease, Effect.flatMap(Membership, make))

  /** Never held: every read asks. */
  static readonly layerNone = Layer.effect(
    Lease,
    Effect.map(Membership, (self) => ({
      self,
      isHeld: () => false,
      heardAt: () => 0,
      subscribe: () => Effect.void,
      requestCatchUp: () => {},
      acknowledge: () => {}
    }))
  )
}

/** Payloads for `lockstep_acks`, each below PostgreSQL's limit: a realm's URL has 2,048 bytes at most. */
const chunks = (bootId: string, generations: ReadonlyArray<string>): ReadonlyArray<string> => {
  const payloads: Array<string> = []
  let entries: Array<string> = []
  let size = 0
  for (const entry of generations) {
    if (size + entry.length > 4000 && entries.length > 0) {
      payloads.push(`{"b":"${bootId}","a":[${entries.join(",")}]}`)
      entries = []
      size = 0
    }
    entries.push(entry)
    size += entry.length + 1
  }
  if (entries.length > 0) payloads.push(`{"b":"${bootId}","a":[${entries.join(",")}]}`)
  return payloads
}
