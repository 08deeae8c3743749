import { Effect } from "effect"
import { readFileSync } from "node:fs"
import * as path from "node:path"
import { alternate } from "../harness/alternate.ts"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { addFiles, smallFleet, smallRealm, startEmbedded } from "../harness/embedded.ts"
import { seconds } from "../harness/format.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Called, Calling } from "../processes/sharedTier.ts"
import type { Line, Row } from "../Row.ts"

const processes = 4
const callers = 1000

/** Far enough ahead that every process has heard of it. */
const aheadMillis = 250

/** One of effect's largest modules; a comment makes each round's another one. */
const moduleOf = (original: string, round: number) => `// round ${round}\n${original}`

const run = Effect.gen(function*() {
  const { freshDatabase, realmsDir, scale } = yield* Workbench
  const children = yield* Children
  const original = readFileSync(path.join(realmsDir, "effect", "SchemaRepresentation.ts"), "utf8")
  const rounds = Array.from({ length: scale.slowRounds }, (_, round) => round)
  const fleet = yield* smallFleet
  yield* addFiles(fleet, Object.fromEntries(rounds.map((round) => [`cold-${round}.ts`, moduleOf(original, round)])))
  const hosts = yield* Effect.forEach(
    Array.from({ length: processes }, (_, index) => `replica ${index}`),
    (name) => startEmbedded(fleet, name)
  )
  const total = (executions: ReadonlyArray<number>, millis: ReadonlyArray<number>) => ({
    executions: executions.reduce((sum, count) => sum + count, 0),
    millis: Math.max(...millis)
  })
  let ourRound = 0
  const lockstep = Effect.suspend(() => {
    const paths = [`cold-${ourRound++}.ts`]
    const at = Date.now() + aheadMillis
    return Effect.forEach(hosts, (host) =>
      host.ask({
        task: "read together",
        realm: smallRealm,
        paths,
        callers: callers / processes,
        at,
        probe: false
      }, 60_000), { concurrency: "unbounded" })
  }).pipe(Effect.map((answers) => total(answers.map(({ count }) => count), answers.flatMap(({ millis }) => millis))))

  const peer = Effect.fnUntraced(function*(library: "bentocache" | "cacheable") {
    const databaseUrl = yield* freshDatabase
    const helpers = yield* Effect.replicateEffect(
      children.helper<Calling, Called>(new URL("../processes/sharedTier.ts", import.meta.url)),
      processes
    )
    yield* Effect.forEach(helpers, (helper) => helper.ask({ task: "open", library, databaseUrl }, 60_000))
    let round = 0
    const together = Effect.suspend(() => {
      const calling: Calling = {
        task: "read together",
        key: `cold-${round}`,
        source: moduleOf(original, round++),
        callers: callers / processes,
        at: Date.now() + aheadMillis
      }
      return Effect.forEach(helpers, (helper) => helper.ask(calling, 60_000), { concurrency: "unbounded" })
    })
    return {
      read: Effect.map(
        together,
        (called) => total(called.map(({ executions }) => executions), called.map(({ millis }) => millis))
      )
    }
  })
  const { read: bentocache } = yield* peer("bentocache")
  const { read: cacheable } = yield* peer("cacheable")
  const measured = yield* alternate(scale.slowRounds, {
    lockstep,
    bentocache,
    cacheable
  })
  const { lockstep: ours, ...peers } = measured
  const most = Math.max(...ours.map(({ executions }) => executions))
  if (ours.some(({ executions }) => executions === 0)) {
    return yield* new BenchFailed({ detail: "a key was not cold" })
  }
  return Object.entries(peers).map(([name, theirs]): Line => ({
    name: `beside ${name}`,
    lockstep: `${most} execution${most === 1 ? "" : "s"}`,
    peer: { name, figure: `${median(theirs.map(({ executions }) => executions))} executions` },
    counts: { executions: most },
    also: {
      "until the last caller has it": `${seconds(median(ours.map(({ millis }) => millis)))} / ${
        seconds(median(theirs.map(({ millis }) => millis)))
      }`,
      "speed against the peer's": ratios(
        theirs.map(({ millis }) => millis),
        ours.map(({ millis }) => millis)
      ).median.toFixed(2)
    }
  }))
})

export const coalescing: Row = {
  name: "coalescing",
  title: `${
    callers.toLocaleString("en-US")
  } callers of one cold key, over ${processes} processes; most executions of any round`,
  run
}
