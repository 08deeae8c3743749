import { Effect } from "effect"
import { statSync } from "node:fs"
import * as path from "node:path"
import { alternate } from "../harness/alternate.ts"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { withCpuTime } from "../harness/cpuTime.ts"
import { fetchModules } from "../harness/fetchModules.ts"
import { seconds } from "../harness/format.ts"
import { printHottest } from "../harness/profile.ts"
import { startReplica } from "../harness/replica.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { TranspiledAll, Transpiling } from "../processes/bareBabel.ts"
import type { Line, Row } from "../Row.ts"

/** One measurement: how long until every module was there, and how often one was transpiled for it. */
interface Cold {
  readonly millis: number
  /** Of the replicas, or of the Babel processes. PostgreSQL's and the client's are not in it. */
  readonly cpuMillis: number
  readonly executions: number
  readonly hashes: Readonly<Record<string, string>>
}

/**
 * A new fleet on an empty database. Each of its replicas is asked for each module, all at the same time, or, if the
 * load is split, each module is asked of one of them.
 */
const fleet = (size: number, load: "every" | "split") =>
  Effect.scoped(Effect.gen(function*() {
    const { freshDatabase, freshDirectory, modules, profileDir } = yield* Workbench
    const options = { databaseUrl: yield* freshDatabase, dataDir: yield* freshDirectory, profiled: true }
    const replicas = yield* Effect.replicateEffect(startReplica(options), size, { concurrency: "unbounded" })
    const from = process.hrtime.bigint()
    const { cpuMillis, value } = yield* withCpuTime(
      replicas.map(({ pid }) => pid),
      fetchModules(replicas.map(({ url }, index) => ({
        port: Number(new URL(url).port),
        modules: load === "every" ? modules : modules.filter((_, each) => each % size === index)
      })))
    )
    const to = process.hrtime.bigint()
    const counts = yield* Effect.forEach(replicas, (replica) => replica.counts)
    if (profileDir !== undefined) {
      const stretch = {
        name: `a replica of ${size}, cold, each module asked of ${load === "every" ? "all" : "one"}`,
        from,
        to
      }
      for (const replica of replicas.slice(0, 1)) {
        yield* replica.stop
        yield* printHottest(profileDir, replica.pid, [stretch])
      }
    }
    return { ...value, cpuMillis, executions: counts.reduce((sum, { transpiles }) => sum + transpiles, 0) }
  }))

/** As many processes as replicas, each with its share of the bytes. */
const babel = (size: number) =>
  Effect.scoped(Effect.gen(function*() {
    const children = yield* Children
    const { modules, realmsDir } = yield* Workbench
    const directory = path.join(realmsDir, "effect")
    const processes = yield* Effect.replicateEffect(
      children.helper<Transpiling, TranspiledAll>(new URL("../processes/bareBabel.ts", import.meta.url)),
      size,
      { concurrency: "unbounded" }
    )
    const shares = evenShares(modules, size, (module) => statSync(path.join(directory, module)).size)
    const { cpuMillis, value: results } = yield* withCpuTime(
      processes.map(({ pid }) => pid),
      Effect.forEach(
        processes,
        (each, index) => each.ask({ directory, modules: shares[index] ?? [] }, 300_000),
        { concurrency: "unbounded" }
      )
    )
    return {
      millis: Math.max(...results.map(({ millis }) => millis)),
      cpuMillis,
      executions: modules.length,
      hashes: Object.assign({}, ...results.map(({ hashes }) => hashes)) as Cold["hashes"]
    }
  }))

/** The largest first, each to whoever has the least so far. */
const evenShares = <A>(items: ReadonlyArray<A>, count: number, weigh: (item: A) => number) => {
  const shares = Array.from({ length: count }, () => ({ weight: 0, items: new Array<A>() }))
  for (const item of items.toSorted((a, b) => weigh(b) - weigh(a))) {
    const least = shares.reduce((best, share) => share.weight < best.weight ? share : best)
    least.weight += weigh(item)
    least.items.push(item)
  }
  return shares.map((share) => share.items)
}

const run = Effect.gen(function*() {
  const { modules, scale } = yield* Workbench
  const sizes = scale.fleets
  const subjects = sizes.flatMap((size) => [
    [`babel ${size}`, babel(size)] as const,
    [`every ${size}`, fleet(size, "every")] as const,
    ...size === 1 ? [] : [[`split ${size}`, fleet(size, "split")] as const]
  ])
  const measured = yield* alternate(scale.longRounds, Object.fromEntries(subjects))
  const all: ReadonlyArray<Cold> = Object.values(measured).flat()
  const different = modules.filter((module) => new Set(all.map(({ hashes }) => hashes[module])).size !== 1)
  if (different.length > 0) {
    return yield* new BenchFailed({ detail: `replicas and Babel differ in ${different.slice(0, 5).join(", ")}` })
  }
  const one = (measured["every 1"] ?? []).map(({ millis }) => millis)
  const line = (name: string, size: number, load: "every" | "split"): Line => {
    const fleet = measured[`${load} ${size}`] ?? []
    const bare = measured[`babel ${size}`] ?? []
    const both = (of: (cold: Cold) => number) => `${seconds(median(fleet.map(of)))} / ${seconds(median(bare.map(of)))}`
    const wall = { lockstep: fleet.map(({ millis }) => millis), bare: bare.map(({ millis }) => millis) }
    const executions = Math.max(...fleet.map((each) => each.executions))
    return {
      name,
      lockstep: seconds(median(wall.lockstep)),
      peer: { name: `${size} bare Babel`, figure: seconds(median(wall.bare)) },
      ratio: ratios(wall.bare, wall.lockstep),
      // At most 1.25 times as long; one replica at least 0.8 as fast: the same.
      bar: 0.8,
      counts: { executions, modules: modules.length },
      also: {
        "CPU time": both((cold) => cold.cpuMillis),
        "time against 1 replica": ratios(wall.lockstep, one).median.toFixed(2)
      }
    }
  }
  return sizes.flatMap((size) =>
    size === 1
      ? [line("1 replica", 1, "every")]
      : [
        line(`${size} replicas, each asked for every module`, size, "every"),
        line(`${size} replicas, each module asked of one`, size, "split")
      ]
  )
})

export const cold: Row = {
  name: "cold",
  title: "effect/src, cold: empty database, one transpile thread a replica",
  run
}
