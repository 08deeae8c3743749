import { Effect } from "effect"
import { alternate } from "../harness/alternate.ts"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { fetchModules } from "../harness/fetchModules.ts"
import { perSecond, seconds } from "../harness/format.ts"
import { printHottest } from "../harness/profile.ts"
import { sourceRealm, startReplica } from "../harness/replica.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Database } from "../processes/bareQuery.ts"
import type { Row } from "../Row.ts"

const run = Effect.gen(function*() {
  const { freshDatabase, freshDirectory, modules, profileDir, scale } = yield* Workbench
  const children = yield* Children
  const fleet = { databaseUrl: yield* freshDatabase, dataDir: yield* freshDirectory }
  const portOf = (url: string) => Number(new URL(url).port)

  // One replica fills the shared cache, and goes.
  const filled = yield* Effect.scoped(Effect.gen(function*() {
    const { url } = yield* startReplica(fleet)
    return yield* fetchModules([{ port: portOf(url), modules }])
  }))

  const replica = Effect.scoped(Effect.gen(function*() {
    const { counts, pid, stop, url } = yield* startReplica({ ...fleet, profiled: true })
    const from = process.hrtime.bigint()
    const { hashes, millis } = yield* fetchModules([{ port: portOf(url), modules }])
    const to = process.hrtime.bigint()
    const { l2Hits, transpiles } = yield* counts
    if (profileDir !== undefined) {
      yield* stop
      yield* printHottest(profileDir, pid, [{ name: "a new replica, every row in the shared cache", from, to }])
    }
    if (transpiles !== 0 || l2Hits !== modules.length) {
      return yield* new BenchFailed({ detail: `${l2Hits} L2 hits and ${transpiles} transpiles in a filled cache` })
    }
    return { millis, hashes }
  }))
  const bare = Effect.scoped(Effect.gen(function*() {
    const server = yield* children.helper<Database, number>(new URL("../processes/bareQuery.ts", import.meta.url))
    const port = yield* server.ask({ url: fleet.databaseUrl, maxConnections: 10, realmUrl: sourceRealm }, 20_000)
    return yield* fetchModules([{ port, modules }])
  }))

  const measured = yield* alternate(scale.longRounds, { replica, bare })
  for (const { hashes } of [...measured.replica, ...measured.bare]) {
    const different = modules.find((module) => hashes[module] !== filled.hashes[module])
    if (different !== undefined) return yield* new BenchFailed({ detail: `other bytes for ${different}` })
  }
  const wall = {
    lockstep: measured.replica.map(({ millis }) => millis),
    bare: measured.bare.map(({ millis }) => millis)
  }
  const rate = (walls: ReadonlyArray<number>) => perSecond(modules.length / median(walls) * 1000)
  return [{
    name: `a new replica, ${modules.length} modules`,
    lockstep: seconds(median(wall.lockstep)),
    peer: { name: "bare query", figure: seconds(median(wall.bare)) },
    ratio: ratios(wall.bare, wall.lockstep),
    // Within 1.5 times of the bare query.
    bar: 1 / 1.5,
    also: { rate: `${rate(wall.lockstep)} / ${rate(wall.bare)}` }
  }]
})

export const l2Hit: Row = {
  name: "l2-hit",
  title: "effect/src from the shared cache: a replica that has just started, every row there",
  run
}
