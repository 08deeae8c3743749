import { Effect, Fiber } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { alternate } from "../harness/alternate.ts"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { millis, perSecond } from "../harness/format.ts"
import { connections, hit, type Hits, type Server, startHammer } from "../harness/hits.ts"
import { startReplica } from "../harness/replica.ts"
import { page, publish } from "../harness/request.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Flooded, Flooding } from "../processes/flood.ts"
import type { Serving } from "../processes/inlineServer.ts"
import type { Line, Row } from "../Row.ts"

const coldRealm = "http://localhost:4201/cold/"
const hotRealm = "http://localhost:4201/hot/"
const published = "http://localhost:4201/published/"

/** More than a farm makes in a run: each is 98 KB of TypeScript. */
const modules = 3000

/** Cold modules that are asked for at any time: never none, so the farm is never idle. */
const floodConnections = 4

/** The flood is there before it is measured, and after. */
const leadMillis = 100

const run = Effect.gen(function*() {
  const { freshDatabase, freshDirectory, realmsDir: effect, scale } = yield* Workbench
  const children = yield* Children
  const realmsDir = yield* freshDirectory
  const read = (name: string) => fs.readFileSync(path.join(effect, "effect", name), "utf8")
  const large = read("SchemaRepresentation.ts")
  const cold = Array.from({ length: modules }, (_, index) => `cold-${index}.ts`)
  for (const name of ["hot", "cold"]) fs.mkdirSync(path.join(realmsDir, name))
  fs.writeFileSync(path.join(realmsDir, "hot", "hot.ts"), read("Trie.ts"))
  for (const name of cold) fs.writeFileSync(path.join(realmsDir, "cold", name), `// ${name}\n${large}`)
  const replica = yield* startReplica({ databaseUrl: yield* freshDatabase, dataDir: yield* freshDirectory, realmsDir })
  yield* publish(replica.url, hotRealm, published)
  const hot = yield* page(replica.url, `${new URL(published).pathname}hot.ts`)
  const paths = cold.map((name) => new URL(coldRealm).pathname + name)
  const inline = yield* children.helper<Serving, number>(new URL("../processes/inlineServer.ts", import.meta.url))
  const inlinePort = yield* inline.ask({ page: hot, source: large }, 10_000)
  const hammer = yield* startHammer
  const flood = yield* children.helper<Flooding, Flooded>(new URL("../processes/flood.ts", import.meta.url))

  const lockstep: Server = { pid: replica.pid, port: replica.port, page: hot, head: "x-lockstep-cache: l1" }
  const peer: Server = { pid: inline.pid, port: inlinePort, page: hot, head: "" }
  let asked = 0
  /** The hits, and how many modules were transpiled meanwhile. */
  const busy = Effect.fnUntraced(function*(server: Server, pauseMillis: number) {
    const flooding = yield* Effect.forkChild(flood.ask({
      port: server.port,
      paths: server === lockstep ? paths.slice(asked) : paths,
      connections: floodConnections,
      millis: scale.roundMillis + 2 * leadMillis
    }, 60_000))
    yield* Effect.sleep(leadMillis)
    const hits = yield* hit(hammer, server, { pauseMillis }, scale.roundMillis)
    const flooded = yield* Fiber.join(flooding)
    if (server === lockstep) asked += flooded.asked
    return { ...hits, made: flooded.answered }
  })
  const idle = (server: Server, pauseMillis: number) =>
    Effect.map(hit(hammer, server, { pauseMillis }, scale.roundMillis), (hits) => ({ ...hits, made: 0 }))

  const measure = Effect.fnUntraced(function*(name: string, pauseMillis: number) {
    for (const server of [lockstep, peer]) yield* hit(hammer, server, { pauseMillis }, scale.warmupMillis)
    const measured = yield* alternate(scale.rounds, {
      idle: idle(lockstep, pauseMillis),
      busy: busy(lockstep, pauseMillis),
      inlineIdle: idle(peer, pauseMillis),
      inlineBusy: busy(peer, pauseMillis)
    })
    // Cold modules were asked for all the time; over all rounds some must have been made.
    for (const rounds of [measured.busy, measured.inlineBusy]) {
      if (rounds.every(({ made }) => made === 0)) return yield* new BenchFailed({ detail: "nothing was transpiled" })
    }
    type Rounds = ReadonlyArray<Hits & { readonly made: number }>
    const tail = (rounds: Rounds) => rounds.map(({ p99Millis }) => p99Millis)
    const show = (rounds: Rounds) => `p99 ${millis(median(tail(rounds)))}`
    const made = (rounds: Rounds) => median(rounds.map((round) => round.made / scale.roundMillis * 1000)).toFixed(0)
    const rate = (rounds: Rounds) => perSecond(median(rounds.map((round) => round.perSecond)))
    const lines: ReadonlyArray<Line> = [
      {
        name: `${name}, busy against idle`,
        lockstep: show(measured.busy),
        peer: { name: "idle", figure: show(measured.idle) },
        ratio: ratios(tail(measured.idle), tail(measured.busy)),
        bar: 1 / 3,
        also: {
          hits: `${rate(measured.busy)} / ${rate(measured.idle)}`,
          "modules made meanwhile": `${made(measured.busy)}/s`
        }
      },
      {
        name: `${name}, busy, beside Babel in the event loop`,
        lockstep: show(measured.busy),
        peer: { name: "inline", figure: show(measured.inlineBusy) },
        ratio: ratios(tail(measured.inlineBusy), tail(measured.busy)),
        also: {
          "inline, idle": show(measured.inlineIdle),
          hits: `${rate(measured.busy)} / ${rate(measured.inlineBusy)}`,
          "modules made meanwhile": `${made(measured.busy)}/s / ${made(measured.inlineBusy)}/s`
        }
      }
    ]
    return lines
  })
  // Flat out, a hit waits for those before it; at an easy pace, for what else the thread and the cores are doing.
  const flatOut = yield* measure("flat out", 0)
  return [...flatOut, ...yield* measure("1 request a connection every 50 ms", 50)]
})

export const busy: Row = {
  name: "busy",
  title:
    `Hits in memory of a published realm, over HTTP, ${connections} connections, while others wait for cold modules`,
  run
}
