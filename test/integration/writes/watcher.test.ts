import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { eventually } from "../../support/eventually.ts"
import { Fleet, type SourceRealm } from "../../support/fleet.ts"
import type { Replica } from "../../support/replica.ts"
import { expectStatus, generationOf } from "../main-job/expectations.ts"
import { versioned, versionOf } from "../main-job/sources.ts"

const generation = (replica: Replica, realm: SourceRealm) =>
  Effect.map(replica.ask(realm.path("")), (answer) => generationOf(expectStatus(answer, 200)))

/** Invalidations that the fleet's watchers made. */
const noticed = Effect.gen(function*() {
  const { all } = yield* Fleet
  const counts = yield* Effect.forEach(all, (replica) => replica.status)
  return counts.reduce((sum, status) => sum + (status["editsNoticed"] ?? 0), 0)
})

/** Waits until nothing has moved for longer than any watcher waits; what stands then, read together. */
const settled = Effect.fnUntraced(function*(realm: SourceRealm) {
  const { second } = yield* Fleet
  let last = { at: 0, made: 0 }
  let since = performance.now()
  return yield* eventually(
    "the realm is quiet",
    Effect.all({ at: generation(second, realm), made: noticed }),
    (now) => {
      if (now.at !== last.at || now.made !== last.made) [last, since] = [now, performance.now()]
      // Longer than the watcher waits for a stream of edits to end.
      return performance.now() - since > 3000
    }
  )
})

/** Saves as an editor does: beside the file, then over it. */
const save = (realm: SourceRealm, name: string, text: string) =>
  Effect.promise(async () => {
    const file = Path.join(realm.directory, name)
    await Fs.writeFile(`${file}.tmp.1`, text)
    await Fs.rename(`${file}.tmp.1`, file)
  })

