import { Clock, Context, Deferred, Effect, Exit, Layer, Metric, Option, Result, Schema, type Tracer } from "effect"
import type { DatabaseError } from "../domain/errors.ts"
import { invalidationDelay, publishBarrier, timed } from "../domain/Metrics.ts"
import { monotonicMillis } from "../domain/monotonicMillis.ts"
import { type Member, ReplicaTable } from "../store/ReplicaTable.ts"
import { type Change, Generations, type Messages } from "./Generations.ts"
import { drift, Lease } from "./Lease.ts"
import { Notifications } from "./Notifications.ts"

/** How many replicas live, and how many have said that they apply the generation. The others' leases have ended. */
export interface Acknowledgement {
  readonly live: number
  readonly acked: number
}

interface Watch {
  readonly generation: number
  /** When the others began to be told, on the monotonic clock. */
  readonly since: number
  /** Boots that have acknowledged, and when, on the monotonic clock. */
  readonly acked: Map<string, number>
  /** Members still waited for; undefined until they have been read. */
  waiting: Set<string> | undefined
  readonly done: Deferred.Deferred<void>
  /** Where acknowledgements are noted, if anybody traces. */
  readonly span: Option.Option<Tracer.Span>
}

/** The payload of `lockstep_acks`: the member's boot, and realms with the generation it has applied. */
const Payload = Schema.fromJsonString(Schema.Struct({
  b: Schema.String,
  a: Schema.Array(Schema.Tuple([Schema.String, Schema.Finite]))
}))
const decodePayload = Schema.decodeUnknownResult(Payload)

/**
 * Waits until no replica can answer from before a committed generation (I1): until each member has acknowledged it, or
 * the publisher's own monotonic clock, from the commit's reply, has passed the longest lease with its drift.
 */
