import { Effect } from "effect"
import { alternate } from "../harness/alternate.ts"
import { Children } from "../harness/Children.ts"
import { smallFleet, smallPublished, smallRealm, startEmbedded } from "../harness/embedded.ts"
import { readsPerSecond } from "../harness/format.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Reading } from "../processes/memoryTier.ts"
import type { Line, Row } from "../Row.ts"

const times = 50_000

const run = Effect.gen(function*() {
  const { scale } = yield* Workbench
  const children = yield* Children
  const host = yield* startEmbedded(yield* smallFleet, "host")
  yield* host.ask({ task: "publish", source: smallRealm, published: smallPublished, times: 1 }, 20_000)
  const lockstep = Effect.map(
    host.ask({ task: "read", realm: smallPublished, path: "hello.ts", times, lease: true }, 60_000),
    ({ count, millis }) => count / (millis[0] ?? NaN) * 1000
  )
  const peer = Effect.fnUntraced(function*(library: Reading["library"]) {
    const process = yield* children.helper<Reading, number>(new URL("../processes/memoryTier.ts", import.meta.url))
    return (call: Reading["call"]) =>
      Effect.map(process.ask({ library, call, times }, 60_000), (millis) => times / millis * 1000)
  })
  const bentocache = yield* peer("bentocache")
  const cacheable = yield* peer("cacheable")
  const all = {
    lockstep,
    "bentocache getOrSet": bentocache("getOrSet"),
    "bentocache get": bentocache("get"),
    "cacheable getOrSet": cacheable("getOrSet"),
    "cacheable get": cacheable("get")
  }
  // Until each is compiled.
  yield* Effect.forEach(Object.values(all), (read) => Effect.replicateEffect(read, 2), { discard: true })
  const { lockstep: ours, ...peers } = yield* alternate(scale.rounds, all)
  return Object.entries(peers).map(([name, theirs]): Line => ({
    name: `beside ${name}`,
    lockstep: readsPerSecond(median(ours)),
    peer: { name, figure: readsPerSecond(median(theirs)) },
    ratio: ratios(ours, theirs),
    bar: 1,
    steady: true,
    also: { "a read takes": `${(1e9 / median(ours)).toFixed(0)} / ${(1e9 / median(theirs)).toFixed(0)} ns` }
  }))
})

export const inProcess: Row = {
  name: "in-process",
  title: "Hits in memory through the public services, beside other libraries' memory tiers",
  run
}
