import { Deferred, Effect, Layer, Scope } from "effect"
import { messagesOf } from "../../src/coordination/changeMessages.ts"
import { Counters } from "../../src/coordination/Counters.ts"
import { type Change, Generations, type OnPartition } from "../../src/coordination/Generations.ts"
import { type Event, Lease } from "../../src/coordination/Lease.ts"
import { type Channel, Notifications } from "../../src/coordination/Notifications.ts"
import type { DatabaseError } from "../../src/domain/errors.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { type RealmRow, type RealmSnapshot, RealmTable } from "../../src/store/RealmTable.ts"

export const realmUrl = "http://test.example/realm/" as RealmUrl
export const otherUrl = "http://test.example:8080/other/" as RealmUrl

export const rowOf = (url: RealmUrl, generation: number): RealmRow => ({
  realmUrl: url,
  generation,
  state: "live",
  directory: `v${generation}`,
  wipeFloor: 1,
  definitionFloor: 1,
  kind: "source",
  sourceUrl: null,
  lastPublishedAt: null,
  isPrivate: false
})

/**
 * A table whose rows the test sets and whose answers it can hold back, the messages that a replica hears, and its lease,
 * which is not held unless the test says so.
 */
export const setUpWith = Effect.fnUntraced(function*(onPartition?: OnPartition) {
  const rows = new Map<RealmUrl, RealmRow>()
  const asked: Array<ReadonlyArray<RealmUrl>> = []
  let hold: Deferred.Deferred<void> | undefined
  let snapshots: Array<RealmSnapshot> = []
  let failure: DatabaseError | undefined
  const origins: Array<string> = []
  const table: Pick<RealmTable["Service"], "read" | "hasOrigin"> = {
    hasOrigin: (origin) =>
      Effect.suspend(() => {
        origins.push(origin)
        if (failure !== undefined) return Effect.fail(failure)
        const has = Array.from(rows.keys()).some((url) => new URL(url).origin === origin)
        return Effect.as(hold === undefined ? Effect.void : Deferred.await(hold), has)
      }),
    read: (urls) =>
      Effect.suspend(() => {
        asked.push(urls)
        if (failure !== undefined) return Effect.fail(failure)
        const answer = snapshots.shift() ??
          { incarnation: "i", realms: urls.flatMap((url) => rows.get(url) ?? []) }
        return Effect.as(hold === undefined ? Effect.void : Deferred.await(hold), answer)
      })
  }
  const handlers: Array<(event: Event) => void> = []
  const acknowledged: Array<readonly [RealmUrl, number]> = []
  const lease = { held: false, heardAt: 0 }
  const layer = Layer.fresh(Generations.layer(onPartition)).pipe(
    Layer.provideMerge(Layer.mergeAll(
      Layer.fresh(Counters.layer),
      Layer.mock(RealmTable, table),
      Layer.mock(Notifications, {
        subscribe: (handler) => Effect.sync(() => void handlers.push(handler)),
        notify: () => Effect.void
      }),
      Layer.mock(Lease, {
        self: { replicaId: "one", bootId: "one", advertiseUrl: "", leaseMillis: 3_000 },
        isHeld: () => lease.held,
        heardAt: () => lease.heardAt,
        requestCatchUp: () => {},
        acknowledge: (url, generation) => void acknowledged.push([url, generation])
      })
    ))
  )
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(layer, scope)
  const generations = yield* Effect.provide(Generations, context)
  const dispatch = (event: Event) => Effect.sync(() => handlers.forEach((handler) => handler(event)))
  return {
    rows,
    asked,
    origins,
    generations,
    scope,
    lease,
    acknowledged,
    /** From now on the table cannot be read, or can be again. */
    failing: (error: DatabaseError | undefined) => void (failure = error),
    counters: yield* Effect.provide(Counters, context),
    see: Effect.map(generations.view([realmUrl]), ([view]) => {
      if (view === undefined) throw new Error("the realm is not there")
      return view
    }),
    gap: dispatch({ _tag: "Gap" }),
    caughtUp: (realms: Record<RealmUrl, number>, continuous = true) =>
      dispatch({
        _tag: "CaughtUp",
        realms: Object.entries(realms).map(([url, generation]) => ({ realmUrl: url as RealmUrl, generation })),
        continuous
      }),
    hear: (channel: Channel, payload: string, sender = 1) =>
      dispatch({ _tag: "Message", message: { channel, payload, sender } }),
    hearChange: (change: Change, sender = 1) =>
      Effect.forEach(
        messagesOf(change, { publisher: "another boot" }),
        ({ channel, payload }) => dispatch({ _tag: "Message", message: { channel, payload, sender } }),
        { discard: true }
      ),
    /** The next answers to come from the table, before its rows. */
    answer: (...next: ReadonlyArray<RealmSnapshot>) => Effect.sync(() => void (snapshots = [...next])),
    holdBack: Effect.sync(() => {
      const held = Deferred.makeUnsafe<void>()
      hold = held
      return Effect.sync(() => {
        hold = undefined
        Deferred.doneUnsafe(held, Effect.void)
      })
    })
  }
})

export const setUp = setUpWith()

/** Lets every fiber that can run do so. */
export const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })
