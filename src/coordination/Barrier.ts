import { Clock, Context, Deferred, Effect, Layer, Result, Schema } from "effect"
import type { DatabaseError } from "../domain/errors.ts"
import { ReplicaTable } from "../store/ReplicaTable.ts"
import { type Change, Generations } from "./Generations.ts"
import { drift, Lease } from "./Lease.ts"
import { Notifications } from "./Notifications.ts"

/** How many replicas live, and how many have said that they apply the generation. The others' leases have ended. */
export interface Acknowledgement {
  readonly live: number
  readonly acked: number
}

interface Watch {
  readonly generation: number
  readonly acked: Set<string>
  /** Members still waited for; undefined until they have been read. */
  waiting: Set<string> | undefined
  readonly done: Deferred.Deferred<void>
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
  /** Tells the others of a change that was committed and applied here, and waits for them. */
  readonly confirm: (change: Change) => Effect.Effect<Acknowledgement, DatabaseError>
}>()("lockstep/coordination/Barrier") {
  static readonly layer = Layer.effect(
    Barrier,
    Effect.gen(function*() {
      const generations = yield* Generations
      const lease = yield* Lease
      const notifications = yield* Notifications
      const replicas = yield* ReplicaTable
      const watches = new Map<string, Set<Watch>>()

      yield* notifications.subscribe((event) => {
        if (event._tag !== "Message" || event.message.channel !== "lockstep_acks" || watches.size === 0) return
        const decoded = decodePayload(event.message.payload)
        if (Result.isFailure(decoded)) return
        const { a, b } = decoded.success
        for (const [realmUrl, generation] of a) {
          for (const watch of watches.get(realmUrl) ?? []) if (generation >= watch.generation) acknowledged(watch, b)
        }
      })

      const settle = Effect.fnUntraced(function*(watch: Watch, committedAt: bigint) {
        // Read after the commit: whoever registers later sees the generation in its first catch-up.
        const members = yield* replicas.members
        const others = members.filter((member) => member.bootId !== lease.self.bootId)
        watch.waiting = new Set(others.map((member) => member.bootId))
        for (const bootId of watch.acked) watch.waiting.delete(bootId)
        const longest = Math.max(0, ...others.map((member) => member.leaseMillis)) * (1 + drift)
        const elapsed = Number((yield* Clock.monotonicTimeNanos) - committedAt) / 1e6
        if (watch.waiting.size > 0) {
          yield* Effect.timeoutOption(Deferred.await(watch.done), Math.max(0, longest - elapsed))
        }
        const silent = others.filter((member) => !watch.acked.has(member.bootId))
        // Only who has not renewed since: a slow member is no dead one.
        if (silent.length > 0) yield* Effect.ignore(replicas.forget(silent))
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

      const confirm = Effect.fn("Barrier.confirm")(function*(change: Change) {
        const committedAt = yield* Clock.monotonicTimeNanos
        const watch: Watch = {
          generation: change.generation,
          acked: new Set(),
          waiting: undefined,
          done: Deferred.makeUnsafe()
        }
        // Listening begins before the announcement: an early acknowledgement is not lost.
        yield* listen(change.realmUrl, watch)
        yield* Effect.catch(
          generations.broadcast(change),
          (error) =>
            Effect.logWarning(`Generation ${change.generation} of ${change.realmUrl} could not be announced`, error)
        )
        return yield* settle(watch, committedAt)
      }, Effect.scoped)

      return Barrier.of({ confirm })
    })
  )
}

const acknowledged = (watch: Watch, bootId: string) => {
  watch.acked.add(bootId)
  if (watch.waiting?.delete(bootId) === true && watch.waiting.size === 0) {
    Deferred.doneUnsafe(watch.done, Effect.void)
  }
}
