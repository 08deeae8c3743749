import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { eventually } from "../../support/eventually.ts"
import { Fleet, type Place, post, type SourceRealm } from "../../support/fleet.ts"
import type { Replica } from "../../support/replica.ts"
import { expectStatus, generationOf } from "../main-job/expectations.ts"
import { versioned, versionOf } from "../main-job/sources.ts"

const names = Array.from({ length: 120 }, (_, index) => `f${index}.ts`)

/** A batch that updates every file, removes one and adds one. */
const batchOf = (version: number) => ({
  operations: [
    ...names.map((path) => ({ op: "update", path, content: versioned(version) })),
    { op: "remove", path: `old${version}.ts` },
    { op: "add", path: `old${version + 1}.ts`, content: versioned(version) }
  ]
})

const filesAt = (version: number) => ({
  ...Object.fromEntries(names.map((name) => [name, versioned(version)])),
  [`old${version + 1}.ts`]: versioned(version)
})

/** Everything of the realm as a replica serves it: by name, the version that its JavaScript shows. */
const served = Effect.fnUntraced(function*(replica: Replica, place: Place) {
  const listing = expectStatus(yield* replica.ask(place.path("")), 200)
  const entries = listing.json["entries"] as ReadonlyArray<{ readonly name: string }>
  const versions = yield* Effect.forEach(
    entries,
    ({ name }) => Effect.map(replica.ask(place.path(`${name}?source`)), ({ text }) => [name, versionOf(text)] as const),
    { concurrency: 8 }
  )
  return new Map(versions)
})

/** The version that the whole realm is at; fails for a mixture. */
const wholeVersion = Effect.fnUntraced(function*(replica: Replica, place: Place, candidates: ReadonlyArray<number>) {
  const files = yield* served(replica, place)
  const found = candidates.find((version) => files.has(`old${version + 1}.ts`))
  assert.isDefined(found, `neither of ${candidates.join(", ")} in ${Array.from(files.keys()).join(" ")}`)
  assert.deepStrictEqual(
    Object.fromEntries(files),
    Object.fromEntries(Object.keys(filesAt(found ?? 0)).map((name) => [name, found]))
  )
  return found ?? 0
})

const appears = Effect.fnUntraced(function*(realm: SourceRealm, name: string, version: number) {
  // Looked at without a pause: the window is a few milliseconds wide.
  while (!(yield* bytesOf(realm, name)).includes(`= ${version}`)) yield* Effect.yieldNow
})

const bytesOf = (realm: SourceRealm, name: string) =>
  Effect.promise(() => Fs.readFile(Path.join(realm.directory, name), "utf8").catch(() => ""))

/** What a fleet's crashes have left beside the realms. */
const leavings = Effect.gen(function*() {
  const { realmsDir } = yield* Fleet
  return (yield* Effect.promise(() => Fs.readdir(realmsDir))).filter((name) => name.startsWith(".lockstep-"))
})

/** When to kill: from the request's sending, or when the first file or the last has its new bytes. */
const moments = [15, "first", 40, "first", "last"] as const

