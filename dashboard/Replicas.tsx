/** @jsxImportSource preact */
import type { Fleet, Member } from "./data.ts"
import { bytes, count, duration, millis, percent, plural } from "./format.ts"
import { behind, lookedAt, stateOf } from "./health.ts"
import { binsOf, hitRate, sum } from "./series.ts"
import { Sparkline } from "./Sparkline.tsx"
import { type Column, type Row, Table } from "./Table.tsx"

const columns: ReadonlyArray<Column> = [
  { name: "Replica" },
  { name: "State" },
  { name: "Lease" },
  { name: "Applied" },
  { name: "Hit rate, 15 min" },
  { name: "In flight", isNumber: true },
  { name: "Transpiled", isNumber: true },
  { name: "Memory", isNumber: true },
  { name: "Up", isNumber: true }
]

export const Replicas = ({ fleet }: { readonly fleet: Fleet }) => (
  <section aria-labelledby="replicas-heading">
    <h2 id="replicas-heading">Replicas</h2>
    <Table label="Replicas" columns={columns} rows={fleet.members.map((member) => rowOf(fleet, member))} />
  </section>
)

const marks = { "well": "✓", "without lease": "!", "silent": "✕" } as const
const words = { "well": "Well", "without lease": "No lease", "silent": "Silent" } as const
const tones = { "well": "good", "without lease": "warn", "silent": "bad" } as const

const rowOf = (fleet: Fleet, member: Member): Row => {
  const { advertiseUrl, bootId, failure, replicaId, report } = member
  const state = stateOf(member)
  const name = (
    <>
      <span class="name">{replicaId}</span>
      <span class="sub">
        {advertiseUrl.replace(/^https?:\/\//, "")}
        {replicaId === fleet.askedReplicaId && report !== null && (
          <>
            {" "}
            <em>asked</em>
          </>
        )}
      </span>
    </>
  )
  const status = (
    <span class={`badge ${tones[state]}`}>
      <span aria-hidden="true">{marks[state]}</span> {words[state]}
    </span>
  )
  if (report === null) {
    const reason = `It ${failure?.replace(`${replicaId} `, "") ?? "says nothing"}. Publishes wait for it for the ` +
      `${millis(member.leaseMillis)} of its lease at most, and forget it then.`
    return { key: bootId, cells: [name, status, <span class="quiet">{reason}</span>] }
  }
  const all = binsOf([member], fleet.at)
  const rate = hitRate(sum(all))
  const { ageMillis, held } = report.lease
  return {
    key: bootId,
    cells: [
      name,
      status,
      <>
        {held ? "held" : "ended"}
        <span class="sub">
          {ageMillis === null ? "never renewed" : `renewed ${millis(ageMillis)} ago, of ${millis(report.lease.millis)}`}
        </span>
      </>,
      <Applied fleet={fleet} member={member} />,
      <>
        <Sparkline bins={all} label={`Hit rate of ${replicaId}`} />
        <span class="figure">{rate === undefined ? "–" : percent(rate)}</span>
      </>,
      <>
        {count(report.load.transpiles)}
        {report.load.waiting !== null && report.load.waiting > 0 && (
          <span class="sub">{report.load.waiting} waiting</span>
        )}
      </>,
      count(report.counters["transpiles"] ?? 0),
      bytes(report.l1Bytes),
      <>
        {duration(report.uptimeSeconds)}
        <span class="sub">{report.version}</span>
      </>
    ]
  }
}

const Applied = ({ fleet, member }: { readonly fleet: Fleet; readonly member: Member }) => {
  if (fleet.realms === null) return <>unknown</>
  const late = behind(fleet, member)
  const known = lookedAt(fleet, member)
  if (late.length === 0) {
    return (
      <>
        newest
        <span class="sub">{known === 0 ? "no realm in memory" : `${plural(known, "realm")} in memory`}</span>
      </>
    )
  }
  return (
    <>
      <span class="badge warn">
        <span aria-hidden="true">!</span> {count(late.length)} behind
      </span>
      <span class="sub">{late[0] === undefined ? "" : new URL(late[0].url).pathname}</span>
    </>
  )
}
