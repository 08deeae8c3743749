/** @jsxImportSource preact */
import type { Job } from "./data.ts"
import { count, shortUrl } from "./format.ts"
import { Scroll } from "./Scroll.tsx"

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
      : (
        <Scroll label="Reindex queue">
          <table>
            <thead>
              <tr>
                <th scope="col">Realm</th>
                <th scope="col" class="number">Generation</th>
                <th scope="col">State</th>
                <th scope="col" class="number">Done</th>
                <th scope="col" class="number">Attempts</th>
                <th scope="col">Last failure</th>
              </tr>
            </thead>
            <tbody>
              {jobs.map((job) => (
                <tr key={job.id}>
                  <th scope="row">{shortUrl(job.realmUrl)}</th>
                  <td class="number">{count(job.generation)}</td>
                  <td>
                    <span class={`badge ${tones[job.state] ?? "calm"}`}>
                      <span aria-hidden="true">{marks[job.state] ?? "◦"}</span> {job.state}
                    </span>
                  </td>
                  <td class="number">
                    {job.total === null ? "–" : `${count(job.indexed ?? 0)} of ${count(job.total)}`}
                  </td>
                  <td class="number">{job.attempts}</td>
                  <td class="detail">{job.error ?? "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
  </section>
)
