import { Effect } from "effect"
import { alternate } from "../harness/alternate.ts"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { withCpuTime } from "../harness/cpuTime.ts"
import { kilobytes, millis, perSecond } from "../harness/format.ts"
import { printHottest } from "../harness/profile.ts"
import { pathOf, startReplica } from "../harness/replica.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Page } from "../processes/bareServer.ts"
import type { Hammered, Hammering } from "../processes/hammer.ts"
import type { Line, Row } from "../Row.ts"

const connections = 64

/** Real modules, near these sizes as JavaScript. */
const small = { label: "2 KB", module: "RegExp.ts" }
const middle = { label: "18 KB", module: "Trie.ts" }
const large = { label: "78 KB", module: "SchemaRepresentation.ts" }

const run = Effect.gen(function*() {
  const { freshDatabase, freshDirectory, profileDir, scale } = yield* Workbench
  const children = yield* Children
  const replica = yield* startReplica({
    databaseUrl: yield* freshDatabase,
    dataDir: yield* freshDirectory,
    profiled: true
  })
  const pages = yield* Effect.forEach([small, middle, large], ({ module }) => page(replica.url, pathOf(module)))
  const bare = yield* children.helper<ReadonlyArray<Page>, number>(
    new URL("../processes/bareServer.ts", import.meta.url)
  )
  const barePort = yield* bare.ask(pages, 10_000)
  const hammer = yield* children.helper<Hammering, Hammered>(new URL("../processes/hammer.ts", import.meta.url))

  const begun = process.hrtime.bigint()
  const lines = new Array<Line>()
  for (const { label, of, revalidate } of cases) {
    const { body, etag, path } = pages[of] ?? (yield* new BenchFailed({ detail: `no page for ${label}` }))
    const measure = (port: number, pid: number, head: string) => (millis: number) =>
      Effect.gen(function*() {
        const expect = revalidate
          ? { status: 304, bodyLength: 0, head }
          : { status: 200, bodyLength: body.byteLength, head }
        const headers = revalidate ? { "if-none-match": etag } : {}
        const { cpuMillis, value } = yield* withCpuTime(
          [pid],
          hammer.ask({ port, path, headers, connections, millis, expect }, millis + 20_000)
        )
        return { ...value, cpuMicros: cpuMillis * 1000 / value.requests }
      })
    // every answer must have come from memory
    const lockstep = measure(Number(new URL(replica.url).port), replica.pid, "x-lockstep-cache: l1")
    const peer = measure(barePort, bare.pid, "")
    yield* lockstep(scale.warmupMillis)
    yield* peer(scale.warmupMillis)
    const measured = yield* alternate(scale.rounds, {
      lockstep: lockstep(scale.roundMillis),
      bare: peer(scale.roundMillis)
    })
    const speeds = { lockstep: column(measured.lockstep, "perSecond"), bare: column(measured.bare, "perSecond") }
    const both = (name: keyof (typeof measured.bare)[number], show: (value: number) => string) =>
      `${show(median(column(measured.lockstep, name)))} / ${show(median(column(measured.bare, name)))}`
    lines.push({
      name: revalidate ? label : `${label} (${kilobytes(body.byteLength)})`,
      lockstep: perSecond(median(speeds.lockstep)),
      peer: { name: "node:http", figure: perSecond(median(speeds.bare)) },
      ratio: ratios(speeds.lockstep, speeds.bare),
      also: {
        "CPU a request": both("cpuMicros", (value) => Number.isNaN(value) ? "?" : `${value.toFixed(0)} µs`),
        p50: both("p50Millis", millis),
        p99: both("p99Millis", millis),
        "client busy": both("busy", (value) => `${Math.round(value * 100)}%`)
      }
    })
  }
  const ended = process.hrtime.bigint()
  yield* replica.stop
  if (profileDir !== undefined) yield* printHottest(profileDir, replica.pid, begun, ended)
  return lines
})

const cases = [
  { label: small.label, of: 0, revalidate: false },
  { label: middle.label, of: 1, revalidate: false },
  { label: large.label, of: 2, revalidate: false },
  { label: "304", of: 1, revalidate: true }
]

const column = <Name extends string>(rows: ReadonlyArray<Readonly<Record<Name, number>>>, name: Name) =>
  rows.map((row) => row[name])

/** The replica's answer, which its peer will give too. It is in the replica's memory afterwards. */
const page = (replica: string, path: string) =>
  Effect.tryPromise({
    try: async (): Promise<Page> => {
      const response = await fetch(replica + path, { signal: AbortSignal.timeout(30_000) })
      const body = new Uint8Array(await response.arrayBuffer())
      if (response.status !== 200) throw new Error(new TextDecoder().decode(body))
      return { path, body, etag: response.headers.get("etag") ?? "" }
    },
    catch: (cause) => new BenchFailed({ detail: `${path}: ${String(cause)}` })
  })

export const l1Hit: Row = {
  name: "l1-hit",
  title: `Hits in memory, over HTTP, ${connections} connections, each waiting for its answer`,
  run
}
