import { assert, it, layer } from "@effect/vitest"
import { Effect, Option } from "effect"
import { spawn } from "node:child_process"
import * as Fs from "node:fs/promises"
import { createServer } from "node:net"
import * as Path from "node:path"
import { DataDir, eventually, query, serverPid, startReplica, temporaryDataDir } from "./replicas.ts"

const readServerPid = (dataDir: string) => Effect.promise(() => serverPid(dataDir))

const killServer = Effect.fnUntraced(function*(dataDir: string) {
  const pid = yield* readServerPid(dataDir)
  assert.isDefined(pid)
  process.kill(pid ?? 0, "SIGKILL")
})

const lockFileOf = (dataDir: string) => Path.join(dataDir, "postgres/cluster/postmaster.pid")

/** A new data directory in whose initdb a replica was killed, and what that has left; none where it was done before. */
const cutInTheMiddle = Effect.gen(function*() {
  const dataDir = yield* temporaryDataDir
  const home = Path.join(dataDir, "postgres")
  const cut = yield* startReplica(dataDir)
  const unfinished = yield* eventually(Effect.tryPromise(async () => {
    const names = await Fs.readdir(home)
    const name = names.find((entry) => entry.startsWith("unfinished-")) ?? "none yet"
    if (!names.includes("cluster")) await Fs.access(Path.join(home, name, "cluster/base"))
    return name
  }))
  yield* cut.signalGroup("SIGKILL")
  yield* cut.ended
  const isDone = (yield* Effect.promise(() => Fs.readdir(home))).includes("cluster")
  return isDone ? Option.none() : Option.some({ dataDir, home, unfinished })
})

it.live("a crash in the middle of initdb leaves nothing that the next start trips over", () =>
  Effect.gen(function*() {
    const cut = yield* Effect.repeat(cutInTheMiddle, { until: Option.isSome, times: 4 })
    assert.isTrue(Option.isSome(cut), "no kill fell into initdb")
    const { dataDir, home, unfinished } = Option.getOrThrow(cut)
    const next = yield* startReplica(dataDir)
    assert.deepStrictEqual(yield* query(yield* next.url, "SELECT 1 AS one"), [{ one: 1 }])
    assert.notInclude(yield* Effect.promise(() => Fs.readdir(home)), unfinished)
  }))

layer(DataDir.layer, { excludeTestServices: true })((it) => {
  it.effect("a killed server is started again by a replica that still runs, at the same URL and with its data", () =>
    Effect.gen(function*() {
      const dataDir = yield* DataDir
      const replica = yield* startReplica(dataDir)
      const url = yield* replica.url
      yield* query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
      yield* killServer(dataDir)
      assert.deepStrictEqual(yield* eventually(query(url, "SELECT answer FROM kept")), [{ answer: 42 }])
    }))

  it.effect("after kill -9 of the server and of all replicas the next start has the data", () =>
    Effect.gen(function*() {
      const dataDir = yield* DataDir
      const replica = yield* startReplica(dataDir)
      yield* query(yield* replica.url, "CREATE TABLE survived AS SELECT 42 AS answer")
      yield* replica.signal("SIGKILL")
      yield* replica.ended
      yield* killServer(dataDir)

      const next = yield* startReplica(dataDir)
      assert.deepStrictEqual(yield* query(yield* next.url, "SELECT answer FROM survived"), [{ answer: 42 }])
    }))

  it.effect("a stale postmaster.pid that names somebody else's process is no obstacle and no target", () =>
    Effect.gen(function*() {
      const dataDir = yield* DataDir
      const first = yield* startReplica(dataDir)
      yield* first.url
      const lockFile = yield* Effect.promise(() => Fs.readFile(lockFileOf(dataDir), "utf8"))
      const { uid, gid } = yield* Effect.promise(() => Fs.stat(lockFileOf(dataDir)))
      yield* first.signal("SIGTERM")
      yield* first.ended
      // Under the server's own account: PostgreSQL alone would take it for a running server.
      const bystander = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn("sleep", ["600"], { stdio: "ignore", cwd: "/", ...process.getuid?.() === 0 ? { uid, gid } : {} })
        ),
        (child) => Effect.sync(() => child.kill("SIGKILL"))
      )
      yield* Effect.promise(async () => {
        await Fs.writeFile(lockFileOf(dataDir), lockFile.replace(/^\d+/, String(bystander.pid)), { mode: 0o600 })
        await Fs.chown(lockFileOf(dataDir), uid, gid)
      })

      const next = yield* startReplica(dataDir)
      assert.deepStrictEqual(yield* query(yield* next.url, "SELECT 1 AS one"), [{ one: 1 }])
      assert.notStrictEqual(yield* readServerPid(dataDir), bystander.pid)
      assert.isNull(bystander.exitCode ?? bystander.signalCode)
    }))

  it.effect("a port that somebody took meanwhile is replaced, and the new URL published", () =>
    Effect.gen(function*() {
      const dataDir = yield* DataDir
      const first = yield* startReplica(dataDir)
      const url = yield* first.url
      yield* first.signal("SIGTERM")
      yield* first.ended
      yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof createServer>>((resume) => {
          const squatter = createServer()
          // Somebody else was first, which is as good.
          squatter.once("error", () => resume(Effect.succeed(squatter)))
          squatter.listen(Number(new URL(url).port), "127.0.0.1", () => resume(Effect.succeed(squatter)))
        }),
        (squatter) => Effect.sync(() => squatter.close())
      )

      const next = yield* startReplica(dataDir)
      const moved = yield* next.url
      assert.notStrictEqual(moved, url)
      assert.deepStrictEqual(yield* query(moved, "SELECT 1 AS one"), [{ one: 1 }])
      const published = yield* Effect.promise(() => Fs.readFile(Path.join(dataDir, "postgres.url"), "utf8"))
      assert.strictEqual(published, `${moved}\n`)
    }))
})
