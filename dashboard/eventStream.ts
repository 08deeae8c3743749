import { useEffect, useState } from "preact/hooks"
import { ask, type FleetEvent, pause, Unauthorized } from "./data.ts"

/** Events that the page remembers. */
const capacity = 500

/** A stream without a heartbeat for this long is dead. */
const silenceMillis = 25_000

/** What arrives together is drawn together. */
const drawMillis = 250

export interface Live {
  /** Newest first. */
  readonly events: ReadonlyArray<FleetEvent>
  readonly state: "connecting" | "live" | "lost"
  /** Events that this reader was too slow for. */
  readonly dropped: number
}

/**
 * Follows the fleet's events. An EventSource cannot send a token, so the stream is read with fetch; like one it begins
 * again where it ended.
 */
export const useEvents = (isPaused: boolean, credentials: number): Live => {
  const [live, setLive] = useState<Live>({ events: [], state: "connecting", dropped: 0 })
  useEffect(() => {
    if (isPaused) return
    const stop = new AbortController()
    let lastEventId: string | undefined
    let gathered: Array<FleetEvent> = []
    let dropped = 0
    let timer: ReturnType<typeof setTimeout> | undefined
    const draw = () => {
      timer = undefined
      const arrived = gathered
      const missed = dropped
      gathered = []
      dropped = 0
      setLive((before) => ({
        ...before,
        events: merge(before.events, arrived),
        dropped: before.dropped + missed
      }))
    }
    const onMessage = ({ data, event, id }: Message) => {
      if (id !== undefined) lastEventId = id
      if (data === undefined) return
      if (event === "dropped") dropped += Number(data) || 1
      else gathered.push(JSON.parse(data) as FleetEvent)
      timer ??= setTimeout(draw, drawMillis)
    }
    const follow = async () => {
      for (let failures = 0; !stop.signal.aborted; failures++) {
        try {
          await read(lastEventId, stop.signal, onMessage, () => {
            failures = 0
            setLive((before) => ({ ...before, state: "live" }))
          })
        } catch (error) {
          if (error instanceof Unauthorized) return
        }
        if (stop.signal.aborted) return
        setLive((before) => ({ ...before, state: "lost" }))
        await pause(Math.min(15_000, 500 * 2 ** failures), stop.signal)
      }
    }
    void follow()
    return () => {
      stop.abort()
      clearTimeout(timer)
    }
  }, [isPaused, credentials])
  return live
}

/** One log of many replicas: by time, and each event once. */
const merge = (
  known: ReadonlyArray<FleetEvent>,
  arrived: ReadonlyArray<FleetEvent>
): ReadonlyArray<FleetEvent> => {
  const byKey = new Map([...arrived, ...known].map((event) => [keyOf(event), event]))
  return Array.from(byKey.values()).sort((a, b) => b.at - a.at || b.id - a.id).slice(0, capacity)
}

export const keyOf = ({ bootId, id }: FleetEvent): string => `${bootId}:${id}`

interface Message {
  readonly event: string
  /** None: only says where to go on. */
  readonly data: string | undefined
  readonly id: string | undefined
}

const read = async (
  lastEventId: string | undefined,
  signal: AbortSignal,
  onMessage: (message: Message) => void,
  onOpen: () => void
): Promise<void> => {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), silenceMillis)
  try {
    const response = await ask("_events?scope=fleet&recent=150", {
      signal: AbortSignal.any([signal, silence.signal]),
      headers: lastEventId === undefined ? {} : { "last-event-id": lastEventId }
    })
    onOpen()
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    let rest = ""
    while (reader !== undefined) {
      const { done, value } = await reader.read()
      if (done) return
      clearTimeout(timer)
      timer = setTimeout(() => silence.abort(), silenceMillis)
      const blocks = (rest + value).split("\n\n")
      rest = blocks.pop() ?? ""
      for (const block of blocks) {
        const message = parse(block)
        if (message !== undefined) onMessage(message)
      }
    }
  } finally {
    clearTimeout(timer)
  }
}

const parse = (block: string): Message | undefined => {
  let event = "message"
  let id: string | undefined
  const data: Array<string> = []
  for (const line of block.split("\n")) {
    if (line.startsWith("data: ")) data.push(line.slice(6))
    else if (line.startsWith("event: ")) event = line.slice(7)
    else if (line.startsWith("id: ")) id = line.slice(4)
  }
  return data.length === 0 && id === undefined
    ? undefined
    : { event, data: data.length === 0 ? undefined : data.join("\n"), id }
}
