import { Effect } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { copyTree } from "../../src/realms/copyTree.ts"
import { alternate } from "../harness/alternate.ts"
import { BenchFailed } from "../harness/BenchFailed.ts"
import { Children } from "../harness/Children.ts"
import { millis, seconds } from "../harness/format.ts"
import { printHottest, type Stretch } from "../harness/profile.ts"
import { startReplica } from "../harness/replica.ts"
import { publish } from "../harness/request.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Fetched, Fetching } from "../processes/fetchAll.ts"
import type { Line, Row } from "../Row.ts"

const modules = 2000
const source = "http://localhost:4201/large/"
const published = "http://localhost:4201/large-published/"

/** As small modules are: 1 KB each, in directories of a hundred, each importing the one before. */
const nameOf = (number: number) => `part-${Math.floor(number / 100)}/module-${number}.ts`
const textOf = (number: number) =>
  `// ${"-".repeat(900)}
${number % 100 === 0 ? "" : `import { value as before } from "./module-${number - 1}.ts"`}
export const value: number = ${number % 100 === 0 ? number : "before + 1"}
`

const attempt = <A>(work: () => Promise<A>) =>
  Effect.tryPromise({ try: work, catch: (cause) => new BenchFailed({ detail: String(cause) }) })

const run = Effect.gen(function*() {
  const { freshDatabase, freshDirectory, profileDir, scale } = yield* Workbench
  const children = yield* Children
  const realmsDir = yield* freshDirectory
  const dataDir = yield* freshDirectory
  const directory = path.join(realmsDir, "large")
  yield* attempt(async () => {
    for (let number = 0; number < modules; number++) {
      const file = path.join(directory, nameOf(number))
      if (number % 100 === 0) await fs.mkdir(path.dirname(file), { recursive: true })
      await fs.writeFile(file, textOf(number))
    }
  })
  const replica = yield* startReplica({ databaseUrl: yield* freshDatabase, dataDir, realmsDir, profiled: true })
  const client = yield* children.helper<Fetching, Fetched>(new URL("../processes/fetchAll.ts", import.meta.url))
  const paths = Array.from({ length: modules }, (_, number) => new URL(published).pathname + nameOf(number))
  const readAll = Effect.map(
    client.ask({ servers: [{ port: replica.port, paths }], connections: 64 }, 300_000),
    ({ millis }) => millis
  )
  const timed = <A, E, R>(work: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      const from = performance.now()
      return Effect.map(work, () => performance.now() - from)
    })

  yield* publish(replica.url, source, published)
  yield* readAll
  let transpiles = 0
  const reads = new Array<number>()
  const stretches = new Array<Stretch>()
  const ours = Effect.gen(function*() {
    const before = yield* replica.counts
    const from = process.hrtime.bigint()
    const wall = yield* timed(publish(replica.url, source, published))
    stretches.push({ name: "a publish of unchanged modules", from, to: process.hrtime.bigint() })
    reads.push(yield* readAll)
    const after = yield* replica.counts
    transpiles += after.transpiles - before.transpiles
    return wall
  })
  // Beside the versions, so on the same disk.
  let copies = 0
  const copyTo = <E>(copy: (to: string) => Effect.Effect<unknown, E>) =>
    Effect.suspend(() => {
      const to = path.join(dataDir, `copy-${copies++}`)
      return Effect.ensuring(timed(copy(to)), Effect.promise(() => fs.rm(to, { recursive: true, force: true })))
    })
  const plain = copyTo((to) => attempt(() => fs.cp(directory, to, { recursive: true })))
  const synced = copyTo((to) =>
    Effect.andThen(
      attempt(() => fs.mkdir(to)),
      Effect.mapError(copyTree(directory, to), (error) => new BenchFailed({ detail: error.message }))
    )
  )
  yield* plain
  const measured = yield* alternate(scale.slowRounds, { ours, plain, synced })
  if (profileDir !== undefined) {
    yield* replica.stop
    yield* printHottest(profileDir, replica.pid, stretches)
  }
  const line = (name: string, peer: string, theirs: ReadonlyArray<number>): Line => ({
    name,
    lockstep: millis(median(measured.ours)),
    peer: { name: peer, figure: millis(median(theirs)) },
    ratio: ratios(theirs, measured.ours),
    counts: { transpiles },
    also: { "all read again": seconds(median(reads)) }
  })
  return [
    // At most three times as long.
    { ...line("publish, beside a plain recursive copy", "fs.cp, not synced", measured.plain), bar: 1 / 3 },
    line("publish, beside its copy alone, every file synced", "copy and fsync", measured.synced)
  ]
})

export const republish: Row = {
  name: "republish",
  title: `A publish of ${
    modules.toLocaleString("en-US")
  } modules that were served and have not changed; then all are read again`,
  run
}
