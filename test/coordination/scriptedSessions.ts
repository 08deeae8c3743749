import { Clock, Deferred, Effect, Exit, Layer, Queue, Scope } from "effect"
import { Counters } from "../../src/coordination/Counters.ts"
import { type Event, Lease } from "../../src/coordination/Lease.ts"
import { Membership } from "../../src/coordination/Membership.ts"
import { type CatchUp, type Message, type Session, Sessions } from "../../src/coordination/Sessions.ts"
import { DatabaseError } from "../../src/domain/errors.ts"
import { ReplicaTable } from "../../src/store/ReplicaTable.ts"

type Call = "open" | "renew" | "register" | "catchUp" | "beginEpoch" | "acknowledge"

const down = new DatabaseError({ operation: "answer", cause: new Error("down") })

/** A database as a lease sees it over its session: the test decides what it says, when, and what it does not say. */
export class Script {
  /** Calls in the order in which they arrived; what came back is not told. */
  readonly calls: Array<string> = []
  /** To whom each acknowledgement went. */
  readonly told: Array<string | undefined> = []
  registered = false
  database: CatchUp = { identity: "one", cursor: "100", realms: [] }
  /** Whether `beginEpoch` finds that it has to raise generations. */
  raises = false
  readonly #held = new Map<Call, Deferred.Deferred<void>>()
  readonly #failing = new Set<Call>()
  #inbox: Queue.Queue<Message, DatabaseError> | undefined

  /** From now on calls of this kind arrive and are not answered. */
  hold(call: Call): void {
    this.#held.set(call, Deferred.makeUnsafe())
  }

  /** Answers what was held, and goes on answering. */
  release(call: Call): void {
    const held = this.#held.get(call)
    this.#held.delete(call)
    if (held !== undefined) Deferred.doneUnsafe(held, Effect.void)
  }

  fail(call: Call): void {
    this.#failing.add(call)
  }

  mend(call: Call): void {
    this.#failing.delete(call)
  }

  say(...messages: ReadonlyArray<Message>): void {
    for (const message of messages) if (this.#inbox !== undefined) Queue.offerUnsafe(this.#inbox, message)
  }

  /** The connection is cut. */
  readonly cut = Effect.suspend(() => this.#inbox === undefined ? Effect.void : Queue.fail(this.#inbox, down))

  readonly #call = <A>(call: Call, told: string, answer: () => A) =>
    Effect.suspend(() => {
      this.calls.push(told)
      const held = this.#held.get(call)
      return Effect.flatMap(
        held === undefined ? Effect.void : Deferred.await(held),
        () => this.#failing.has(call) ? Effect.fail(down) : Effect.sync(answer)
      )
    })

  readonly sessions = Sessions.of({
    open: () =>
      Effect.flatMap(
        this.#call("open", "open", () => {}),
        Effect.fnUntraced(function*(this: Script) {
          const inbox = yield* Queue.unbounded<Message, DatabaseError>()
          this.#inbox = inbox
          return {
            inbox,
            renew: this.#call("renew", "renew", () => this.registered),
            register: this.#call("register", "register", () => void (this.registered = true)),
            catchUp: (cursor) => this.#call("catchUp", `catch up from ${cursor}`, () => this.database),
            beginEpoch: (wentBack) => this.#call("beginEpoch", `begin epoch ${wentBack}`, () => this.raises),
            acknowledge: (payload, to) =>
              this.#call("acknowledge", `acknowledge ${payload}`, () => void this.told.push(to))
          } satisfies Session
        }.bind(this))
      )
  })

  readonly replicas = Layer.mock(ReplicaTable, {
    leave: () =>
      Effect.sync(() => {
        this.calls.push("leave")
        this.registered = false
      })
  })
}

/** Clocks that the test can set apart from its timers. */
export const skewedClock = Effect.gen(function*() {
  const base = yield* Clock.Clock
  const skew = { monotonicMillis: 0, wallMillis: 0 }
  const wallNanos = () => base.currentTimeNanosUnsafe() + BigInt(skew.wallMillis * 1e6)
  const monotonicNanos = () => base.monotonicTimeNanosUnsafe() + BigInt(skew.monotonicMillis * 1e6)
  const clock: Clock.Clock = {
    currentTimeMillisUnsafe: () => base.currentTimeMillisUnsafe() + skew.wallMillis,
    currentTimeMillis: Effect.map(base.currentTimeMillis, (millis) => millis + skew.wallMillis),
    currentTimeNanosUnsafe: wallNanos,
    currentTimeNanos: Effect.sync(wallNanos),
    monotonicTimeNanosUnsafe: monotonicNanos,
    monotonicTimeNanos: Effect.sync(monotonicNanos),
    sleep: (duration) => base.sleep(duration)
  }
  return { clock, skew }
})

/** A lease on a scripted database, with clocks that the test can set apart from its timers. */
export const leaseOn = Effect.fnUntraced(function*(script: Script, leaseMillis = 3_000) {
  const { clock, skew } = yield* skewedClock
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Layer.buildWithScope(
    Layer.fresh(Lease.layer).pipe(Layer.provideMerge(Layer.mergeAll(
      Layer.fresh(Counters.layer),
      Layer.succeed(Membership, { replicaId: "one", bootId: "boot", advertiseUrl: "", leaseMillis }),
      Layer.succeed(Sessions, script.sessions),
      script.replicas
    ))),
    scope
  ).pipe(Effect.provideService(Clock.Clock, clock))
  const lease = yield* Effect.provide(Lease, context)
  const heard: Array<Event> = []
  yield* lease.subscribe((event) => heard.push(event))
  return {
    lease,
    /** Events from after the lease was first granted, or given up for the time being. */
    heard,
    counters: yield* Effect.provide(Counters, context),
    skew,
    stop: Scope.close(scope, Exit.void)
  }
})
