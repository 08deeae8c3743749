import { Effect } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { millis } from "../harness/format.ts"
import { pathOf, startReplica } from "../harness/replica.ts"
import { median } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Row } from "../Row.ts"

/** A small module among the realm's hundreds: what is measured is the way, not Babel. */
const name = "bench-saved.ts"

const deadlineMillis = 10_000

interface Seen {
  readonly generation: number
  readonly etag: string
}

const attempt = <A>(work: () => Promise<A>) =>
  Effect.tryPromise({ try: work, catch: (cause) => new BenchFailed({ detail: String(cause) }) })

const look = async (url: string): Promise<Seen> => {
  const answer = await fetch(url + pathOf(name), { signal: AbortSignal.timeout(deadlineMillis) })
  await answer.arrayBuffer()
  return {
    generation: Number(answer.headers.get("x-lockstep-generation")),
    etag: answer.headers.get("etag") ?? ""
  }
}

/** Asks without a pause until the answer is as it should be; how long that took since `began`. */
const until = async (url: string, began: number, holds: (seen: Seen) => boolean): Promise<number> => {
  for (;;) {
    if (holds(await look(url))) return performance.now() - began
    if (performance.now() - began > deadlineMillis) throw new Error("a save was not noticed in time")
  }
}

/** As editors save: beside the file, then over it. */
const save = async (file: string, version: number) => {
  await fs.writeFile(`${file}.tmp.1`, `export const version: number = ${version}\n`)
  await fs.rename(`${file}.tmp.1`, file)
}

const percentile = (values: ReadonlyArray<number>, part: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.ceil(values.length * part) - 1)] ?? NaN

const run = Effect.gen(function*() {
  const { freshDatabase, freshDirectory, realmsDir, scale } = yield* Workbench
  const fleet = { databaseUrl: yield* freshDatabase, dataDir: yield* freshDirectory }
  const file = path.join(realmsDir, "effect", name)
  yield* attempt(() => save(file, 0))
  yield* Effect.addFinalizer(() => Effect.promise(() => fs.rm(file, { force: true })))
  yield* startReplica(fleet)
  const other = yield* startReplica(fleet)
  const bytes = new Array<number>()
  const generations = new Array<number>()
  yield* attempt(async () => {
    await look(other.url)
    for (let version = 1; version <= scale.rounds * 10; version++) {
      const before = await look(other.url)
      const began = performance.now()
      await save(file, version)
      bytes.push(await until(other.url, began, ({ etag }) => etag !== before.etag))
      generations.push(await until(other.url, began, ({ generation }) => generation > before.generation))
    }
  })
  const line = (what: string, values: ReadonlyArray<number>) => ({
    name: what,
    lockstep: `p99 ${millis(percentile(values, 0.99))}`,
    also: { median: millis(median(values)), p90: millis(percentile(values, 0.9)), saves: String(values.length) }
  })
  return [
    line("new bytes from the other replica", bytes),
    line("the realm's new generation there", generations)
  ]
})

export const watcher: Row = {
  name: "watcher",
  title: "from an editor's save, which two replicas watch, to the other replica's answer",
  run
}
