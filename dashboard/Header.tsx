/** @jsxImportSource preact */
import { useState } from "preact/hooks"
import { type Fleet, token } from "./data.ts"
import { time } from "./format.ts"
import { behind, stateOf } from "./health.ts"
import { applyTheme, storedTheme, type Theme } from "./theme.ts"

interface Props {
  readonly fleet: Fleet | undefined
  readonly failure: string | undefined
  readonly isPaused: boolean
  readonly onPause: (isPaused: boolean) => void
  readonly onForget: () => void
}

/** The one sentence that matters, and what the reader may set. */
export const Header = ({ failure, fleet, isPaused, onForget, onPause }: Props) => {
  const [theme, setTheme] = useState(storedTheme())
  const choose = (chosen: Theme) => {
    applyTheme(chosen)
    setTheme(chosen)
  }
  const verdict = verdictOf(fleet, failure)
  return (
    <header>
      <h1>
        <img src="_dashboard/icon.svg" alt="" width="24" height="24" /> Lockstep
      </h1>
      <p class={`verdict ${verdict.tone}`} role="status">
        <span class="mark" aria-hidden="true">{verdict.mark}</span>
        <span>{verdict.text}</span>
      </p>
      <div class="controls">
        <span class="updated">
          {fleet === undefined ? "" : `${isPaused ? "Paused at" : "As of"} ${time(fleet.at)}`}
        </span>
        {token.get() !== null && (
          <button
            type="button"
            onClick={() => {
              token.forget()
              onForget()
            }}
          >
            Forget token
          </button>
        )}
        <button type="button" aria-pressed={isPaused} onClick={() => onPause(!isPaused)}>
          {isPaused ? "Resume" : "Pause"}
        </button>
        <label class="theme">
          <span class="unseen">Colours</span>
          <select value={theme} onChange={(event) => choose(event.currentTarget.value as Theme)}>
            <option value="system">System</option>
            <option value="light">Light</option>
            <option value="dark">Dark</option>
          </select>
        </label>
      </div>
    </header>
  )
}

const verdictOf = (fleet: Fleet | undefined, failure: string | undefined) => {
  if (failure !== undefined) return { tone: "bad", mark: "✕", text: `This replica does not answer: ${failure}` }
  if (fleet === undefined) return { tone: "calm", mark: "…", text: "Asking" }
  const { length } = fleet.members
  const silent = fleet.members.filter((member) => stateOf(member) === "silent").length
  const unleased = fleet.members.filter((member) => stateOf(member) === "without lease").length
  const late = fleet.members.reduce((sum, member) => sum + behind(fleet, member).length, 0)
  if (fleet.realms === null) {
    return { tone: "bad", mark: "✕", text: "PostgreSQL does not answer: only this replica is shown" }
  }
  if (silent > 0) return { tone: "bad", mark: "✕", text: `${silent} of ${length} replicas do not answer` }
  if (unleased > 0) {
    return { tone: "warn", mark: "!", text: `${unleased} of ${length} replicas hold no lease and ask PostgreSQL` }
  }
  if (late > 0) return { tone: "warn", mark: "!", text: "A replica is catching up" }
  const who = length === 1
    ? "The only replica answers, holds its lease"
    : `All ${length} replicas answer, hold their lease`
  return { tone: "good", mark: "✓", text: `${who} and ${length === 1 ? "is" : "are"} at the newest generation` }
}