layer(Fleet.layer(), { excludeTestServices: true })(
  "edits on disk, seen by two replicas",
  (it) => {
    it.effect("a save is one invalidation for the fleet, and both replicas serve it", () =>
      Effect.gen(function*() {
        const { all, realm, second } = yield* Fleet
        const source = yield* realm({ "a.ts": versioned(1), "b.ts": versioned(1) })
        const began = yield* settled(source)
        for (let version = 2; version <= 4; version++) {
          yield* save(source, "a.ts", versioned(version))
          yield* eventually("it is noticed", generation(second, source), (now) => now === began.at + version - 1)
          for (const replica of all) {
            assert.strictEqual(versionOf((yield* replica.ask(source.path("a"))).text), version)
          }
        }
        assert.deepStrictEqual(yield* settled(source), { at: began.at + 3, made: began.made + 3 })
      }))

    it.effect("a write over HTTP is seen by every watcher, and is one invalidation", () =>
      Effect.gen(function*() {
        const { first, realm } = yield* Fleet
        const source = yield* realm({ "a.ts": versioned(1) })
        const began = yield* settled(source)
        for (let version = 2; version <= 6; version++) {
          expectStatus(yield* first.ask(source.path("a.ts"), { method: "PUT", body: versioned(version) }), 200)
        }
        expectStatus(yield* first.ask(source.path("b/c.ts"), { method: "PUT", body: versioned(1) }), 201)
        expectStatus(yield* first.ask(source.path("b/c.ts"), { method: "DELETE" }), 200)
        assert.deepStrictEqual(yield* settled(source), { at: began.at + 7, made: began.made })
      }))

    it.effect(
      "a checkout of a thousand files is a few invalidations, and nothing old is left (I6)",
      () =>
        Effect.gen(function*() {
          const { all, realm, second } = yield* Fleet
          const names = Array.from({ length: 1000 }, (_, index) => `d${index % 20}/m${index}.ts`)
          const source = yield* realm({ "README.md": "" })
          const git = (...args: ReadonlyArray<string>) =>
            Effect.sync(() =>
              execFileSync("git", ["-c", "user.name=x", "-c", "user.email=x@x", ...args], {
                cwd: source.directory,
                stdio: "pipe"
              })
            )
          yield* git("init", "-q", "-b", "one")
          yield* source.edit(Object.fromEntries(names.map((name) => [name, versioned(1)])))
          yield* git("add", "-A")
          yield* git("commit", "-qm", "one")
          yield* git("checkout", "-qb", "two")
          yield* source.edit(Object.fromEntries(names.map((name) => [name, versioned(2)])))
          yield* git("commit", "-qam", "two")
          const began = yield* settled(source)
          yield* git("checkout", "-q", "one")
          yield* eventually("it is noticed", generation(second, source), (now) => now > began.at)
          const ended = yield* settled(source)
          // One a pause in the stream of edits, of which a busy machine makes more: nothing like one a file.
          assert.isBelow(ended.at - began.at, 100)
          assert.strictEqual(ended.made - began.made, ended.at - began.at)
          for (const replica of all) {
            for (const name of [names[0], names[499], names[999]]) {
              assert.strictEqual(versionOf((yield* replica.ask(source.path(`${name}?source`))).text), 1, name)
            }
          }
        })
    )

    it.effect("a realm's directory that is removed and copied again at once is watched on", () =>
      Effect.gen(function*() {
        const { realm, realmsDir, second } = yield* Fleet
        const names = Array.from({ length: 300 }, (_, index) => `d${index % 10}/m${index}.ts`)
        const source = yield* realm(Object.fromEntries(names.map((name) => [name, versioned(1)])))
        const copy = Path.join(Path.dirname(realmsDir), "copy")
        yield* Effect.promise(() => Fs.cp(source.directory, copy, { recursive: true }))
        for (let version = 2; version <= 6; version++) {
          yield* Effect.sync(() =>
            execFileSync("sh", ["-c", "rm -rf \"$1\"; cp -r \"$2\" \"$1\"", "sh", source.directory, copy])
          )
          const before = (yield* settled(source)).at
          yield* save(source, "d3/m3.ts", versioned(version))
          yield* eventually("the edit is noticed", generation(second, source), (now) => now > before)
        }
      }))

    it.effect("directories come, are renamed and go", () =>
      Effect.gen(function*() {
        const { realm, second } = yield* Fleet
        const source = yield* realm({ "a.ts": versioned(1) })
        const moved = Effect.fnUntraced(function*(what: string, change: () => Promise<unknown>) {
          const before = yield* generation(second, source)
          yield* Effect.promise(change)
          yield* eventually(what, generation(second, source), (now) => now > before)
        })
        const at = (...names: ReadonlyArray<string>) => Path.join(source.directory, ...names)
        yield* moved("a new directory", async () => {
          await Fs.mkdir(at("x/y"), { recursive: true })
          await Fs.writeFile(at("x/y/b.ts"), versioned(1))
        })
        yield* settled(source)
        yield* moved("a renamed directory", () => Fs.rename(at("x"), at("z")))
        yield* settled(source)
        yield* moved("a file in it", () => Fs.writeFile(at("z/y/b.ts"), versioned(2)))
        yield* moved("its removal", () => Fs.rm(at("z"), { recursive: true }))
        expectStatus(yield* second.ask(source.path("z/y/b")), 404)
      }))
  }
)

layer(Fleet.layer({ replicas: 1 }), { excludeTestServices: true })(
  "edits that nobody watched",
  (it) => {
    it.effect("are found when a replica starts, by comparing", () =>
      Effect.gen(function*() {
        const { first, realm, start } = yield* Fleet
        const source = yield* realm({ "a.ts": versioned(1), "b.ts": versioned(1), "c.ts": versioned(1) })
        const began = yield* generation(first, source)
        yield* first.kill("SIGTERM")
        yield* first.ended()
        yield* source.edit({ "a.ts": versioned(2), "new.ts": versioned(2) })
        yield* Effect.promise(() => Fs.rm(Path.join(source.directory, "b.ts")))
        const next = yield* start()
        // The last that is done about them: readers see the generation before.
        yield* eventually(
          "they are noticed",
          Effect.sync(next.log),
          (log) => /3 file\(s\) of \S+ were edited on disk/.test(log)
        )
        assert.strictEqual(yield* generation(next, source), began + 1)
        assert.strictEqual((yield* next.status)["editsNoticed"], 1)
      }))
  }
)
