import { Context, Deferred, Effect, Exit, Fiber, type Latch, Option, type Scope, Tracer } from "effect"
import { LRUCache } from "lru-cache"
import type { Counters } from "../coordination/Counters.ts"
import type { Fence } from "../coordination/Fence.ts"
import type { RealmView } from "../coordination/Generations.ts"
import type { PopulateCoordinator } from "../coordination/PopulateCoordinator.ts"
import { Background } from "../domain/Background.ts"
import type { DatabaseError } from "../domain/errors.ts"
import { l1Bytes, l1MaxBytes, liveGauge } from "../domain/Metrics.ts"
import { makeSparingWarning } from "../domain/sparingWarning.ts"
import type { FenceToken } from "../store/CacheTable.ts"
import { populate } from "./populate.ts"

/** What is asked for: `path` within the realm of `view`, made from the bytes that `contentKey` stands for. */
export interface CacheKey {
  readonly view: RealmView
  readonly path: string
  readonly contentKey: string
  /** Whose view it is, where views differ. Scopes never share an entry; `contentKey` must tell them apart as well. */
  readonly scope?: string
  /** What L1 keeps it under, if the caller has that at hand: it must follow from the realm, the path and the scope. */
  readonly id?: string
}

/** Where an answer came from: this process, the shared table, another reader's run, or a run of its own. */
export type Origin = "l1" | "l2" | "joined" | "computed"

/** A value, and where it came from. */
export interface Answer<A> {
  readonly value: A
  readonly origin: Origin
}

/** The shared tier (L2), as one table offers it. */
export interface SharedTier<A> {
  readonly read: (
    realmUrl: string,
    path: string,
    contentKey: string
  ) => Effect.Effect<Option.Option<A>, DatabaseError>
  readonly write: (
    realmUrl: string,
    path: string,
    contentKey: string,
    token: FenceToken,
    value: A
  ) => Effect.Effect<boolean, DatabaseError>
  /**
   * Finds what was made from the same content elsewhere, and writes it under the key as `write` does (rule 11). Without it,
   * each key's value is made for itself.
   */
  readonly adopt?: (
    realmUrl: string,
    path: string,
    contentKey: string,
    token: FenceToken
  ) => Effect.Effect<Option.Option<{ readonly value: A; readonly accepted: boolean }>, DatabaseError>
}

/** What a cache is made of: how its values are named, sized, shared and computed. */
export interface Options<K extends CacheKey, A, E, R> {
  /** Prefix of the coalescing key, so that flows never meet. */
  readonly flow: string
  /** L1's bound. */
  readonly capacityBytes: number
  /** Bytes that a value takes in L1. */
  readonly sizeOf: (value: A) => number
  readonly shared: SharedTier<A>
  /** Makes the value from its source. Its failures reach every waiter and are not kept. */
  readonly compute: (key: K) => Effect.Effect<A, E, R>
  readonly coordinator: PopulateCoordinator["Service"]
  readonly counters: Counters["Service"]
}

interface Fenced {
  readonly fence: Fence
  readonly token: number
  readonly contentKey: string
}

interface Entry<A> extends Fenced {
  readonly value: A
}

/** One run that any number of readers wait for. */
interface Flight<A, E> extends Fenced {
  readonly path: string
  readonly done: Deferred.Deferred<Answer<A>, E>
  /** Of a run that nobody waits for; opened for the first who does. */
  readonly background: Latch.Latch | undefined
  waiters: number
  fiber?: Fiber.Fiber<Answer<A>, E>
}

/** A coherent cache of one kind of derived artifact. */
export interface CoherentCache<K extends CacheKey, A, E> {
  readonly get: (key: K) => Effect.Effect<Answer<A>, E>
  /** A hit in L1, counted like any other, at once. */
  readonly held: (key: K) => Answer<A> | undefined
  /** What L1 holds for the key, without a trace: nothing is counted, made or kept for longer. */
  readonly peek: (key: K) => Option.Option<A>
  /** Drops this value from L1, if it is still there: for values that may turn out void by more than their own path. */
  readonly discard: (key: K, value: A) => void
  /** Bytes in L1. */
  readonly bytes: () => number
}

/**
 * The one engine of Lockstep: L1, single flight, L2, coordinator, compute, fenced write. It knows nothing of modules.
 *
 * Nothing is pushed out when a path is invalidated. Entries and flights carry the fence token of the view that they were
 * made under, and are passed over as soon as that token does not hold any more: an invalidation costs the same however
 * much is cached.
 */
