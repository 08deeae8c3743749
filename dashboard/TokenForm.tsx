/** @jsxImportSource preact */
import { useState } from "preact/hooks"
import { token } from "./data.ts"

interface Props {
  readonly failure: string | undefined
  readonly onGiven: () => void
}

/** Shown only where the data is not for everybody. */
export const TokenForm = ({ failure, onGiven }: Props) => {
  const [text, setText] = useState("")
  const wasRefused = token.get() !== null
  return (
    <section aria-labelledby="token-heading" class="token">
      <h2 id="token-heading">A token is needed</h2>
      <p>
        What replicas say of themselves is not for everybody here. The token is kept for this tab alone, until it is
        closed.
      </p>
      {wasRefused && (
        <p class="badge bad" role="alert">
          <span aria-hidden="true">✕</span> The token was not accepted: {failure?.replace(/^Error: /, "")}
        </p>
      )}
      <form
        onSubmit={(event) => {
          event.preventDefault()
          if (text.trim() === "") return
          token.set(text.trim())
          onGiven()
        }}
      >
        <label for="token">Token</label>
        <input
          id="token"
          type="password"
          autocomplete="off"
          required
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
        <button type="submit">Use it</button>
      </form>
    </section>
  )
}
