/** @jsxImportSource preact */
import { useEffect, useRef, useState } from "preact/hooks"
import { keyOf, type Live } from "./eventStream.ts"
import { count, plural, time } from "./format.ts"
import { isOfDashboard, type Kind, kinds, looks, moduleOf, narrate, placeOf } from "./narrate.ts"

interface Props {
  readonly live: Live
  readonly isPaused: boolean
  readonly now: number
  readonly onModule: (url: string) => void
}

/** Drawn at most; the page remembers more for the filter. */
const drawn = 120

const states = { connecting: "Connecting", live: "Live", lost: "Connection lost, trying again" } as const

export const Events = ({ isPaused, live, onModule }: Props) => {
  const [hidden, setHidden] = useState<ReadonlySet<Kind>>(new Set(["shared"]))
  const [isOwnShown, setOwnShown] = useState(false)
  const shown = live.events.filter((event) => !hidden.has(event.kind) && (isOwnShown || !isOfDashboard(event)))
  const toggle = (kind: Kind) => {
    const next = new Set(hidden)
    if (!next.delete(kind)) next.add(kind)
    setHidden(next)
  }
  const state = isPaused ? "Paused" : states[live.state]
  return (
    <section aria-labelledby="events-heading" class="events">
      <div class="titled">
        <h2 id="events-heading">Live events</h2>
        <span class={`badge ${isPaused || live.state !== "live" ? "warn" : "good"}`}>
          <span aria-hidden="true">{isPaused ? "❚❚" : live.state === "live" ? "●" : "!"}</span> <span>{state}</span>
        </span>
      </div>
      <fieldset class="filter">
        <legend class="unseen">Kinds of events</legend>
        {kinds.map((kind) => (
          <label key={kind}>
            <input type="checkbox" checked={!hidden.has(kind)} onChange={() => toggle(kind)} /> {looks[kind].name}
          </label>
        ))}
        <label>
          <input type="checkbox" checked={isOwnShown} onChange={() => setOwnShown(!isOwnShown)} /> This page's own
        </label>
      </fieldset>
      <Announcer live={live} />
      {live.dropped > 0 && (
        <p class="quiet">{plural(live.dropped, "event was", "events were")} too many and left out.</p>
      )}
      {shown.length === 0
        ? <p class="quiet">Nothing has happened yet.</p>
        : (
          <ol tabIndex={0} aria-label="Events, newest first">
            {shown.slice(0, drawn).map((event) => {
              const { mark, name, tone } = looks[event.kind]
              const module = moduleOf(event)
              const place = placeOf(event)
              return (
                <li key={keyOf(event)}>
                  <p class="when">
                    <time dateTime={new Date(event.at).toISOString()}>{time(event.at)}</time>
                    <span class={`kind ${tone}`}>
                      <span aria-hidden="true">{mark}</span> {name}
                    </span>
                    <span class="who">{event.replicaId}</span>
                  </p>
                  <p class="what">
                    {module === undefined
                      ? <span class="place">{place}</span>
                      : (
                        <button type="button" class="link place" onClick={() => onModule(module)}>
                          {place}
                          <span class="unseen">: what happened to it</span>
                        </button>
                      )}
                    {event.generation !== undefined && <span class="generation">@{count(event.generation)}</span>}{" "}
                    <span class="story">{narrate(event)}</span>
                  </p>
                </li>
              )
            })}
          </ol>
        )}
    </section>
  )
}

/** How often a screen reader is told what has come, however much that is. */
const announceMillis = 10_000

/** Speaks of what arrived in one sentence from time to time; the list itself is silent. */
const Announcer = ({ live }: { readonly live: Live }) => {
  const [text, setText] = useState("")
  const latest = useRef(live)
  const told = useRef<ReadonlySet<string>>(undefined)
  latest.current = live
  useEffect(() => {
    const timer = setInterval(() => {
      const { events } = latest.current
      const before = told.current
      told.current = new Set(events.map(keyOf))
      if (before === undefined) return
      const fresh = events.filter((event) => !before.has(keyOf(event)) && !isOfDashboard(event))
      const parts = kinds.flatMap((kind) => {
        const many = fresh.filter((event) => event.kind === kind).length
        return many === 0 || kind === "shared" ? [] : [`${looks[kind].name} ${many}`]
      })
      if (parts.length > 0) setText(`New events: ${parts.join(", ")}`)
    }, announceMillis)
    return () => clearInterval(timer)
  }, [])
  return <p class="unseen" role="status" aria-live="polite">{text}</p>
}
