/** @jsxImportSource preact */
import type { Job } from "./data.ts"
import { count, shortUrl } from "./format.ts"
import { type Column, type Row, Table } from "./Table.tsx"

const columns: ReadonlyArray<Column> = [
  { name: "Realm" },
  { name: "Generation", isNumber: true },
  { name: "State" },
  { name: "Done", isNumber: true },
  { name: "Attempts", isNumber: true },
  { name: "Last failure", isDetail: true }
]

const tones: Readonly<Record<string, string>> = { dead: "bad", running: "good", waiting: "calm" }
const marks: Readonly<Record<string, string>> = { dead: "✕", running: "▶", waiting: "◦" }

/** Reindexes that are not done. */
export const Queue = ({ jobs }: { readonly jobs: ReadonlyArray<Job> | null }) => (
  <section aria-labelledby="queue-heading">
    <h2 id="queue-heading">Reindex queue</h2>
    {jobs === null
      ? <p class="quiet">PostgreSQL does not answer: the queue is not known.</p>
      : jobs.length === 0
      ? <p class="quiet">Every reindex is done.</p>
      : <Table label="Reindex queue" columns={columns} rows={jobs.map(rowOf)} />}
  </section>
)

const rowOf = (job: Job): Row => ({
  key: String(job.id),
  cells: [
    shortUrl(job.realmUrl),
    count(job.generation),
    <span class={`badge ${tones[job.state] ?? "calm"}`}>
      <span aria-hidden="true">{marks[job.state] ?? "◦"}</span> {job.state}
    </span>,
    job.total === null ? "–" : `${count(job.indexed ?? 0)} of ${count(job.total)}`,
    count(job.attempts),
    job.error ?? "–"
  ]
})
