import { Effect } from "effect"
import { alternate } from "../harness/alternate.ts"
import { Children } from "../harness/Children.ts"
import { smallFleet, smallPublished, smallRealm, startEmbedded } from "../harness/embedded.ts"
import { millis } from "../harness/format.ts"
import { median, p99, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { RoundTrips } from "../processes/rawNotify.ts"
import type { Row } from "../Row.ts"

const withReplicas = Effect.fnUntraced(function*(replicas: number) {
  const { scale } = yield* Workbench
  const children = yield* Children
  const fleet = yield* smallFleet
  const raw = yield* children.helper<RoundTrips, ReadonlyArray<number>>(
    new URL("../processes/rawNotify.ts", import.meta.url)
  )
  const publisher = yield* startEmbedded(fleet, "publisher")
  for (let index = 1; index < replicas; index++) yield* startEmbedded(fleet, `replica ${index}`)

  const publishes = (times: number) =>
    publisher.ask({ task: "publish", source: smallRealm, published: smallPublished, times }, 60_000)
  const roundTrips = (times: number) => raw.ask({ databaseUrl: fleet.databaseUrl, times }, 60_000)
  // Until both sides run compiled code: a peer of one line is compiled long before a publish is.
  yield* publishes(300)
  yield* roundTrips(1000)
  const measured = yield* alternate(scale.rounds, {
    publish: publishes(50),
    raw: Effect.map(roundTrips(200), (millis) => ({ millis, barrier: [], count: millis.length }))
  })
  const barrier = measured.publish.map((round) => round.barrier)
  const whole = measured.publish.map((round) => round.millis)
  const peer = measured.raw.map((round) => round.millis)
  const both = (rounds: ReadonlyArray<ReadonlyArray<number>>) =>
    `p50 ${millis(median(rounds.flat()))}, p99 ${millis(p99(rounds.flat()))}`
  const faster = ratios(peer.map(median), barrier.map(median))
  return {
    name: `${replicas} replicas, from the commit to the last acknowledgement`,
    lockstep: both(barrier),
    peer: { name: "raw NOTIFY, there and back", figure: both(peer) },
    ratio: faster,
    also: {
      "the whole publish": both(whole),
      "as many round trips": `${(1 / faster.median).toFixed(1)}, with the publish's own work ${
        (median(whole.flat()) / median(peer.flat())).toFixed(1)
      }`
    }
  }
}, Effect.scoped)

export const publishBarrier: Row = {
  name: "publish-barrier",
  title: "Publishes of a small realm that every replica acknowledges, one after the other",
  run: Effect.forEach([2, 4, 8], withReplicas)
}
