import { Effect, Fiber, Schedule } from "effect"
import { alternate } from "../harness/alternate.ts"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { onDatabase } from "../harness/database.ts"
import { addFiles, smallFleet, smallRealm, startEmbedded } from "../harness/embedded.ts"
import { millis, seconds } from "../harness/format.ts"
import { printHottest, type Stretch } from "../harness/profile.ts"
import { median, p99, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Pinned, Pinning } from "../processes/pinnedTransactions.ts"
import type { Line, Row } from "../Row.ts"

const keys = 500

/** Of an embedding host's pool: the driver's default. */
const poolSize = 10

const textOf = (round: number, key: number) => `export const value: number = ${round * keys + key}\n`

const run = Effect.gen(function*() {
  const { freshDatabase, profileDir, scale } = yield* Workbench
  const children = yield* Children
  const rounds = Array.from(
    { length: scale.longRounds },
    (_, round) =>
      Object.fromEntries(Array.from({ length: keys }, (_, key) => [`cold-${round}-${key}.ts`, textOf(round, key)]))
  )
  const fleet = yield* smallFleet
  yield* addFiles(fleet, Object.assign({}, ...rounds))
  const host = yield* startEmbedded(fleet, "host", undefined, true)
  const { attempt, client: sql } = yield* onDatabase(fleet.databaseUrl)

  // As the server sees them.
  const sessions = attempt(
    "count connections",
    Effect.map(
      sql<{ readonly locks: number; readonly others: number }>`SELECT
        count(*) FILTER (WHERE application_name = 'lockstep locks')::int AS locks,
        count(*) FILTER (WHERE application_name <> 'lockstep locks')::int AS others
        FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`,
      ([row]) => row ?? { locks: 0, others: 0 }
    )
  )
  let ourRound = 0
  const stretches = new Array<Stretch>()
  const lockstep = Effect.gen(function*() {
    const seen = new Array<{ readonly locks: number; readonly others: number }>()
    const watcher = yield* Effect.forkChild(
      sessions.pipe(
        Effect.tap((now) => Effect.sync(() => seen.push(now))),
        Effect.repeat(Schedule.spaced("20 millis"))
      )
    )
    const from = process.hrtime.bigint()
    const { count, millis: [wall = NaN], probes = [] } = yield* host.ask({
      task: "read together",
      realm: smallRealm,
      paths: Object.keys(rounds[ourRound++] ?? {}),
      callers: 1,
      at: 0,
      probe: true
    }, 120_000)
    stretches.push({ name: `${keys} keys at once`, from, to: process.hrtime.bigint() })
    yield* Fiber.interrupt(watcher)
    if (count !== keys) return yield* new BenchFailed({ detail: `${count} transpiles of ${keys} cold modules` })
    return {
      wall,
      probes,
      locks: Math.max(...seen.map(({ locks }) => locks)),
      others: Math.max(...seen.map(({ others }) => others))
    }
  })
  const none = { wall: 0, locks: 0, others: 0 }
  const idle = Effect.map(
    host.ask({ task: "probe", times: 500 }, 60_000),
    ({ probes = [] }) => ({ ...none, probes })
  )
  const pinned = yield* children.helper<Pinning, Pinned>(new URL("../processes/pinnedTransactions.ts", import.meta.url))
  yield* pinned.ask({ task: "open", databaseUrl: yield* freshDatabase, maxConnections: poolSize }, 60_000)
  let theirRound = 0
  const peer = Effect.map(
    Effect.suspend(() => pinned.ask({ task: "make", modules: rounds[theirRound++] ?? {} }, 120_000)),
    ({ millis, probes }) => ({ ...none, wall: millis, probes })
  )

  const measured = yield* alternate(scale.longRounds, { lockstep, idle, peer })
  if (profileDir !== undefined) {
    yield* host.end
    yield* printHottest(profileDir, host.pid, stretches)
  }
  type Round = Effect.Success<typeof lockstep>
  const tail = (of: ReadonlyArray<Round>) => of.map(({ probes }) => p99(probes))
  const wall = (of: ReadonlyArray<Round>) => seconds(median(of.map((round) => round.wall)))
  const locks = Math.max(...measured.lockstep.map((round) => round.locks))
  const ours = `p99 ${millis(median(tail(measured.lockstep)))}`
  const line = (name: string, peerName: string, theirs: ReadonlyArray<Round>, bar: number): Line => ({
    name,
    lockstep: ours,
    peer: { name: peerName, figure: `p99 ${millis(median(tail(theirs)))}` },
    ratio: ratios(tail(theirs), tail(measured.lockstep)),
    bar,
    counts: { "lock connections": locks },
    also: {
      p50: `${millis(median(measured.lockstep.map(({ probes }) => median(probes))))} / ${
        millis(median(theirs.map(({ probes }) => median(probes))))
      }`,
      "other connections": String(Math.max(...measured.lockstep.map(({ others }) => others)))
    }
  })
  const beside = line(
    "a query meanwhile, beside a pinned transaction for each key",
    `pinned, pool of ${poolSize}`,
    measured.peer,
    10
  )
  return [
    line("a query of the host meanwhile, against the idle host", "idle", measured.idle, 1 / 3),
    { ...beside, also: { ...beside.also, "all keys made": `${wall(measured.lockstep)} / ${wall(measured.peer)}` } }
  ]
})

export const connections: Row = {
  name: "connections",
  title: `${keys} distinct cold keys at once in one process: lock connections, and an unrelated query through its pool`,
  run
}
