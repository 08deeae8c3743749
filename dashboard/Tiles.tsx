/** @jsxImportSource preact */
import type { Fleet } from "./data.ts"
import { count, percent, plural, seconds } from "./format.ts"
import { stateOf } from "./health.ts"
import { binsOf, type Distribution, distributionOf, hitRate, quantile, sum, total } from "./series.ts"

/** The figures that one looks at first. */
export const Tiles = ({ fleet }: { readonly fleet: Fleet }) => {
  const answering = fleet.members.filter((member) => stateOf(member) !== "silent")
  const minute = sum(binsOf(fleet.members, fleet.at).slice(-5))
  const lately = sum(binsOf(fleet.members, fleet.at))
  const rate = hitRate(minute) ?? hitRate(lately)
  const jobs = fleet.jobs ?? []
  const of = (state: string) => jobs.filter((job) => job.state === state).length
  const load = answering.reduce((whole, { report }) => ({
    transpiles: whole.transpiles + (report?.load.transpiles ?? 0),
    waiting: whole.waiting + (report?.load.waiting ?? 0)
  }), { transpiles: 0, waiting: 0 })
  return (
    <section aria-labelledby="now-heading">
      <h2 id="now-heading" class="unseen">Now</h2>
      <dl class="tiles">
        <Tile name="Replicas" value={`${answering.length} of ${fleet.members.length}`} note="answer" />
        <Tile
          name="Hit rate"
          value={rate === undefined ? "–" : percent(rate)}
          note={total(minute) > 0
            ? `of ${plural(total(minute), "module")} in a minute`
            : total(lately) > 0
            ? `of ${plural(total(lately), "module")} in 15 minutes`
            : "nothing was asked for"}
        />
        <Tile
          name="Transpiles in flight"
          value={count(load.transpiles)}
          note={load.waiting === 0
            ? "no job waits for a worker"
            : `${plural(load.waiting, "job waits", "jobs wait")} for a worker`}
        />
        <Tile
          name="Reindex queue"
          value={fleet.jobs === null ? "–" : count(of("waiting"))}
          note={fleet.jobs === null ? "PostgreSQL does not answer" : `${of("running")} running, ${of("dead")} dead`}
        />
        <Timing name="Publish barrier" of={distributionOf(fleet, "publishBarrier")} what="wait" many="waits" />
        <Timing
          name="Staleness"
          of={distributionOf(fleet, "invalidationDelay")}
          what="acknowledgement"
          many="acknowledgements"
        />
      </dl>
    </section>
  )
}

interface TileProps {
  readonly name: string
  readonly value: string
  readonly note: string
}

const Tile = ({ name, note, value }: TileProps) => (
  <div class="tile">
    <dt>{name}</dt>
    <dd>
      <strong>{value}</strong> <span>{note}</span>
    </dd>
  </div>
)

interface TimingProps {
  readonly name: string
  readonly of: Distribution
  readonly what: string
  readonly many: string
}

const Timing = ({ many, name, of, what }: TimingProps) => {
  const bound = quantile(of, 0.95)
  return (
    <Tile
      name={name}
      value={bound === undefined ? "–" : bound === null ? "> 10 s" : `≤ ${seconds(bound)}`}
      note={of.count === 0 ? `no ${what} yet` : `95 % of ${plural(of.count, what, many)}`}
    />
  )
}
