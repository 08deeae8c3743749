import type { Fleet, Histogram, Member, Sample } from "./data.ts"

/** Where modules came from in one span of time. */
export interface Bin {
  /** Its end, in wall-clock milliseconds. */
  readonly at: number
  readonly memory: number
  readonly joined: number
  readonly shared: number
  readonly transpiled: number
}

export const origins = ["memory", "joined", "shared", "transpiled"] as const
export type Origin = typeof origins[number]

export const total = (bin: Bin): number => bin.memory + bin.joined + bin.shared + bin.transpiled

const binMillis = 15_000
const bins = 60

/** The last quarter of an hour, of these members together, in spans of fifteen seconds. */
export const binsOf = (members: ReadonlyArray<Member>, now: number): ReadonlyArray<Bin> => {
  const end = Math.ceil(now / binMillis) * binMillis
  const found = Array.from({ length: bins }, (_, index) => ({
    at: end - (bins - 1 - index) * binMillis,
    memory: 0,
    joined: 0,
    shared: 0,
    transpiled: 0
  }))
  for (const { report } of members) {
    let before: Sample | undefined
    for (const sample of report?.samples ?? []) {
      const bin = found[bins - 1 - Math.floor((end - sample.at) / binMillis)]
      if (before !== undefined && bin !== undefined) {
        bin.memory += sample.l1Hits - before.l1Hits
        bin.joined += sample.joined - before.joined
        bin.shared += sample.l2Hits - before.l2Hits
        bin.transpiled += sample.transpiles - before.transpiles
      }
      before = sample
    }
  }
  return found
}

export const sum = (all: ReadonlyArray<Bin>): Bin =>
  all.reduce((whole, bin) => ({
    at: bin.at,
    memory: whole.memory + bin.memory,
    joined: whole.joined + bin.joined,
    shared: whole.shared + bin.shared,
    transpiled: whole.transpiled + bin.transpiled
  }), { at: 0, memory: 0, joined: 0, shared: 0, transpiled: 0 })

/** What memory answered, of all that was asked for; undefined where nothing was. */
export const hitRate = (bin: Bin): number | undefined => total(bin) === 0 ? undefined : bin.memory / total(bin)

/** The same histogram of all members, each bucket counted for itself and not with those below it. */
export interface Distribution {
  readonly buckets: ReadonlyArray<{ readonly from: number; readonly to: number | null; readonly count: number }>
  readonly count: number
  readonly sum: number
}

export const distributionOf = (
  fleet: Fleet,
  name: "publishBarrier" | "invalidationDelay"
): Distribution => {
  const all = fleet.members.flatMap(({ report }) => report === null ? [] : [report.histograms[name]])
  const bounds = all[0]?.buckets.map(({ le }) => le) ?? []
  const below = bounds.map((_, index) => all.reduce((whole, { buckets }) => whole + (buckets[index]?.count ?? 0), 0))
  return {
    buckets: bounds.map((to, index) => ({
      from: bounds[index - 1] ?? 0,
      to,
      count: (below[index] ?? 0) - (below[index - 1] ?? 0)
    })),
    count: all.reduce((whole, { count }) => whole + count, 0),
    sum: all.reduce((whole, histogram: Histogram) => whole + histogram.sum, 0)
  }
}

/** The bound that this share of all is at or below, in seconds; null beyond the last. Undefined where there is nothing. */
export const quantile = ({ buckets, count }: Distribution, share: number): number | null | undefined => {
  if (count === 0) return undefined
  let seen = 0
  for (const bucket of buckets) {
    seen += bucket.count
    if (seen >= share * count) return bucket.to
  }
  return null
}
