import { Effect } from "effect"
import { alternate } from "../harness/alternate.ts"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { withCpuTime } from "../harness/cpuTime.ts"
import { fetchModules } from "../harness/fetchModules.ts"
import { seconds } from "../harness/format.ts"
import { printHottest } from "../harness/profile.ts"
import { startReplica } from "../harness/replica.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Row } from "../Row.ts"

/** A new replica on an empty database is asked for every module once, over HTTP. */
const cold = (transpiler: "babel" | "oxc") =>
  Effect.scoped(Effect.gen(function*() {
    const { freshDatabase, freshDirectory, modules, profileDir } = yield* Workbench
    const replica = yield* startReplica({
      databaseUrl: yield* freshDatabase,
      dataDir: yield* freshDirectory,
      transpiler,
      profiled: transpiler === "oxc"
    })
    const from = process.hrtime.bigint()
    // of the replica alone: oxc's worker is a process, and its time is not in it
    const { cpuMillis, value } = yield* withCpuTime(
      [replica.pid],
      fetchModules([{ port: Number(new URL(replica.url).port), modules }])
    )
    const to = process.hrtime.bigint()
    const { transpiles } = yield* replica.counts
    if (transpiles !== modules.length) {
      return yield* new BenchFailed({
        detail: `${transpiles} transpiles of ${modules.length} modules with ${transpiler}`
      })
    }
    if (profileDir !== undefined && transpiler === "oxc") {
      yield* replica.stop
      yield* printHottest(profileDir, replica.pid, [{ name: "the replica's own process, all modules cold", from, to }])
    }
    return { ...value, cpuMillis }
  }))

const run = Effect.gen(function*() {
  const { modules, scale } = yield* Workbench
  const measured = yield* alternate(scale.longRounds, { babel: cold("babel"), oxc: cold("oxc") })
  for (const [name, rounds] of Object.entries(measured)) {
    const different = modules.find((module) => new Set(rounds.map(({ hashes }) => hashes[module])).size !== 1)
    if (different !== undefined) {
      return yield* new BenchFailed({ detail: `${name} made two results of ${different}` })
    }
  }
  const millis = (rounds: typeof measured.oxc) => rounds.map((round) => round.millis)
  return [{
    name: "1 replica, --transpiler oxc",
    lockstep: seconds(median(millis(measured.oxc))),
    peer: { name: "the same with Babel", figure: seconds(median(millis(measured.babel))) },
    ratio: ratios(millis(measured.babel), millis(measured.oxc)),
    also: {
      "CPU time of the replica's process": `${seconds(median(measured.oxc.map(({ cpuMillis }) => cpuMillis)))} / ` +
        seconds(median(measured.babel.map(({ cpuMillis }) => cpuMillis)))
    }
  }]
})

export const oxc: Row = {
  name: "oxc",
  title: "effect/src, cold, end to end: oxc against Babel, one worker each",
  run
}
