import { Effect } from "effect"
import { alternate } from "../harness/alternate.ts"
import { smallFleet, smallPublished, smallRealm, startEmbedded } from "../harness/embedded.ts"
import { perSecond } from "../harness/format.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Row } from "../Row.ts"

const times = 50_000

const run = Effect.gen(function*() {
  const { scale } = yield* Workbench
  const host = yield* startEmbedded(yield* smallFleet, "host")
  yield* host.ask({ task: "publish", source: smallRealm, published: smallPublished, times: 1 }, 20_000)
  const read = (lease: boolean) =>
    Effect.map(
      host.ask({ task: "read", realm: smallPublished, path: "hello.ts", times, lease }, 60_000),
      ({ count, millis }) => count / (millis[0] ?? NaN) * 1000
    )
  yield* read(true)
  const { checked, unchecked } = yield* alternate(scale.rounds, { checked: read(true), unchecked: read(false) })
  return [{
    name: "one module, through the public services",
    lockstep: perSecond(median(checked)),
    peer: { name: "without the check", figure: perSecond(median(unchecked)) },
    ratio: ratios(checked, unchecked),
    also: { "a check costs": `${((1 / median(checked) - 1 / median(unchecked)) * 1e9).toFixed(0)} ns` }
  }]
})

export const leaseCheck: Row = {
  name: "lease-check",
  title: "Hits in memory, in the process: with the lease looked at on every read, and with that look left out",
  run
}