export const make = Effect.fnUntraced(function*<K extends CacheKey, A, E, R>(
  options: Options<K, A, E, R>
): Effect.fn.Return<CoherentCache<K, A, E>, never, R | Scope.Scope> {
  const { counters, sizeOf } = options
  const scope = yield* Effect.scope
  // A run belongs to the trace of the reader that began it, and not to where the cache was made.
  const context = Context.omit(Tracer.ParentSpan)(yield* Effect.context<R>()) as Context.Context<R>
  const entries = new LRUCache<string, Entry<A>>({
    maxSize: options.capacityBytes,
    sizeCalculation: (entry, id) => sizeOf(entry.value) + 2 * id.length + 128
  })
  yield* liveGauge(l1Bytes({ cache: options.flow }), () => entries.calculatedSize)
  yield* liveGauge(l1MaxBytes({ cache: options.flow }), () => options.capacityBytes)
  const flights = new Map<string, Flight<A, E>>()
  const holds = (made: Fenced, { contentKey, path, view }: K) =>
    made.fence === view.fence && made.contentKey === contentKey && made.fence.holds(made.token, path)

  const warnings = {
    l2: makeSparingWarning("The shared cache could not be used"),
    coordination: makeSparingWarning("The replicas could not be coordinated")
  }
  const run = (key: K) => Effect.provideContext(populate(options, key, warnings), context)

  const settle = (id: string, flight: Flight<A, E>, exit: Exit.Exit<Answer<A>, E>) => {
    // By identity: an old run that settles late must neither remove nor answer for a newer one (S3).
    if (flights.get(id) === flight) {
      flights.delete(id)
      // I1: a value whose path was invalidated since its token was taken reaches its waiters, and nobody else.
      if (Exit.isSuccess(exit) && flight.fence.holds(flight.token, flight.path)) {
        const { contentKey, fence, token } = flight
        entries.set(id, { contentKey, fence, token, value: exit.value.value })
      }
    }
    Deferred.doneUnsafe(flight.done, exit)
  }

  type Restore = <B, E1>(self: Effect.Effect<B, E1>) => Effect.Effect<B, E1>

  // Only the waiting is interruptible: a reader that was interrupted before it began to wait is counted out all the same.
  const join = (restore: Restore, id: string, flight: Flight<A, E>): Effect.Effect<Answer<A>, E> =>
    Effect.onInterrupt(restore(Deferred.await(flight.done)), () =>
      Effect.suspend(() => {
        // S4: the work stops when its last waiter leaves, and not before.
        if (--flight.waiters > 0) return Effect.void
        if (flights.get(id) === flight) flights.delete(id)
        return flight.fiber === undefined ? Effect.void : Fiber.interrupt(flight.fiber)
      }))

  const held = (key: K, id = idOf(key)): Answer<A> | undefined => {
    const entry = entries.get(id)
    if (entry === undefined || !holds(entry, key)) return undefined
    counters.l1Hits++
    return { value: entry.value, origin: "l1" }
  }

  const joinOrRun = (id: string, key: K): Effect.Effect<Answer<A>, E> =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Background, (background) => {
        // One synchronous step from look to entry in the book: an invalidation could fall into any gap.
        const hit = held(key, id)
        if (hit !== undefined) return Effect.succeed(hit)
        const flying = flights.get(id)
        if (flying !== undefined && holds(flying, key)) {
          flying.waiters++
          counters.joined++
          if (background === undefined) flying.background?.openUnsafe()
          return Effect.map(join(restore, id, flying), ({ value }): Answer<A> => ({ value, origin: "joined" }))
        }
        const { contentKey, path, view: { fence, token } } = key
        const done = Deferred.makeUnsafe<Answer<A>, E>()
        const flight: Flight<A, E> = { fence, token, contentKey, path, done, background, waiters: 1 }
        flights.set(id, flight)
        return Effect.flatMap(Effect.forkIn(run(key), scope), (fiber) => {
          flight.fiber = fiber
          // An observer hears of every end, also of a run that a closed scope did not let start: nobody is left waiting.
          fiber.addObserver((exit) => settle(id, flight, exit))
          return join(restore, id, flight)
        })
      })
    )

  return {
    // A hit is one step, and needs nothing that waiting does.
    get: (key) =>
      Effect.suspend(() => {
        const id = idOf(key)
        const hit = held(key, id)
        return hit === undefined ? joinOrRun(id, key) : Effect.succeed(hit)
      }),
    held,
    peek: (key) => {
      const entry = entries.peek(idOf(key))
      return entry !== undefined && holds(entry, key) ? Option.some(entry.value) : Option.none()
    },
    discard: (key, value) => {
      const id = idOf(key)
      if (entries.peek(id)?.value === value) entries.delete(id)
    },
    bytes: () => entries.calculatedSize
  }
})

/** What L1 keeps a value under. */
export const idOf = ({ id, path, scope = "", view }: Omit<CacheKey, "contentKey">): string =>
  id ?? `${view.row.realmUrl}\0${path}\0${scope}`
