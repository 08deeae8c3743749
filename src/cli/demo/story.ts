import { Effect, FileSystem, Path, Schema } from "effect"
import { Published, Status } from "../../api/Api.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { table } from "../table.ts"
import { demoConfig } from "./demoConfig.ts"
import { clock, greeting } from "./module.ts"
import { makeNarration } from "./narration.ts"
import { startReaders } from "./Readers.ts"
import { type ReplicaProcess, startReplica } from "./ReplicaProcess.ts"
import { get, post, put } from "./requests.ts"

const publicUrl = "http://lockstep.demo/"
const draft = `${publicUrl}draft/`
const live = `${publicUrl}live/`

const coldReaders = 100
const readersEach = 8
const republishes = 5

/** The demonstration from beginning to end. It fails if a reader saw old bytes, or anything but bytes. */
export const story = Effect.gen(function*() {
  const { bold, dim, green, red, say, step, title, verdict } = yield* makeNarration
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "lockstep-demo-" })
  const at = (...names: ReadonlyArray<string>) => path.join(directory, ...names)

  yield* title("Two replicas, one PostgreSQL, and not one stale byte")

  const replicas = yield* step(
    "Start two replicas on an embedded PostgreSQL",
    Effect.gen(function*() {
      yield* fs.makeDirectory(at("realms"))
      const config = yield* demoConfig(directory)
      const args = [at("realms"), "--data-dir", at("data"), "--public-url", publicUrl, "--config", config]
      const [a, b] = yield* Effect.all([startReplica("replica-a", args), startReplica("replica-b", args)], {
        concurrency: 2
      })
      yield* say(table(
        ["REPLICA", "ADDRESS", "PROCESS"],
        [a, b].map((replica) => [replica.id, replica.url, String(replica.pid)])
      ))
      return [a, b] as const
    })
  )
  const [a, b] = replicas

  yield* step(
    "Create a realm on one replica and publish it",
    Effect.gen(function*() {
      yield* fs.makeDirectory(at("author"))
      yield* fs.writeFileString(at("author", "greeting.tsx"), greeting(1))
      yield* fs.writeFileString(at("author", "clock.ts"), clock)
      yield* post(`${a.url}/_create-realm`, { name: "draft", from: at("author") })
      yield* say(`created   ${draft}  with greeting.tsx and clock.ts`)
      const { generation, millis } = yield* publish(a)
      yield* say(`published ${live}   as generation ${generation}, in ${millis.toFixed(0)} ms`)
    })
  )

  yield* step(
    "Ask both replicas: one transpiles, the other takes it from PostgreSQL, then both from memory",
    Effect.gen(function*() {
      const asked = yield* Effect.forEach(
        [a, b, a, b],
        (replica) => get(`${replica.url}/live/greeting.tsx`)
      )
      yield* say(table(
        ["GREETING.TSX FROM", "X-LOCKSTEP-CACHE", "TOOK"],
        asked.map(({ cache, millis, replica }) => [replica, cache, `${millis.toFixed(1)} ms`])
      ))
    })
  )

  yield* step(
    `Ask for a module nobody has seen, ${coldReaders} times at once, half from each replica`,
    Effect.gen(function*() {
      const before = yield* transpiles(replicas)
      const answers = yield* Effect.forEach(
        Array.from({ length: coldReaders }, (_, index) => index % 2 === 0 ? a : b),
        (replica) => get(`${replica.url}/live/clock.ts`),
        { concurrency: "unbounded" }
      )
      const ran = (yield* transpiles(replicas)) - before
      const kinds = Map.groupBy(answers, ({ cache, replica }) => `${replica} ${cache}`)
      const rows = Array.from(kinds.keys()).sort().map((kind) => [...kind.split(" "), String(kinds.get(kind)?.length)])
      yield* say(table(["CLOCK.TS FROM", "X-LOCKSTEP-CACHE", "ANSWERS"], rows))
      const bodies = new Set(answers.map(({ body }) => body)).size
      yield* say(
        `${bold(`${ran} ${ran === 1 ? "transpile" : "transpiles"}`)} for ${answers.length} answers, ` +
          `${bodies === 1 ? "all with the same bytes" : red(`${bodies} different bodies`)}`
      )
    })
  )

  const tally = yield* step(
    `Edit and republish ${republishes} times while ${readersEach * 2} readers hammer both replicas`,
    Effect.scoped(Effect.gen(function*() {
      const urls = replicas.map((replica) => `${replica.url}/live/greeting.tsx`)
      const readers = yield* startReaders(urls, readersEach, 1)
      const rows: Array<ReadonlyArray<string>> = []
      for (let version = 2; version <= republishes + 1; version++) {
        yield* Effect.sleep("300 millis")
        // Write on one replica, publish on the other, the other way round the next time.
        const [writer, publisher] = version % 2 === 0 ? [b, a] : [a, b]
        yield* put(`${writer.url}/draft/greeting.tsx`, greeting(version))
        const answersBefore = readers.tally.answers
        const { generation, millis } = yield* publish(publisher)
        readers.promise(version)
        rows.push([
          `version ${version}`,
          writer.id,
          publisher.id,
          `generation ${generation}`,
          `${millis.toFixed(0)} ms`,
          String(readers.tally.answers - answersBefore)
        ])
      }
      yield* Effect.sleep("500 millis")
      yield* say(table(["EDIT", "WRITTEN ON", "PUBLISHED ON", "AS", "TOOK", "ANSWERS MEANWHILE"], rows))
      return readers.tally
    }))
  )
  yield* say(Array.from(tally.byReplica, ([replica, count]) => `${count} answers from ${replica}`).sort().join(", "))
  if (tally.during > 0) {
    yield* say(dim(`${tally.during} of them, asked before a publish returned, had either version; both are right`))
  }

  yield* step(
    "Stop both; the last one out stops PostgreSQL",
    Effect.forEach(
      replicas,
      (replica) => Effect.flatMap(replica.stop, (code) => say(`${replica.id} ended with exit code ${code}`))
    )
  )

  if (tally.stale > 0 || tally.failed > 0) {
    yield* verdict(red(
      `${tally.stale} stale and ${tally.failed} failed answers among ${tally.answers}`
    ))
    return yield* new CommandFailed({ message: "a replica served old bytes, or none: this is a bug in Lockstep" })
  }
  yield* verdict(green(
    `${tally.answers} answers, ${republishes} publishes: ` +
      `0 answers from before a publish to anyone who asked after it returned`
  ))
})

const decodePublished = Schema.decodeEffect(Schema.fromJsonString(Published))
const decodeStatus = Schema.decodeEffect(Schema.fromJsonString(Status))

const unexpected = () => new CommandFailed({ message: "a replica answered in a shape that is not its own" })

const publish = Effect.fnUntraced(function*(replica: ReplicaProcess) {
  const { body, millis } = yield* post(`${replica.url}/_publish-realm`, {
    sourceRealmURL: draft,
    publishedRealmURL: live
  })
  const { generation } = yield* Effect.mapError(decodePublished(body), unexpected)
  return { generation, millis }
})

/** How many transpiles the replicas have started so far. */
const transpiles = Effect.fnUntraced(function*(replicas: ReadonlyArray<ReplicaProcess>) {
  const counts = yield* Effect.forEach(
    replicas,
    (replica) =>
      Effect.flatMap(get(`${replica.url}/_status`), ({ body }) => Effect.mapError(decodeStatus(body), unexpected))
  )
  return counts.reduce((sum, status) => sum + status.transpiles, 0)
})
