import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { temporaryDirectory } from "../../support/fleet.ts"
import { versioned, versionOf } from "../main-job/sources.ts"
import { everything, patience } from "./effort.ts"
import { publishVia, Stage } from "./Stage.ts"
import { trial } from "./trial.ts"

const succeeds = (command: string, ...args: ReadonlyArray<string>) => {
  try {
    execFileSync(command, args, { stdio: "ignore" })
    return true
  } catch {
    return false
  }
}

const canMount = process.getuid?.() === 0 && succeeds("unshare", "--mount", "true")
const canLimit = succeeds("prlimit", "--version")
if (everything && !canMount) console.log("full disk: skipped, since this account may not mount a small file system")
if (everything && !canLimit) console.log("file size limit: skipped, since there is no prlimit here")

/** A file system with room for eight megabytes, where versions are published. */
const smallFileSystem = Effect.gen(function*() {
  const directory = yield* temporaryDirectory("lockstep-small-")
  yield* Effect.acquireRelease(
    Effect.sync(() => execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", directory])),
    () => Effect.sync(() => execFileSync("umount", ["--lazy", directory]))
  )
  return directory
})

/** What is on the disk that no row knows of, and what was announced and never taken back. */
const leftOver = Effect.gen(function*() {
  const { dataDir, postgres } = yield* Stage
  const known = yield* postgres.sql("SELECT directory FROM realm_versions")
  const announced = yield* postgres.sql("SELECT directory FROM version_copies")
  const kept = new Set(known.map((row) => row["directory"]))
  const present = yield* Effect.promise(() => Fs.readdir(Path.join(dataDir, "versions")))
  return { files: present.filter((name) => !kept.has(name)), announced: announced.length }
})

/** A publish that cannot be copied: it says why, and what was published before is still there. */
const failsToPublish = Effect.fnUntraced(function*(
  name: string,
  reason: RegExp,
  full: <A, E, R>(meanwhile: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
) {
  const stage = yield* Stage
  const { members: [, victim] } = stage
  const source = yield* stage.realm(name, { "person.ts": versioned(1), "large.txt": "x".repeat(1024 * 1024) })
  const published = stage.place(`${name}-published`)
  assert.strictEqual((yield* publishVia(victim, source, published)).status, 202)
  let version = 1
  const expectShown = Effect.fnUntraced(function*(expected: number) {
    for (const member of stage.members) {
      const answer = yield* member.ask(published.path("person.ts"))
      assert.strictEqual(versionOf(answer.text), expected, answer.shown)
    }
  })
  const fault = Effect.gen(function*() {
    yield* Effect.promise(() => Fs.writeFile(Path.join(source.directory, "person.ts"), versioned(version + 1)))
    yield* full(Effect.gen(function*() {
      const failed = yield* publishVia(victim, source, published)
      assert.strictEqual(failed.status, 503, failed.shown)
      assert.match(String(failed.json["detail"]), reason)
      yield* expectShown(version)
    }))
    const again = yield* publishVia(victim, source, published)
    assert.strictEqual(again.status, 202, again.shown)
    version += 1
    yield* expectShown(version)
  })
  return { fault }
})

const small = Layer.unwrap(Effect.map(smallFileSystem, (dataDir) => Stage.layer({ dataDir })))

layer(canMount ? small : Stage.layer(), { excludeTestServices: true })("a full disk", (it) => {
  it.effect.runIf(everything && canMount)(
    "under the published versions: publishes fail and say why, reads go on",
    () =>
      Effect.gen(function*() {
        const { dataDir } = yield* Stage
        const ballast = Path.join(dataDir, "ballast")
        const { fault } = yield* failsToPublish("full", /ENOSPC/, (meanwhile) =>
          Effect.acquireUseRelease(
            Effect.sync(() => void succeeds("dd", "if=/dev/zero", `of=${ballast}`, "bs=64k")),
            () => meanwhile,
            () => Effect.promise(() => Fs.rm(ballast))
          ))
        const figures = yield* trial("a full disk under the published versions", fault)
        assert.deepStrictEqual(Object.keys(figures.lostAwake).filter((outcome) => outcome !== "slow"), [])
        assert.deepStrictEqual(yield* leftOver, { files: [], announced: 0 })
      }),
    patience
  )

  it.effect.runIf(everything && canLimit)(
    "for one replica, by a limit on what it may write",
    () =>
      Effect.gen(function*() {
        const { members: [, victim] } = yield* Stage
        const limit = (bytes: string) =>
          Effect.sync(() => execFileSync("prlimit", [`--pid=${victim.process().pid}`, `--fsize=${bytes}`]))
        const { fault } = yield* failsToPublish("limited", /EFBIG|too large/i, (meanwhile) =>
          Effect.acquireUseRelease(limit("65536:"), () =>
            meanwhile, () => limit("unlimited:")))
        yield* trial("one replica may write 64 KB a file", fault)
        assert.deepStrictEqual(yield* leftOver, { files: [], announced: 0 })
      }),
    patience
  )
})
