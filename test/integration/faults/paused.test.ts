import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { eventually } from "../../support/eventually.ts"
import { slowModule, versioned, versionOf } from "../main-job/sources.ts"
import { everything, leaseMillis, patience } from "./effort.ts"
import { isRefusal } from "./Load.ts"
import { type Member, postTo, publishVia, Stage } from "./Stage.ts"
import { trial } from "./trial.ts"

const pause = (member: Member) => Effect.suspend(() => member.process().kill("SIGSTOP"))
const resume = (member: Member) => Effect.suspend(() => member.process().kill("SIGCONT"))

/** Whatever happens, nobody stays paused. */
const paused = <A, E, R>(member: Member, meanwhile: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(pause(member), () => meanwhile, () => resume(member))

/** A frozen holder loses its coalescing locks after 3 s and a realm after 8 s; this is that, and time to notice. */
const takeOverMillis = 15_000

layer(Stage.layer(), { excludeTestServices: true })("SIGSTOP of a replica", (it) => {
  it.effect("for longer than its lease: what it answers when it goes on is not stale", () =>
    Effect.gen(function*() {
      const { members: [, victim] } = yield* Stage
      const expiries = (yield* victim.status)["leaseExpiries"] ?? 0
      yield* trial("SIGSTOP of a replica for two leases", paused(victim, Effect.sleep(2 * leaseMillis)))
      assert.isAbove((yield* victim.status)["leaseExpiries"] ?? 0, expiries)
    }), patience)

  it.effect("its very first answer is from after the publish that waited it out", () =>
    Effect.gen(function*() {
      const stage = yield* Stage
      const { members: [first, victim] } = stage
      const source = yield* stage.realm("first-answer", { "person.ts": versioned(1) })
      const published = stage.place("first-answer-published")
      assert.strictEqual((yield* publishVia(first, source, published)).status, 202)
      for (const version of [2, 3]) {
        // It has the old bytes in memory, and a lease.
        assert.strictEqual(versionOf((yield* victim.ask(published.path("person.ts"))).text), version - 1)
        const put = yield* first.ask(source.path("person.ts"), { method: "PUT", body: versioned(version) })
        assert.strictEqual(put.status, 200, put.shown)
        // What it would hear on waking comes later than what it is asked: only its lease can tell it.
        yield* victim.proxy.hold((applicationName) => applicationName === "lockstep listener")
        const asked = yield* paused(
          victim,
          Effect.gen(function*() {
            const answer = yield* publishVia(first, source, published)
            assert.strictEqual(answer.status, 202, answer.shown)
            // Sent while it is stopped, after the publish returned: answered in the same breath in which it goes on.
            return yield* Effect.forkChild(
              Effect.all(
                Array.from({ length: 8 }, () => victim.ask(published.path("person.ts"))),
                { concurrency: "unbounded" }
              ),
              { startImmediately: true }
            )
          })
        )
        const answers = yield* Effect.ensuring(Fiber.join(asked), victim.proxy.release)
        for (const answer of answers) {
          // It may not have found out in time, on a machine that stood still: then whoever comes again must.
          const last = isRefusal(answer)
            ? yield* eventually("an answer", victim.ask(published.path("person.ts")), (again) => !isRefusal(again))
            : answer
          assert.strictEqual(versionOf(last.text), version, last.shown)
        }
      }
    }), patience)

  it.effect.runIf(everything)(
    "while it transpiles: another replica takes the module over",
    () =>
      Effect.gen(function*() {
        const stage = yield* Stage
        const { members: [first, victim] } = stage
        const source = yield* stage.realm("frozen-winner", { "slow.ts": slowModule("frozen") })
        const before = (yield* victim.status)["transpiles"] ?? 0
        const early = yield* Effect.forkChild(victim.ask(source.path("slow.ts")), { startImmediately: true })
        yield* eventually("it transpiles", victim.status, (status) => (status["transpiles"] ?? 0) > before)
        const late = yield* paused(victim, first.ask(source.path("slow.ts")))
        assert.strictEqual(late.status, 200, late.shown.slice(0, 500))
        assert.isBelow(late.ended - late.began, takeOverMillis)
        assert.isAbove((yield* first.status)["takeovers"] ?? 0, 0)
        // The deadline of a transpile runs on while its process is stopped: it may have to be asked again.
        const begun = yield* Fiber.join(early)
        const answer = begun.status === 503 ? yield* victim.ask(source.path("slow.ts")) : begun
        assert.strictEqual(answer.text, late.text)
      }),
    patience
  )

  it.effect.runIf(everything)(
    "in the middle of a publish: another's publish goes on, and stands",
    () =>
      Effect.gen(function*() {
        const stage = yield* Stage
        const { members: [first, victim] } = stage
        const source = yield* stage.realm("frozen-publisher", {
          ...Object.fromEntries(Array.from({ length: 2000 }, (_, n) => [`f${n}.txt`, String(n)])),
          "person.ts": versioned(1)
        })
        const published = stage.place("frozen-publisher-published")
        let version = 1
        yield* trial(
          "SIGSTOP of a replica in the middle of a publish",
          Effect.gen(function*() {
            const frozen = yield* Effect.forkChild(publishVia(victim, source, published), { startImmediately: true })
            yield* copying(published.url)
            const began = performance.now()
            const generation = yield* paused(
              victim,
              Effect.gen(function*() {
                version += 1
                const put = yield* first.ask(source.path("person.ts"), { method: "PUT", body: versioned(version) })
                assert.strictEqual(put.status, 200, put.shown)
                const next = yield* publishVia(first, source, published)
                assert.strictEqual(next.status, 202, next.shown)
                return Number(next.json["generation"])
              })
            )
            // Two locks that are waited for one after the other, and the lease of the one that is stopped.
            assert.isBelow(performance.now() - began, 2 * takeOverMillis)
            const late = yield* Fiber.join(frozen)
            // It came too late, or had committed before it was stopped.
            assert.isTrue(
              late.status === 503 || (late.status === 202 && Number(late.json["generation"]) < generation),
              late.shown
            )
            for (const member of stage.members) {
              assert.strictEqual(versionOf((yield* member.ask(published.path("person.ts"))).text), version)
            }
          })
        )
      }),
    patience
  )

  it.effect.runIf(everything)(
    "in the middle of a publish: it never publishes a mixture of two states of its source",
    () =>
      Effect.gen(function*() {
        const stage = yield* Stage
        const { members: [first, victim] } = stage
        const names = Array.from({ length: 3000 }, (_, n) => `f${n}.ts`)
        const some = names.filter((_, index) => index % 100 === 0)
        const source = yield* stage.realm("torn", Object.fromEntries(names.map((name) => [name, versioned(1)])))
        const published = stage.place("torn-published")
        const frozen = yield* Effect.forkChild(publishVia(victim, source, published), { startImmediately: true })
        yield* copying(published.url)
        // Files move on all over the realm while the copy stands still.
        yield* paused(
          victim,
          Effect.forEach(some, (name) =>
            Effect.map(
              first.ask(source.path(name), { method: "PUT", body: versioned(2) }),
              (put) => assert.strictEqual(put.status, 200, put.shown)
            ))
        )
        const late = yield* Fiber.join(frozen)
        if (late.status === 503) return
        assert.strictEqual(late.status, 202, late.shown)
        const answers = yield* Effect.forEach(some, (name) => first.ask(`${published.path(name)}?source`))
        assert.strictEqual(new Set(answers.map(({ text }) => versionOf(text))).size, 1)
      }),
    patience
  )

  it.effect.runIf(everything)(
    "while it invalidates and creates realms: the others' management goes on",
    () =>
      Effect.gen(function*() {
        const stage = yield* Stage
        const { members: [first, victim] } = stage
        const source = yield* stage.realm("managed", { "person.ts": versioned(1) })
        yield* paused(
          victim,
          Effect.gen(function*() {
            const began = performance.now()
            const invalidated = yield* postTo(first, "/_invalidate", { realmURL: source.url })
            assert.strictEqual(invalidated.status, 200, invalidated.shown)
            yield* stage.realm("managed-too", { "person.ts": versioned(1) })
            assert.isBelow(performance.now() - began, takeOverMillis)
          })
        )
        assert.strictEqual((yield* victim.ask(stage.place("managed-too").path("person.ts"))).status, 200)
      }),
    patience
  )
})

/** Waits until a publish of this URL holds its locks and has copied some files. */
const copying = Effect.fnUntraced(function*(url: string) {
  const { dataDir, postgres } = yield* Stage
  const [row] = yield* eventually(
    "a copy is announced",
    postgres.sql("SELECT directory FROM version_copies WHERE realm_url = $1", [url]),
    (rows) => rows.length > 0
  )
  const copied = Effect.promise(() =>
    Fs.readdir(Path.join(dataDir, "versions", `.lockstep-${String(row?.["directory"])}`)).then(
      (names) => names.length,
      () => 0
    )
  )
  yield* eventually("files are being copied", copied, (count) => count > 100)
})
