import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { Fleet, type SourceRealm, temporaryDirectory } from "../../support/fleet.ts"
import { lockstep, type Replica } from "../../support/replica.ts"
import { expectProblem, expectStatus } from "./expectations.ts"
import { versioned, versionOf } from "./sources.ts"

const isRoot = process.getuid?.() === 0
const nobody = { uid: 65534, gid: 65534 }

const succeeds = (command: string, ...args: ReadonlyArray<string>) => {
  try {
    execFileSync(command, args, { stdio: "ignore", ...command === "test" ? nobody : {} })
    return true
  } catch {
    return false
  }
}

/** Whether root may mount here (a container may forbid it), and whether another account can read the project. */
const canMount = isRoot && succeeds("unshare", "--mount", "true")
const canBeUnreadable = !isRoot || succeeds("test", "-r", lockstep)

/** A file system with room for two megabytes. */
const smallFileSystem = Effect.gen(function*() {
  const directory = yield* temporaryDirectory("lockstep-small-")
  yield* Effect.acquireRelease(
    Effect.sync(() => execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs", directory])),
    () => Effect.sync(() => execFileSync("umount", ["--lazy", directory]))
  )
  return directory
})

/** Publishes, breaks the source, publishes in vain, mends it, publishes. What is served is right after each. */
const survives = <E, R>(
  replica: Replica,
  source: SourceRealm,
  breakIt: Effect.Effect<void, E, R>,
  mendIt: Effect.Effect<void, E, R>,
  reason: RegExp
) =>
  Effect.gen(function*() {
    const { publish, sql, unused } = yield* Fleet
    const target = unused()
    const served = Effect.map(replica.ask(target.path("person.ts")), (answer) =>
      [answer.status, versionOf(answer.text), answer.headers["x-lockstep-generation"]] as const)
    const generation = String(expectStatus(yield* publish(source, target, replica), 202).json["generation"])
    assert.deepStrictEqual(yield* served, [200, 1, generation])
    const realms = yield* sql("SELECT * FROM realm_registry ORDER BY realm_url")
    const names = yield* Effect.promise(() =>
      Fs.readdir(source.directory, { recursive: true })
    )

    yield* source.edit({ "person.ts": versioned(2) })
    yield* breakIt
    for (let attempt = 1; attempt <= 2; attempt++) {
      const failed = expectProblem(yield* publish(source, target, replica), 503)
      assert.match(String(failed["detail"]), reason)
      assert.deepStrictEqual(yield* served, [200, 1, generation])
    }
    assert.deepStrictEqual(yield* sql("SELECT * FROM realm_registry ORDER BY realm_url"), realms)

    yield* mendIt
    assert.deepStrictEqual(yield* Effect.promise(() => Fs.readdir(source.directory, { recursive: true })), names)
    const next = String(expectStatus(yield* publish(source, target, replica), 202).json["generation"])
    assert.deepStrictEqual(yield* served, [200, 2, next])
  })

const filesBelow = (directory: string) =>
  Effect.promise(async () => {
    const entries = await Fs.readdir(directory, { recursive: true, withFileTypes: true })
    return entries.filter((entry) => entry.isFile()).length
  })

layer(Fleet.layer({ replicas: 1 }), { excludeTestServices: true })(
  "a copy that fails",
  (it) => {
    it.effect("a copy whose path is too long leaves the old version served, says why, and leaves nothing behind", () =>
      Effect.gen(function*() {
        const { dataDir, realm, start } = yield* Fleet
        // Paths of nearly the longest kind: what fits below the realm does not fit below this data directory.
        const deepData = Path.join(dataDir, ...Array.from({ length: 8 }, () => "d".repeat(200)))
        yield* Effect.promise(() => Fs.mkdir(deepData, { recursive: true }))
        const replica = yield* start({ dataDir: deepData })
        const source = yield* realm({ "person.ts": versioned(1) })
        const levels = Array.from({ length: 13 }, () => "n".repeat(200))
        yield* survives(
          replica,
          source,
          source.edit({ [Path.join(...levels, "deep.txt")]: "deep" }),
          Effect.promise(() => Fs.rm(Path.join(source.directory, levels[0] ?? ""), { recursive: true })),
          /ENAMETOOLONG/
        )
        // Two versions of one file each; nothing of the two failures.
        assert.strictEqual(yield* filesBelow(deepData), 2)
      }))

    it.effect.runIf(canBeUnreadable)(
      "a file that cannot be read leaves the old version served, and is named",
      () =>
        Effect.gen(function*() {
          const { dataDir, realm, start } = yield* Fleet
          const ownData = Path.join(dataDir, "own")
          yield* Effect.promise(() => Fs.mkdir(ownData))
          if (isRoot) yield* Effect.promise(() => Fs.chown(ownData, nobody.uid, nobody.gid))
          const replica = yield* start({ dataDir: ownData, ...isRoot ? { account: nobody } : {} })
          const source = yield* realm({ "person.ts": versioned(1), "secret.ts": "export const secret = 1\n" })
          const secret = Path.join(source.directory, "secret.ts")
          yield* Effect.promise(() => Fs.chmod(source.directory, 0o755))
          yield* Effect.promise(() => Fs.chmod(Path.join(source.directory, "person.ts"), 0o644))
          yield* Effect.promise(() => Fs.chmod(secret, 0o644))
          yield* survives(
            replica,
            source,
            Effect.promise(() => Fs.chmod(secret, 0o000)),
            Effect.promise(() => Fs.chmod(secret, 0o644)),
            /secret\.ts.*EACCES/s
          )
          assert.strictEqual(yield* filesBelow(ownData), 4)
        })
    )

    it.effect.runIf(canMount)(
      "a full target leaves the old version served, says so, and keeps nothing of the copy",
      () =>
        Effect.gen(function*() {
          const { realm, start } = yield* Fleet
          const small = yield* smallFileSystem
          const replica = yield* start({ dataDir: small })
          const source = yield* realm({ "person.ts": versioned(1) })
          yield* survives(
            replica,
            source,
            source.edit({ "huge.bin": new Uint8Array(4 * 1024 * 1024) }),
            Effect.promise(() => Fs.rm(Path.join(source.directory, "huge.bin"))),
            /ENOSPC/
          )
          assert.strictEqual(yield* filesBelow(small), 2)
        })
    )
  }
)
