/** @jsxImportSource preact */
import { useEffect, useState } from "preact/hooks"
import type { Fleet, Realm } from "./data.ts"
import { ago, bytes, count, plural, shortUrl } from "./format.ts"
import { type Column, type Row, Table } from "./Table.tsx"

const columns: ReadonlyArray<Column> = [
  { name: "Realm" },
  { name: "Kind" },
  { name: "Generation", isNumber: true },
  { name: "Applied" },
  { name: "Files", isNumber: true },
  { name: "Size", isNumber: true },
  { name: "Published" }
]

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
              <Table
                label="Realms"
                columns={columns}
                rows={realms.shown.map((realm) => rowOf(fleet, realm))}
              />
            )}
          </>
        )}
    </section>
  )
}

/** Under the public URL a realm answers at this replica's address, too; under a host of its own only there. */
const addressOf = ({ sourceURL, url }: Realm): string =>
  new URL(sourceURL ?? url).origin === new URL(url).origin ? new URL(url).pathname : url

const rowOf = (fleet: Fleet, realm: Realm): Row => ({
  key: realm.url,
  cells: [
    <a href={addressOf(realm)}>{shortUrl(realm.url)}</a>,
    <>
      {realm.kind}
      {realm.sourceURL !== null && <span class="sub">of {new URL(realm.sourceURL).pathname}</span>}
    </>,
    count(realm.generation),
    <Applied fleet={fleet} realm={realm} />,
    realm.files === null ? <Unmeasured /> : count(realm.files),
    realm.bytes === null ? <Unmeasured /> : bytes(realm.bytes),
    <>
      {realm.lastPublishedAt === null ? "–" : ago(Date.parse(realm.lastPublishedAt), fleet.at)}
      {realm.versions > 0 && <span class="sub">{plural(realm.versions, "version")} kept</span>}
    </>
  ]
})

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
