import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { canEnter } from "../../../src/postgres/ServerAccount.ts"
import { query, serverHasStopped, serverPid, startReplica, temporaryDataDir } from "./replicas.ts"

const isRoot = process.getuid?.() === 0
// An ordinary account that every system names.
const daemon = { uid: 1, gid: 1 }
// Such an account cannot run a checkout below /root.
const sharedCheckout = isRoot && await Effect.runPromise(canEnter(daemon, import.meta.dirname))

const uidOfServer = (dataDir: string) =>
  Effect.promise(async () => (await Fs.stat(`/proc/${await serverPid(dataDir)}`)).uid)

it.live.skipIf(!sharedCheckout)(
  "an ordinary user's server runs under the user's own account, whoever starts it",
  () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDataDir
      yield* Effect.promise(() => Fs.chown(dataDir, daemon.uid, daemon.gid))
      const byUser = yield* startReplica(dataDir, daemon)
      const url = yield* byUser.url
      yield* query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
      assert.strictEqual(yield* uidOfServer(dataDir), daemon.uid)
      yield* byUser.signal("SIGTERM")
      yield* byUser.ended

      const byRoot = yield* startReplica(dataDir)
      assert.strictEqual(yield* byRoot.url, url)
      assert.strictEqual(yield* uidOfServer(dataDir), daemon.uid)
      const again = yield* startReplica(dataDir, daemon)
      assert.strictEqual(yield* again.url, url)
      yield* byRoot.signal("SIGTERM")
      yield* byRoot.ended
      assert.deepStrictEqual(yield* query(url, "SELECT answer FROM kept"), [{ answer: 42 }])
      yield* again.signal("SIGTERM")
      yield* again.ended
      yield* serverHasStopped(url, dataDir)
    })
)

it.live.skipIf(!sharedCheckout)(
  "what root begins in an ordinary user's data directory the user can go on with",
  () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDataDir
      yield* Effect.promise(() => Fs.chown(dataDir, daemon.uid, daemon.gid))
      const byRoot = yield* startReplica(dataDir)
      const url = yield* byRoot.url
      yield* byRoot.signal("SIGTERM")
      yield* byRoot.ended
      const byUser = yield* startReplica(dataDir, daemon)
      assert.strictEqual(yield* byUser.url, url)
    })
)

it.live.skipIf(!sharedCheckout)(
  "an account without a name, which initdb refuses, is told so",
  () =>
    Effect.gen(function*() {
      const nameless = { uid: 54321, gid: 54321 }
      const dataDir = yield* temporaryDataDir
      yield* Effect.promise(() => Fs.chown(dataDir, nameless.uid, nameless.gid))
      const replica = yield* startReplica(dataDir, nameless)
      assert.include(yield* Effect.flip(replica.url), "set DATABASE_URL")
    })
)

it.live.skipIf(!isRoot)(
  "root's server runs as nobody, also for a data directory that nobody can enter",
  () =>
    Effect.gen(function*() {
      const dataDir = yield* temporaryDataDir
      yield* Effect.promise(() => Fs.chmod(dataDir, 0o700))
      const replica = yield* startReplica(dataDir)
      const url = yield* replica.url
      yield* query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
      assert.notStrictEqual(yield* uidOfServer(dataDir), 0)
      const home = yield* Effect.promise(() => Fs.realpath(Path.join(dataDir, "postgres")))
      assert.strictEqual(Path.dirname(home), "/var/lib/lockstep")

      yield* replica.signal("SIGTERM")
      yield* replica.ended
      const again = yield* startReplica(dataDir)
      assert.deepStrictEqual(yield* query(yield* again.url, "SELECT answer FROM kept"), [{ answer: 42 }])
    })
)

it.live("a link planted in place of the server's folder is refused", () =>
  Effect.gen(function*() {
    const elsewhere = yield* temporaryDataDir
    const dataDir = yield* temporaryDataDir
    yield* Effect.promise(() => Fs.symlink(elsewhere, Path.join(dataDir, "postgres")))
    const replica = yield* startReplica(dataDir)
    assert.include(yield* Effect.flip(replica.url), "not a folder of root's")
    assert.deepStrictEqual(yield* Effect.promise(() => Fs.readdir(elsewhere)), [])
  }))
