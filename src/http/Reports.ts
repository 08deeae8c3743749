import { Clock, Context, Effect, Layer, Metric } from "effect"
import { type Histogram, Report } from "../api/Fleet.ts"
import { TranspiledModuleCache } from "../cache/TranspiledModuleCache.ts"
import { Counters } from "../coordination/Counters.ts"
import { Generations } from "../coordination/Generations.ts"
import { invalidationDelay, publishBarrier } from "../domain/Metrics.ts"
import { Lease } from "../coordination/Lease.ts"
import type { ReplicaRow } from "../store/ReplicaTable.ts"
import { Transpiler } from "../transpile/Transpiler.ts"
import { Members } from "./Members.ts"
import { version } from "./packageFiles.ts"
import { Samples } from "./Samples.ts"

/** Members that are asked at a time. */
export const atATime = 16

/** One member, and what it said of itself or why it did not. */
export interface Answered {
  readonly member: ReplicaRow
  readonly report: typeof Report.Type | null
  readonly failure: string | null
}

/** What the members said, this replica first. */
export interface Round {
  readonly answers: ReadonlyArray<Answered>
  /** False where PostgreSQL did not say who the members are: then this replica alone was asked. */
  readonly isWhole: boolean
}

/** What replicas say of themselves. */
export class Reports extends Context.Service<Reports, {
  /** This one, from its own memory alone. */
  readonly own: Effect.Effect<typeof Report.Type>
  /** Every member. Those that ask at the same time, or just after, share one round. */
  readonly all: Effect.Effect<Round>
}>()("lockstep/http/Reports") {
  static readonly layer = Layer.effect(
    Reports,
    Effect.gen(function*() {
      const members = yield* Members
      const own = ownReport(
        yield* Effect.all({
          counters: Counters,
          generations: Generations,
          lease: Lease,
          modules: TranspiledModuleCache,
          samples: Samples,
          transpiler: Transpiler,
          started: Clock.currentTimeMillis
        })
      )
      const round = Effect.gen(function*() {
        const all = yield* members.all
        const answers = yield* Effect.forEach(
          all ?? [members.self],
          (member) =>
            (member.bootId === members.self.bootId ? own : members.ask(member, "/_replica", Report)).pipe(
              Effect.match({
                onSuccess: (report): Answered => ({ member, report, failure: null }),
                onFailure: ({ message }): Answered => ({ member, report: null, failure: message })
              })
            ),
          { concurrency: atATime }
        )
        return { answers, isWhole: all !== undefined }
      })
      return Reports.of({ own, all: yield* Effect.cachedWithTTL(round, "250 millis") })
    })
  )
}

interface Sources {
  readonly counters: Counters["Service"]
  readonly generations: Generations["Service"]
  readonly lease: Lease["Service"]
  readonly modules: TranspiledModuleCache["Service"]
  readonly samples: Samples["Service"]
  readonly transpiler: Transpiler["Service"]
  readonly started: number
}

const ownReport = ({ counters, generations, lease, modules, samples, started, transpiler }: Sources) =>
  Effect.gen(function*() {
    const { bootId, leaseMillis, replicaId } = lease.self
    const at = yield* Clock.currentTimeMillis
    const heardAt = lease.heardAt()
    const load = transpiler.load?.()
    return Report.make({
      replicaId,
      bootId,
      version,
      at,
      uptimeSeconds: (at - started) / 1000,
      lease: { held: lease.isHeld(), millis: leaseMillis, ageMillis: heardAt === 0 ? null : Math.max(0, at - heardAt) },
      counters: { ...counters },
      load: { transpiles: modules.making(), running: load?.running ?? null, waiting: load?.waiting ?? null },
      l1Bytes: modules.bytes(),
      histograms: {
        publishBarrier: histogramOf(
          yield* Metric.value(publishBarrier({ wait: "all", outcome: "acknowledged" })),
          yield* Metric.value(publishBarrier({ wait: "all", outcome: "waited_out" }))
        ),
        invalidationDelay: histogramOf(yield* Metric.value(invalidationDelay))
      },
      samples: yield* samples.all,
      applied: Object.fromEntries(yield* generations.applied)
    })
  })

/** The sum of histograms with the same boundaries. */
const histogramOf = (
  ...states: readonly [Metric.HistogramState, ...ReadonlyArray<Metric.HistogramState>]
): typeof Histogram.Type => {
  const sumOf = (of: (state: Metric.HistogramState) => number) => states.reduce((sum, state) => sum + of(state), 0)
  const count = sumOf((state) => state.count)
  const buckets = states[0].buckets.map(([le], index) => ({
    le,
    count: sumOf((state) => state.buckets[index]?.[1] ?? 0)
  }))
  return { buckets: [...buckets, { le: null, count }], count, sum: sumOf((state) => state.sum) }
}
