import { Effect } from "effect"
import { alternate } from "../harness/alternate.ts"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { withCpuTime } from "../harness/cpuTime.ts"
import { kilobytes, millis, perSecond } from "../harness/format.ts"
import { printHottest, type Stretch } from "../harness/profile.ts"
import { sourceRealm, startReplica } from "../harness/replica.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Page } from "../processes/bareServer.ts"
import type { Hammered, Hammering } from "../processes/hammer.ts"
import type { Line, Row } from "../Row.ts"

const connections = 64

const publishedRealm = new URL("/published/", sourceRealm).href

/** Real modules of about these sizes as JavaScript. A published realm is what visitors are served from. */
const cases = [
  { label: "2 KB", module: "RegExp.ts", realm: publishedRealm, revalidate: false },
  { label: "18 KB", module: "Trie.ts", realm: publishedRealm, revalidate: false },
  { label: "78 KB", module: "SchemaRepresentation.ts", realm: publishedRealm, revalidate: false },
  { label: "304", module: "Trie.ts", realm: publishedRealm, revalidate: true },
  { label: "18 KB, source realm", module: "Trie.ts", realm: sourceRealm, revalidate: false }
]

const run = Effect.gen(function*() {
  const { freshDatabase, freshDirectory, profileDir, scale } = yield* Workbench
  const children = yield* Children
  const replica = yield* startReplica({
    databaseUrl: yield* freshDatabase,
    dataDir: yield* freshDirectory,
    profiled: true
  })
  yield* publish(replica.url)
  const pages = yield* Effect.forEach(
    cases,
    ({ module, realm }) => page(replica.url, new URL(realm).pathname + module)
  )
  const bare = yield* children.helper<ReadonlyArray<Page>, number>(
    new URL("../processes/bareServer.ts", import.meta.url)
  )
  const barePort = yield* bare.ask(pages, 10_000)
  const hammer = yield* children.helper<Hammering, Hammered>(new URL("../processes/hammer.ts", import.meta.url))

  /** Every answer has to hold `head` in its head. */
  const ask =
    ({ body, etag, path }: Page, revalidate: boolean, pid: number, port: number, head: string) => (millis: number) => {
      const expect = revalidate
        ? { status: 304, bodyLength: 0, head }
        : { status: 200, bodyLength: body.byteLength, head }
      const headers = revalidate ? { "if-none-match": etag } : {}
      return Effect.map(
        withCpuTime([pid], hammer.ask({ port, path, headers, connections, millis, expect }, millis + 20_000)),
        ({ cpuMillis, value }) => ({ ...value, cpuMicros: cpuMillis * 1000 / value.requests })
      )
    }

  const lines = new Array<Line>()
  const stretches = new Array<Stretch>()
  for (const [index, page] of pages.entries()) {
    const { label = "", revalidate = false } = cases[index] ?? {}
    const from = process.hrtime.bigint()
    const lockstep = ask(page, revalidate, replica.pid, Number(new URL(replica.url).port), "x-lockstep-cache: l1")
    const peer = ask(page, revalidate, bare.pid, barePort, "")
    yield* lockstep(scale.warmupMillis)
    yield* peer(scale.warmupMillis)
    const measured = yield* alternate(scale.rounds, {
      lockstep: lockstep(scale.roundMillis),
      bare: peer(scale.roundMillis)
    })
    stretches.push({ name: label, from, to: process.hrtime.bigint() })
    lines.push(lineOf(revalidate ? label : `${label} (${kilobytes(page.body.byteLength)})`, measured))
  }
  yield* replica.stop
  if (profileDir !== undefined) yield* printHottest(profileDir, replica.pid, stretches)
  return lines
})

interface Measured extends Hammered {
  readonly cpuMicros: number
}

const lineOf = (
  name: string,
  { bare, lockstep }: { readonly lockstep: ReadonlyArray<Measured>; readonly bare: ReadonlyArray<Measured> }
): Line => {
  const column = (rows: ReadonlyArray<Measured>, of: keyof Measured) => rows.map((row) => row[of])
  const both = (of: keyof Measured, show: (value: number) => string) =>
    `${show(median(column(lockstep, of)))} / ${show(median(column(bare, of)))}`
  return {
    name,
    lockstep: perSecond(median(column(lockstep, "perSecond"))),
    peer: { name: "node:http", figure: perSecond(median(column(bare, "perSecond"))) },
    ratio: ratios(column(lockstep, "perSecond"), column(bare, "perSecond")),
    also: {
      "CPU a request": both("cpuMicros", (value) => Number.isNaN(value) ? "?" : `${value.toFixed(0)} µs`),
      p50: both("p50Millis", millis),
      p99: both("p99Millis", millis),
      "client busy": both("busy", (value) => `${Math.round(value * 100)}%`)
    }
  }
}

const publish = (replica: string) =>
  request(`${replica}/_publish-realm`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ sourceRealmURL: sourceRealm, publishedRealmURL: publishedRealm })
  })

/** The replica's answer, which its peer will give too. It is in the replica's memory afterwards. */
const page = (replica: string, path: string) =>
  Effect.map(
    // As the client asks that measures it: a compressed representation has another tag.
    request(replica + path, { headers: { "accept-encoding": "identity" } }),
    ({ body, headers }): Page => ({ path, body, etag: headers.get("etag") ?? "" })
  )

const request = (url: string, init: RequestInit) =>
  Effect.tryPromise({
    try: async () => {
      const response = await fetch(url, { ...init, signal: AbortSignal.timeout(60_000) })
      const body = new Uint8Array(await response.arrayBuffer())
      if (!response.ok) throw new Error(new TextDecoder().decode(body))
      return { body, headers: response.headers }
    },
    catch: (cause) => new BenchFailed({ detail: `${url}: ${String(cause)}` })
  })

export const l1Hit: Row = {
  name: "l1-hit",
  title: `Hits in memory, over HTTP, ${connections} connections, each waiting for its answer`,
  run
}
