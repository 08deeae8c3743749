/** @jsxImportSource preact */
import { useEffect, useState } from "preact/hooks"
import type { Fleet, Realm } from "./data.ts"
import { ago, bytes, count, plural, shortUrl } from "./format.ts"
import { Scroll } from "./Scroll.tsx"

interface Props {
  readonly fleet: Fleet
  readonly match: string
  readonly onMatch: (match: string) => void
}

export const Realms = ({ fleet, match, onMatch }: Props) => {
  const [text, setText] = useState(match)
  // While somebody types, nobody is asked.
  useEffect(() => {
    const timer = setTimeout(() => onMatch(text), 300)
    return () => clearTimeout(timer)
  }, [text])
  const { realms } = fleet
  return (
    <section aria-labelledby="realms-heading">
      <div class="titled">
        <h2 id="realms-heading">Realms</h2>
        <label>
          <span class="unseen">Only realms whose URL has</span>
          <input
            type="search"
            placeholder="Filter by URL"
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
          />
        </label>
      </div>
      {realms === null
        ? <p class="quiet">PostgreSQL does not answer: realms are not known.</p>
        : (
          <>
            <p class="quiet" role="status">
              {match === ""
                ? plural(realms.total, "realm")
                : `${count(realms.matching)} of ${plural(realms.total, "realm")} match`}
              {realms.shown.length < realms.matching && `; the first ${count(realms.shown.length)} are shown`}
            </p>
            {realms.shown.length > 0 && (
              <Scroll label="Realms">
                <table>
                  <thead>
                    <tr>
                      <th scope="col">Realm</th>
                      <th scope="col">Kind</th>
                      <th scope="col" class="number">Generation</th>
                      <th scope="col">Applied</th>
                      <th scope="col" class="number">Files</th>
                      <th scope="col" class="number">Size</th>
                      <th scope="col">Published</th>
                    </tr>
                  </thead>
                  <tbody>
                    {realms.shown.map((realm) => <Row key={realm.url} fleet={fleet} realm={realm} />)}
                  </tbody>
                </table>
              </Scroll>
            )}
          </>
        )}
    </section>
  )
}

const Row = ({ fleet, realm }: { readonly fleet: Fleet; readonly realm: Realm }) => (
  <tr>
    <th scope="row">
      <a href={new URL(realm.url).pathname}>{shortUrl(realm.url)}</a>
    </th>
    <td>
      {realm.kind}
      {realm.sourceURL !== null && <span class="sub">of {new URL(realm.sourceURL).pathname}</span>}
    </td>
    <td class="number">{count(realm.generation)}</td>
    <td>
      <Applied fleet={fleet} realm={realm} />
    </td>
    <td class="number">{realm.files === null ? <Unmeasured /> : count(realm.files)}</td>
    <td class="number">{realm.bytes === null ? <Unmeasured /> : bytes(realm.bytes)}</td>
    <td>
      {realm.lastPublishedAt === null ? "–" : ago(Date.parse(realm.lastPublishedAt), fleet.at)}
      {realm.versions > 0 && <span class="sub">{plural(realm.versions, "version")} kept</span>}
    </td>
  </tr>
)

const Unmeasured = () => (
  <>
    <span aria-hidden="true">…</span>
    <span class="unseen">not measured yet</span>
  </>
)

/** On each replica, where they differ. */
const Applied = ({ fleet, realm }: { readonly fleet: Fleet; readonly realm: Realm }) => {
  const holders = fleet.members.filter(({ bootId }) => realm.applied[bootId] !== undefined)
  const late = holders.filter(({ bootId }) => (realm.applied[bootId] ?? 0) < realm.generation)
  const silent = fleet.members.filter(({ report }) => report === null).length
  if (late.length > 0) {
    return (
      <span class="badge warn">
        <span aria-hidden="true">!</span>{" "}
        {late.map(({ bootId, replicaId }) => `${replicaId} at ${realm.applied[bootId]}`).join(", ")}
      </span>
    )
  }
  return (
    <>
      {holders.length === 0 ? "in no memory" : `newest on ${count(holders.length)}`}
      {silent > 0 && <span class="sub">{plural(silent, "replica")} unknown</span>}
    </>
  )
}
