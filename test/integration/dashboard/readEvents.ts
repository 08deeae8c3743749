import { Effect, type Scope } from "effect"
import type { Replica } from "../../support/replica.ts"

export type Event = Readonly<Record<string, unknown>>

/** A reader of `/_events` that reads until the scope closes, or the stream ends. */
export const readEvents = (
  replica: Replica,
  query: string,
  lastEventId?: string
): Effect.Effect<
  { readonly events: ReadonlyArray<Event>; readonly lastId: () => string; readonly ended: Promise<void> },
  never,
  Scope.Scope
> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const stop = new AbortController()
      const response = await fetch(`${replica.url}/_events${query}`, {
        signal: stop.signal,
        headers: lastEventId === undefined ? {} : { "last-event-id": lastEventId }
      })
      if (response.status !== 200 || response.body === null) throw new Error(`/_events answered ${response.status}`)
      const events: Array<Event> = []
      let lastId = ""
      const read = async () => {
        let rest = ""
        for await (const chunk of response.body ?? []) {
          const blocks = (rest + Buffer.from(chunk).toString()).split("\n\n")
          rest = blocks.pop() ?? ""
          for (const block of blocks) {
            const data = /^data: (.*)$/m.exec(block)?.[1]
            if (data !== undefined) events.push(JSON.parse(data) as Event)
            lastId = /^id: (.*)$/m.exec(block)?.[1] ?? lastId
          }
        }
      }
      return { stop, events, lastId: () => lastId, ended: read().catch(() => {}) }
    }),
    ({ stop }) => Effect.sync(() => stop.abort())
  )