layer(Fleet.layer({ args: ["--workers", "1", "--no-watch"] }), { excludeTestServices: true })(
  "kill -9 in the middle of a batch",
  (it) => {
    it.effect(
      "leaves all or nothing of it, on the replica that is started again and on the one that lived",
      () =>
        Effect.gen(function*() {
          const { first, realm, sql, start } = yield* Fleet
          const source = yield* realm(filesAt(1))
          let version = 1
          let decided = 0
          let doomed = yield* start()
          const killAt = Effect.fnUntraced(function*(moment: typeof moments[number]) {
            const next = version + 1
            const request = yield* Effect.forkChild(
              Effect.exit(post(doomed, source.path("_atomic"), batchOf(next))),
              { startImmediately: true }
            )
            if (typeof moment === "number") yield* Effect.sleep(moment)
            else yield* appears(source, moment === "first" ? names[0] ?? "" : `old${next + 1}.ts`, next)
            yield* doomed.killGroup("SIGKILL")
            yield* doomed.ended()
            const outcome = yield* Fiber.join(request)
            decided += (yield* sql("SELECT 1 FROM write_intents")).length
            // Who comes next finds it whole: the one that lived, by its next write, or the one that starts.
            if (moment === "last") yield* first.ask(source.path("f0.ts"), { method: "DELETE" })
            else doomed = yield* start()
            if (moment === "last") yield* first.ask(source.path("f0.ts"), { method: "PUT", body: versioned(next) })
            assert.deepStrictEqual(yield* sql("SELECT 1 FROM write_intents"), [])
            const reached = yield* wholeVersion(first, source, [version, next])
            // An answer that came back in time was the truth (I4).
            if (outcome._tag === "Success" && outcome.value.status === 200) assert.strictEqual(reached, next)
            version = reached
          })
          for (const moment of moments) yield* killAt(moment)
          // On a busy machine each may have come before the decision, or after the commit.
          for (let more = 0; decided === 0 && more < 10; more++) yield* killAt("first")
          assert.isAbove(decided, 0, "no kill fell between the decision and the commit")
          yield* eventually("nothing is left beside the realms", leavings, (left) => left.length === 0)
        })
    )

    it.effect(
      "and nobody has to write or start: the replica that lived finishes it by itself",
      () =>
        Effect.gen(function*() {
          const { first, realm, second, sql, start } = yield* Fleet
          const source = yield* realm(filesAt(1))
          const finished = Effect.map(
            Effect.forEach([first, second], (replica) => replica.status),
            (counts) => counts.reduce((sum, status) => sum + (status["batchesFinished"] ?? 0), 0)
          )
          for (let attempt = 1; attempt <= 10; attempt++) {
            const before = yield* finished
            const doomed = yield* start()
            yield* Effect.forkChild(Effect.exit(post(doomed, source.path("_atomic"), batchOf(attempt + 1))), {
              startImmediately: true
            })
            yield* appears(source, names[0] ?? "", attempt + 1)
            yield* doomed.killGroup("SIGKILL")
            yield* doomed.ended()
            const left = yield* sql("SELECT 1 FROM write_intents")
            yield* eventually(
              "the batch is finished",
              sql("SELECT 1 FROM write_intents"),
              (rows) => rows.length === 0
            )
            assert.strictEqual(yield* wholeVersion(first, source, [attempt + 1]), attempt + 1)
            // One that was killed with its COMMIT sent has left nothing for others to finish.
            if (left.length > 0 && (yield* finished) > before) return
          }
          assert.fail("no kill fell between the first rename and the commit, or nobody finished what it left")
        })
    )

    it.effect(
      "a crash between a file's rename and its commit heals: the next read sees the new bytes, and so does L2",
      () =>
        Effect.gen(function*() {
          const { first, realm, second, sql, start } = yield* Fleet
          const source = yield* realm({ "a.ts": versioned(0) })
          for (let version = 1; version <= 20; version++) {
            // Warm in both memories and in L2.
            for (const replica of [first, second]) {
              assert.strictEqual(versionOf((yield* replica.ask(source.path("a.ts"))).text), version - 1)
            }
            const doomed = yield* start()
            yield* Effect.forkChild(
              Effect.exit(doomed.ask(source.path("a.ts"), { method: "PUT", body: versioned(version) })),
              { startImmediately: true }
            )
            yield* appears(source, "a.ts", version)
            yield* doomed.killGroup("SIGKILL")
            const left = yield* sql("SELECT 1 FROM write_intents")
            for (const replica of [first, second]) {
              assert.strictEqual(versionOf((yield* replica.ask(source.path("a"))).text), version)
            }
            yield* doomed.ended()
            const put = expectStatus(
              yield* first.ask(source.path("b.json"), { method: "PUT", body: "{}" }),
              version === 1 ? 201 : 200
            )
            assert.isAbove(generationOf(put), 1)
            if (left.length > 0) return
          }
          assert.fail("no kill fell between the rename and the commit")
        })
    )

    it.effect("delete-all is all or nothing as well", () =>
      Effect.gen(function*() {
        const { first, realm, start } = yield* Fleet
        const source = yield* realm(filesAt(1))
        const doomed = yield* start()
        yield* Effect.forkChild(Effect.exit(doomed.ask(`${source.path("")}?all=true`, { method: "DELETE" })), {
          startImmediately: true
        })
        while ((yield* bytesOf(source, names[0] ?? "")) !== "") yield* Effect.yieldNow
        yield* doomed.killGroup("SIGKILL")
        yield* doomed.ended()
        yield* first.ask(source.path("note.json"), { method: "PUT", body: "{}" })
        assert.deepStrictEqual(Array.from((yield* served(first, source)).keys()), ["note.json"])
      }))
  }
)
