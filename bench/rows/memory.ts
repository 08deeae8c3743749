import { Effect } from "effect"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { addFiles, smallFleet, smallPublished, smallRealm, startEmbedded } from "../harness/embedded.ts"
import { rangeOf } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import { finishedBytes } from "../processes/serveAndWeigh.ts"
import type { Wandered, Wandering } from "../processes/wander.ts"
import type { Row } from "../Row.ts"

/** Bound of what the services keep, of the finished answers beside it, and room for what is of fixed size. */
const cacheBytes = 12 * 2 ** 20
const allowance = 32 * 2 ** 20
const bound = cacheBytes + finishedBytes + allowance

/** Real modules, in two realms, as text and as JavaScript: twice the bound. */
const modules = 1000
const moduleBytes = 20_000

const distinct = 200_000

const parts = 4

/** Large, and soon transpiled: one literal. */
const textOf = (number: number) =>
  `export const text: string = "${`${number} `.repeat(moduleBytes).slice(0, moduleBytes)}"\n`

const megabytes = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`

const run = Effect.gen(function*() {
  const { scale } = yield* Workbench
  const children = yield* Children
  const fleet = yield* smallFleet
  yield* addFiles(
    fleet,
    Object.fromEntries(Array.from({ length: modules }, (_, number) => [`module-${number}.ts`, textOf(number)]))
  )
  const host = yield* startEmbedded(fleet, "host", { cacheBytes, warmUp: false })
  yield* host.ask({ task: "publish", source: smallRealm, published: smallPublished, times: 1 }, 60_000)
  const { count: port } = yield* host.ask({ task: "serve" }, 60_000)
  const client = yield* children.helper<Wandering, Wandered>(new URL("../processes/wander.ts", import.meta.url))
  const wander = (requests: number, different: number) =>
    client.ask({
      port,
      connections: 64,
      requests,
      distinct: different,
      realms: [new URL(smallRealm).pathname, new URL(smallPublished).pathname],
      modules: Math.min(modules, different)
    }, 3_600_000)
  const weigh = Effect.flatMap(
    host.ask({ task: "weigh" }, 60_000),
    ({ weighed }) =>
      weighed === undefined ? Effect.fail(new BenchFailed({ detail: "was not weighed" })) : Effect.succeed(weighed)
  )

  // Everything has been loaded and compiled, and next to nothing is kept.
  yield* wander(2000, 10)
  const start = yield* weigh
  const grown = new Array<number>()
  let resident = 0
  const statuses: Record<string, number> = {}
  for (let part = 0; part < parts; part++) {
    const answered = yield* wander(scale.requests / parts, distinct)
    for (const [status, count] of Object.entries(answered)) statuses[status] = (statuses[status] ?? 0) + count
    const now = yield* weigh
    grown.push(now.held - start.held)
    resident = now.resident
  }
  const last = grown.at(-1) ?? NaN
  return [{
    name: `${scale.requests.toLocaleString("en-US")} requests over ${distinct.toLocaleString("en-US")} paths`,
    lockstep: `${megabytes(last)} more held than at the start`,
    peer: { name: "bound", figure: `${megabytes(bound)}: caches ${megabytes(bound - allowance)}, and room` },
    // The bound over what is held.
    ratio: rangeOf(grown.map((bytes) => bound / Math.max(1, bytes))),
    bar: 1,
    also: {
      "by quarters": grown.map(megabytes).join(", "),
      "resident, threads and all": `${megabytes(start.resident)} at the start, ${megabytes(resident)} at the end`,
      answers: Object.entries(statuses).map(([status, count]) => `${count} of ${status}`).join(", ")
    }
  }]
})

export const memory: Row = {
  name: "memory",
  title: "What a replica holds, heap and buffers, after garbage was collected",
  run
}
