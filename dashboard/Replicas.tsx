/** @jsxImportSource preact */
import type { Fleet, Member } from "./data.ts"
import { bytes, count, duration, millis, percent } from "./format.ts"
import { behind, lookedAt, stateOf } from "./health.ts"
import { binsOf, hitRate, sum } from "./series.ts"
import { Sparkline } from "./Sparkline.tsx"
import { Scroll } from "./Scroll.tsx"

export const Replicas = ({ fleet }: { readonly fleet: Fleet }) => (
  <section aria-labelledby="replicas-heading">
    <h2 id="replicas-heading">Replicas</h2>
    <Scroll label="Replicas">
      <table>
        <thead>
          <tr>
            <th scope="col">Replica</th>
            <th scope="col">State</th>
            <th scope="col">Lease</th>
            <th scope="col">Applied</th>
            <th scope="col">Hit rate, 15 min</th>
            <th scope="col" class="number">In flight</th>
            <th scope="col" class="number">Transpiled</th>
            <th scope="col" class="number">Memory</th>
            <th scope="col" class="number">Up</th>
          </tr>
        </thead>
        <tbody>
          {fleet.members.map((member) => <Row key={member.bootId} fleet={fleet} member={member} />)}
        </tbody>
      </table>
    </Scroll>
  </section>
)

const marks = { "well": "✓", "without lease": "!", "silent": "✕" } as const
const words = { "well": "Well", "without lease": "No lease", "silent": "Silent" } as const
const tones = { "well": "good", "without lease": "warn", "silent": "bad" } as const

const Row = ({ fleet, member }: { readonly fleet: Fleet; readonly member: Member }) => {
  const { advertiseUrl, failure, replicaId, report } = member
  const state = stateOf(member)
  const name = (
    <th scope="row">
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
    </th>
  )
  const status = (
    <td>
      <span class={`badge ${tones[state]}`}>
        <span aria-hidden="true">{marks[state]}</span> {words[state]}
      </span>
    </td>
  )
  if (report === null) {
    return (
      <tr>
        {name}
        {status}
        <td colSpan={7} class="quiet">
          {failure}. Nobody waits for it beyond its lease of {millis(member.leaseMillis)}.
        </td>
      </tr>
    )
  }
  const all = binsOf([member], fleet.at)
  const rate = hitRate(sum(all))
  return (
    <tr>
      {name}
      {status}
      <td>
        {report.lease.held ? "held" : "ended"}
        <span class="sub">
          {report.lease.ageMillis === null
            ? "never renewed"
            : `renewed ${millis(report.lease.ageMillis)} ago, of ${millis(report.lease.millis)}`}
        </span>
      </td>
      <td>
        <Applied fleet={fleet} member={member} />
      </td>
      <td>
        <Sparkline bins={all} label={`Hit rate of ${replicaId}`} />
        <span class="figure">{rate === undefined ? "–" : percent(rate)}</span>
      </td>
      <td class="number">
        {count(report.load.transpiles)}
        {report.load.waiting !== null && report.load.waiting > 0 && (
          <span class="sub">{report.load.waiting} waiting</span>
        )}
      </td>
      <td class="number">{count(report.counters["transpiles"] ?? 0)}</td>
      <td class="number">{bytes(report.l1Bytes)}</td>
      <td class="number">
        {duration(report.uptimeSeconds)}
        <span class="sub">{report.version}</span>
      </td>
    </tr>
  )
}

const Applied = ({ fleet, member }: { readonly fleet: Fleet; readonly member: Member }) => {
  if (fleet.realms === null) return <>unknown</>
  const late = behind(fleet, member)
  const known = lookedAt(fleet, member)
  if (late.length === 0) {
    return (
      <>
        newest
        <span class="sub">{known === 0 ? "no realm in memory" : `${count(known)} in memory`}</span>
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
