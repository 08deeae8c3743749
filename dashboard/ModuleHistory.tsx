/** @jsxImportSource preact */
import { useEffect, useState } from "preact/hooks"
import { askJson, type FleetEvent, type History } from "./data.ts"
import { keyOf } from "./eventStream.ts"
import { count, millis, plural, time } from "./format.ts"
import { looks, narrate } from "./narrate.ts"
import { type Column, type Row, Table } from "./Table.tsx"

interface Props {
  /** Empty for none. */
  readonly url: string
  readonly onAsk: (url: string) => void
}

type Found = { readonly history: History } | { readonly failure: string }

/** What happened to one module, on each replica. */
export const ModuleHistory = ({ onAsk, url }: Props) => {
  const [text, setText] = useState(url)
  const [asked, setAsked] = useState(0)
  const [found, setFound] = useState<Found>()
  useEffect(() => {
    setText(url)
    setFound(undefined)
    if (url === "") return
    const stop = new AbortController()
    askJson<History>(`_module-history?url=${encodeURIComponent(url)}`, stop.signal).then(
      (history) => setFound({ history }),
      (error: unknown) => stop.signal.aborted || setFound({ failure: String(error) })
    )
    return () => stop.abort()
  }, [url, asked])
  return (
    <section aria-labelledby="module-heading" class="module">
      <h2 id="module-heading" tabIndex={-1}>What happened to a module</h2>
      <form
        role="search"
        onSubmit={(event) => {
          event.preventDefault()
          if (text.trim() === url) setAsked((before) => before + 1)
          else onAsk(text.trim())
        }}
      >
        <label for="module-url">URL of a module</label>
        <input
          id="module-url"
          type="text"
          inputMode="url"
          spellcheck={false}
          autocomplete="off"
          placeholder={`${location.origin}/notes/person.ts`}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit">Show</button>
      </form>
      <div aria-live="polite">
        {url === ""
          ? (
            <p class="quiet">
              Who transpiled it, when, how long that took, and what voided it since. An event's path leads here, too.
            </p>
          )
          : found === undefined
          ? <p class="quiet">Asking the replicas…</p>
          : "failure" in found
          ? (
            <p class="badge bad">
              <span aria-hidden="true">✕</span> {found.failure}
            </p>
          )
          : <Story history={found.history} />}
      </div>
    </section>
  )
}

const Story = ({ history }: { readonly history: History }) => {
  const events = history.members.flatMap((member) => member.events).sort((a, b) => b.at - a.at || b.id - a.id)
  const silent = history.members.filter(({ failure }) => failure !== null)
  return (
    <>
      <p class="summary">{summaryOf(history, events)}</p>
      {silent.length > 0 && <p class="quiet">Not heard: {silent.map(({ failure }) => failure).join("; ")}.</p>}
      {events.length > 0 && (
        <Table label="What happened to the module" columns={columns} rows={events.slice(0, 200).map(rowOf)} />
      )}
    </>
  )
}

const columns: ReadonlyArray<Column> = [
  { name: "When" },
  { name: "Replica" },
  { name: "What" },
  { name: "Why, and how", isDetail: true },
  { name: "Generation", isNumber: true },
  { name: "Took", isNumber: true }
]

const rowOf = (event: FleetEvent): Row => {
  const { mark, name, tone } = looks[event.kind]
  return {
    key: keyOf(event),
    cells: [
      <time dateTime={new Date(event.at).toISOString()}>{time(event.at)}</time>,
      event.replicaId,
      <span class={`kind ${tone}`}>
        <span aria-hidden="true">{mark}</span> {name}
      </span>,
      narrate(event),
      event.generation === undefined ? "–" : count(event.generation),
      event.millis === undefined ? "–" : millis(event.millis)
    ]
  }
}

/** Newest first are the events. */
const summaryOf = ({ members, url }: History, events: ReadonlyArray<FleetEvent>): string => {
  const replicas = plural(members.length, "replica")
  if (events.length === 0) return `No replica of ${replicas} remembers anything of ${url}.`
  const made = events.find(({ kind }) => kind === "transpile")
  const voided = events.find(({ kind }) => kind === "invalidation" || kind === "cascade")
  const failed = events.find(({ kind }) => kind === "failure")
  const shared = events.find(({ kind }) => kind === "shared")
  const story = made === undefined
    ? shared === undefined
      ? "Nobody has transpiled it lately."
      : `Nobody had to transpile it lately: ${shared.replicaId} found it made at ${time(shared.at)}.`
    : `Last transpiled by ${made.replicaId} at ${time(made.at)}, in ${millis(made.millis ?? 0)}.`
  const known = Math.max(made?.at ?? -Infinity, shared?.at ?? -Infinity)
  const since = voided === undefined || voided.at < known || known === -Infinity
    ? ""
    : ` Since then: ${narrate(voided).replace(/^V/, "v")} (${time(voided.at)}).`
  const failure = failed === undefined || failed.at < known
    ? ""
    : ` It failed on ${failed.replicaId} at ${time(failed.at)}: ${failed.detail ?? ""}.`
  return story + since + failure
}
