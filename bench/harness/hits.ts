import { Effect } from "effect"
import type { Page } from "../processes/bareServer.ts"
import type { Hammered, Hammering } from "../processes/hammer.ts"
import type { Line } from "../Row.ts"
import { alternate } from "./alternate.ts"
import { Children, type Helper } from "./Children.ts"
import { withCpuTime } from "./cpuTime.ts"
import { millis, perSecond } from "./format.ts"
import { median, ratios } from "./statistics.ts"
import { Workbench } from "./Workbench.ts"

/** To a server, each waiting for its answer. */
export const connections = 64

/** A server that has a page in its memory. */
export interface Server {
  readonly pid: number
  readonly port: number
  readonly page: Page
  /** Every answer has to hold this in its head. */
  readonly head: string
}

export interface Hits extends Hammered {
  readonly cpuMicros: number
}

/** The process that asks. */
export const startHammer = Effect.flatMap(
  Children,
  (children) => children.helper<Hammering, Hammered>(new URL("../processes/hammer.ts", import.meta.url))
)

export interface Asking {
  /** Ask with the page's validator: every answer must be 304. */
  readonly revalidate?: boolean
  /** Each connection waits this long between an answer and its next request. */
  readonly pauseMillis?: number
}

/** Asks a server for its page over and over for a while. */
export const hit = (
  hammer: Helper<Hammering, Hammered>,
  { head, page, pid, port }: Server,
  { pauseMillis = 0, revalidate = false }: Asking,
  millis: number
) => {
  const expect = revalidate
    ? { status: 304, bodyLength: 0, head }
    : { status: 200, bodyLength: page.body.byteLength, head }
  const headers = revalidate ? { "if-none-match": page.etag } : {}
  return Effect.map(
    withCpuTime(
      [pid],
      hammer.ask({ port, path: page.path, headers, connections, pauseMillis, millis, expect }, millis + 20_000)
    ),
    ({ cpuMillis, value }): Hits => ({ ...value, cpuMicros: cpuMillis * 1000 / value.requests })
  )
}

/** Two servers in turns, after a warm-up of both. */
export const compareHits = Effect.fnUntraced(function*(
  name: string,
  lockstep: Server,
  peer: Server & { readonly name: string },
  { bar, hammer, revalidate }: {
    readonly hammer: Helper<Hammering, Hammered>
    readonly revalidate: boolean
    readonly bar?: number | undefined
  }
) {
  const { scale } = yield* Workbench
  const ours = (millis: number) => hit(hammer, lockstep, { revalidate }, millis)
  const theirs = (millis: number) => hit(hammer, peer, { revalidate }, millis)
  yield* ours(scale.warmupMillis)
  yield* theirs(scale.warmupMillis)
  const measured = yield* alternate(scale.rounds, { ours: ours(scale.roundMillis), theirs: theirs(scale.roundMillis) })
  const column = (rows: ReadonlyArray<Hits>, of: keyof Hits) => rows.map((row) => row[of])
  const both = (of: keyof Hits, show: (value: number) => string) =>
    `${show(median(column(measured.ours, of)))} / ${show(median(column(measured.theirs, of)))}`
  const line: Line = {
    name,
    lockstep: perSecond(median(column(measured.ours, "perSecond"))),
    peer: { name: peer.name, figure: perSecond(median(column(measured.theirs, "perSecond"))) },
    ratio: ratios(column(measured.ours, "perSecond"), column(measured.theirs, "perSecond")),
    ...bar !== undefined && { bar, steady: true },
    also: {
      "CPU a request": both("cpuMicros", (value) => Number.isNaN(value) ? "?" : `${value.toFixed(0)} µs`),
      p50: both("p50Millis", millis),
      p99: both("p99Millis", millis),
      "client busy": both("busy", (value) => `${Math.round(value * 100)}%`)
    }
  }
  return line
})
