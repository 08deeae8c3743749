import { Effect } from "effect"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { perSecond, seconds } from "../harness/format.ts"
import { sourceRealm, startReplica } from "../harness/replica.ts"
import { median } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Fetched, Fetching } from "../processes/fetchAll.ts"
import type { Line, Row } from "../Row.ts"

const connections = 64

/** One life of a fleet: nothing is known, then the shared table knows, then this replica's memory. */
const life = Effect.scoped(Effect.gen(function*() {
  const { freshDatabase, freshDirectory, modules } = yield* Workbench
  const children = yield* Children
  const options = { databaseUrl: yield* freshDatabase, dataDir: yield* freshDirectory }
  const paths = modules.map((module) => `${new URL(sourceRealm).pathname}_definitions?module=${module}`)
  const client = yield* children.helper<Fetching, Fetched>(new URL("../processes/fetchAll.ts", import.meta.url))

  /** Asks the replica for every module's definitions; `computed` of them must have to be made. */
  const ask = Effect.fnUntraced(function*(replica: Effect.Success<ReturnType<typeof startReplica>>, computed: number) {
    const before = yield* replica.counts
    const { hashes, millis } = yield* client.ask({
      servers: [{ port: Number(new URL(replica.url).port), paths }],
      connections
    }, 300_000)
    const made = (yield* replica.counts).definitionsComputed - before.definitionsComputed
    if (made !== computed) {
      return yield* new BenchFailed({ detail: `${made} modules were analysed, and not ${computed}` })
    }
    return { millis, hashes: hashes[0] ?? {} }
  })

  const cold = yield* Effect.scoped(Effect.flatMap(startReplica(options), (replica) => ask(replica, modules.length)))
  const replica = yield* startReplica(options)
  const shared = yield* ask(replica, 0)
  const memory = yield* ask(replica, 0)
  // What was made here has its keys in another order: jsonb keeps none.
  if (modules.some((_, index) => shared.hashes[paths[index] ?? ""] !== memory.hashes[paths[index] ?? ""])) {
    return yield* new BenchFailed({ detail: "the caches answer other definitions" })
  }
  return { cold: cold.millis, shared: shared.millis, memory: memory.millis }
}))

const run = Effect.gen(function*() {
  const { modules, scale } = yield* Workbench
  const lives = yield* Effect.replicateEffect(life, scale.longRounds)
  const line = (name: string, of: keyof Effect.Success<typeof life>): Line => {
    const millis = median(lives.map((each) => each[of]))
    return {
      name: `${name}, ${modules.length} modules`,
      lockstep: perSecond(modules.length / millis * 1000),
      also: { "all of them": seconds(millis) }
    }
  }
  return [
    line("cold: one replica, empty database", "cold"),
    line("from the shared table: a replica that has just started", "shared"),
    line("from memory: the same replica, asked again", "memory")
  ]
})

export const definitions: Row = {
  name: "definitions",
  title: "Definitions of effect/src over HTTP, every module once, with what it re-exports and inherits",
  run
}
