/** A host that embeds Lockstep: measures programs and services in the process, without HTTP. */
import { Context, Effect, Exit, Layer, ManagedRuntime, Redacted, Tracer } from "effect"
import { SqlClient } from "effect/sql"
import { Modules } from "../../src/cache/Modules.ts"
import { Lease } from "../../src/coordination/Lease.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { Invalidation } from "../../src/lifecycle/Invalidation.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { layerProgram, type LockstepOptions } from "../../src/Lockstep.ts"
import { answerParent } from "./answerParent.ts"
import { readTogether } from "./readTogether.ts"
import { serveAndWeigh, type Weighed } from "./serveAndWeigh.ts"

export type Task =
  | { readonly task: "start"; readonly options: LockstepOptions; readonly databaseUrl: string }
  /** Publishes one after the other. */
  | { readonly task: "publish"; readonly source: string; readonly published: string; readonly times: number }
  /** Wipes realms at the same time, each again as soon as it was told, without waiting for anybody's word. */
  | { readonly task: "invalidate"; readonly realms: ReadonlyArray<string>; readonly millis: number }
  /** Commits a wipe of one realm and nothing else. */
  | { readonly task: "wipe"; readonly realm: string; readonly times: number }
  /** Reads one module from memory over and over, looking at the lease or not. */
  | {
    readonly task: "read"
    readonly realm: string
    readonly path: string
    readonly times: number
    readonly lease: boolean
  }
  /** Reads each of these modules once for every caller, all at once; counts transpiles. */
  | {
    readonly task: "read together"
    readonly realm: string
    readonly paths: ReadonlyArray<string>
    readonly callers: number
    /** When to begin, as `Date.now` tells it: at the same moment as others. */
    readonly at: number
    /** Ask the pool `SELECT 1`, one after the other, until all are read: `probes`. */
    readonly probe: boolean
  }
  /** Ask the pool `SELECT 1`, one after the other, this long: `probes`. */
  | { readonly task: "probe"; readonly times: number }
  /** Listens over HTTP; counts the port. */
  | { readonly task: "serve" }
  /** Collects garbage; `weighed` says what is left. */
  | { readonly task: "weigh" }

export interface Answered {
  /** Of each publish or wipe, of all reads together, in milliseconds. */
  readonly millis: ReadonlyArray<number>
  /** Of each publish: from its commit to the last acknowledgement. */
  readonly barrier: ReadonlyArray<number>
  /** How many of whatever was asked for. */
  readonly count: number
  /** Milliseconds of each. */
  readonly probes?: ReadonlyArray<number>
  readonly weighed?: Weighed
}

type Services = Layer.Success<ReturnType<typeof layerProgram>>

/** What one service did, as spans tell it, is measured from inside. */
const barriers = new Array<number>()
const tracer = Tracer.make({
  span: (options) => {
    const span = new Tracer.NativeSpan(options)
    if (options.name !== "Barrier.confirm") return span
    const end = span.end.bind(span)
    span.end = (endTime, exit) => {
      if (Exit.isSuccess(exit)) barriers.push(Number(endTime - options.startTime) / 1e6)
      end(endTime, exit)
    }
    return span
  }
})

let runtime: ManagedRuntime.ManagedRuntime<Services, unknown> | undefined

const timed = Effect.fnUntraced(function*<A, E, R>(times: number, work: Effect.Effect<A, E, R>) {
  const millis = new Array<number>()
  for (let index = 0; index < times; index++) {
    const from = performance.now()
    yield* work
    millis.push(performance.now() - from)
  }
  return millis
})

/** Whatever happens in the process while it looks is in it. */
const probe = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const from = performance.now()
  yield* sql`SELECT 1`
  return performance.now() - from
})

const perform = Effect.fnUntraced(function*(task: Exclude<Task, { readonly task: "start" | "serve" | "weigh" }>) {
  switch (task.task) {
    case "read together":
      return yield* readTogether(task, probe)
    case "probe":
      return { millis: [], barrier: [], count: task.times, probes: yield* Effect.replicateEffect(probe, task.times) }
    case "publish": {
      barriers.length = 0
      const millis = yield* timed(
        task.times,
        Effect.flatMap(
          publish({ sourceRealmUrl: task.source as RealmUrl, publishedRealmUrl: task.published as RealmUrl }),
          ({ replicas }) =>
            replicas.acked === replicas.live ? Effect.void : Effect.die(new Error("a replica did not acknowledge"))
        )
      )
      return { millis, barrier: barriers.slice(), count: millis.length }
    }
    case "invalidate": {
      const invalidation = yield* Invalidation
      const until = performance.now() + task.millis
      const counts = yield* Effect.forEach(
        task.realms,
        Effect.fnUntraced(function*(realm) {
          let count = 0
          while (performance.now() < until) {
            yield* invalidation.invalidate(realm as RealmUrl, "realm")
            count++
          }
          return count
        }),
        { concurrency: "unbounded" }
      )
      return { millis: [task.millis], barrier: [], count: counts.reduce((sum, count) => sum + count, 0) }
    }
    case "wipe": {
      const invalidation = yield* Invalidation
      const millis = yield* timed(task.times, invalidation.invalidate(task.realm as RealmUrl, "realm"))
      return { millis, barrier: [], count: millis.length }
    }
    case "read": {
      const lease = yield* Lease
      const modules = yield* Modules
      const read = modules.read(task.realm as RealmUrl, task.path)
      yield* read
      const { isHeld } = lease
      const mutable: { -readonly [Name in keyof typeof lease]: (typeof lease)[Name] } = lease
      if (!task.lease) mutable.isHeld = () => true
      const [millis = NaN] = yield* timed(1, Effect.forEach(Array(task.times), () => read, { discard: true }))
      mutable.isHeld = isHeld
      const { origin } = yield* read
      if (origin !== "l1") return yield* Effect.die(new Error(`read from ${origin}, not from memory`))
      return { millis: [millis], barrier: [], count: task.times }
    }
  }
})

const { serve, weigh } = serveAndWeigh()

answerParent(async (task: Task): Promise<Answered> => {
  if (task.task === "weigh") return { millis: [], barrier: [], count: 0, weighed: weigh() }
  if (task.task === "start") {
    runtime = ManagedRuntime.make(layerProgram(task.options, { url: Redacted.make(task.databaseUrl) }))
    const services = await runtime.context()
    await runtime.runPromise(Context.get(services, SqlClient.SqlClient)`SELECT 1`)
    return { millis: [], barrier: [], count: 0 }
  }
  if (runtime === undefined) throw new Error("was not started")
  if (task.task === "serve") return { millis: [], barrier: [], count: await serve(await runtime.context()) }
  return runtime.runPromise(Effect.provideService(perform(task), Tracer.Tracer, tracer))
})