export class Barrier extends Context.Service<Barrier, {
  /** Tells the others of a change that was committed and applied here, with other messages, and waits for them. */
  readonly confirm: (change: Change, ...together: Messages) => Effect.Effect<Acknowledgement, DatabaseError>
  /**
   * The same for a change that promises nothing to readers elsewhere: waits for those that answer soon, a quarter of a second at most,
   * so that the next request on another replica finds it all the same.
   */
  readonly announce: (change: Change, ...together: Messages) => Effect.Effect<Acknowledgement, DatabaseError>
}>()("lockstep/coordination/Barrier") {
  static readonly layer = Layer.effect(
    Barrier,
    Effect.gen(function*() {
      const generations = yield* Generations
      const lease = yield* Lease
      const notifications = yield* Notifications
      const replicas = yield* ReplicaTable
      const watches = new Map<string, Set<Watch>>()

      const clock = yield* Clock.Clock
      const monotonicNow = () => monotonicMillis(clock)
      const acknowledged = (watch: Watch, bootId: string) => {
        // A member may say so twice: having heard of the change, and having caught up.
        const first = !watch.acked.has(bootId)
        if (first) watch.acked.set(bootId, monotonicNow())
        if (first && Option.isSome(watch.span)) {
          watch.span.value.event("acknowledged", clock.currentTimeNanosUnsafe(), { "lockstep.boot": bootId })
        }
        if (watch.waiting?.delete(bootId) === true && watch.waiting.size === 0) {
          Deferred.doneUnsafe(watch.done, Effect.void)
        }
      }

      yield* notifications.subscribe((event) => {
        if (event._tag !== "Message" || event.message.channel !== "lockstep_acks" || watches.size === 0) return
        const decoded = decodePayload(event.message.payload)
        if (Result.isFailure(decoded)) return
        const { a, b } = decoded.success
        for (const [realmUrl, generation] of a) {
          for (const watch of watches.get(realmUrl) ?? []) {
            if (generation >= watch.generation) acknowledged(watch, b)
          }
        }
      })

      // Since when, on this replica's monotonic clock, each member has shown the same count of renewals.
      const silence = new Map<string, { readonly renewals: number; readonly since: number }>()
      const monotonic = Effect.sync(monotonicNow)

      const readMembers = Effect.gen(function*() {
        const members = yield* replicas.members
        const now = yield* monotonic
        const others = members.filter((member) => member.bootId !== lease.self.bootId)
        const present = new Set(others.map((member) => member.bootId))
        for (const bootId of silence.keys()) if (!present.has(bootId)) silence.delete(bootId)
        for (const { bootId, renewals } of others) {
          if (silence.get(bootId)?.renewals !== renewals) silence.set(bootId, { renewals, since: now })
        }
        return others
      })

      // Only who has not renewed for a whole lease: a slow member is no dead one, and must be waited for next time.
      const forgetDead = Effect.fnUntraced(function*(silent: ReadonlyArray<Member>) {
        const now = yield* monotonic
        const dead = silent.filter((member) =>
          now - (silence.get(member.bootId)?.since ?? now) >= member.leaseMillis * (1 + drift)
        )
        if (dead.length > 0) yield* Effect.ignore(replicas.forget(dead))
        return new Set(dead)
      })

      const settle = Effect.fnUntraced(function*(watch: Watch, members: ReadonlyArray<Member>, patience: number) {
        // The dead have no lease left, and find the change when they come back. A timer that fired early left them here.
        const dead = yield* forgetDead(members)
        const others = members.filter((member) => !dead.has(member))
        watch.waiting = new Set(others.map((member) => member.bootId))
        for (const bootId of watch.acked.keys()) watch.waiting.delete(bootId)
        // Counted from here, which is after the commit: by then every lease from before has ended (I1).
        const longest = Math.max(0, ...others.map((member) => member.leaseMillis)) * (1 + drift)
        if (watch.waiting.size > 0) {
          yield* Effect.timeoutOption(Deferred.await(watch.done), Math.min(longest, patience))
        }
        const silent = others.filter((member) => !watch.acked.has(member.bootId))
        if (silent.length > 0) yield* forgetDead(silent)
        for (const { bootId, leaseMillis } of others) {
          const ackedAt = watch.acked.get(bootId)
          const bound = leaseMillis * (1 + drift)
          yield* Metric.update(invalidationDelay, (ackedAt === undefined ? bound : ackedAt - watch.since) / 1000)
        }
        return { live: others.length + 1, acked: others.length - silent.length + 1 }
      })

      const listen = (realmUrl: string, watch: Watch) =>
        Effect.acquireRelease(
          Effect.sync(() => watches.set(realmUrl, (watches.get(realmUrl) ?? new Set()).add(watch))),
          () =>
            Effect.sync(() => {
              const left = watches.get(realmUrl)
              if (left?.delete(watch) === true && left.size === 0) watches.delete(realmUrl)
            })
        )

      const tell = Effect.fnUntraced(function*(change: Change, patience: number, together: Messages) {
        const watch: Watch = {
          generation: change.generation,
          acked: new Map(),
          since: yield* monotonic,
          waiting: undefined,
          done: Deferred.makeUnsafe(),
          span: yield* Effect.option(Effect.currentSpan)
        }
        // Listening begins before the announcement: an early acknowledgement is not lost.
        yield* listen(change.realmUrl, watch)
        const broadcast = Effect.catch(
          generations.broadcast(change, ...together),
          (error) =>
            Effect.logWarning(`Generation ${change.generation} of ${change.realmUrl} could not be announced`, error)
        )
        // Read after the commit: whoever registers later sees the generation in its first catch-up. Sent first is what
        // takes a way there and back.
        const [, members] = yield* Effect.all([broadcast, readMembers], { concurrency: 2 })
        return yield* settle(watch, members, patience)
      }, Effect.scoped)

      return Barrier.of({
        confirm: (change, ...together) =>
          Effect.withSpan(measured("all", tell(change, Infinity, together)), "Barrier.confirm"),
        announce: (change, ...together) =>
          Effect.withSpan(measured("soon", tell(change, courtesyMillis, together)), "Barrier.announce")
      })
    })
  )
}

/** How long a write that did not ask for certainty waits for slow replicas. */
const courtesyMillis = 250

const measured = (wait: "all" | "soon", told: Effect.Effect<Acknowledgement, DatabaseError>) =>
  timed<Acknowledgement, DatabaseError>((exit) =>
    Exit.isFailure(exit) ? undefined : publishBarrier({
      wait,
      outcome: exit.value.acked === exit.value.live ? "acknowledged" : "waited_out"
    })
  )(told)
