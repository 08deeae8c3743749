import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { eventually } from "../../support/eventually.ts"
import type { Which } from "../../support/tcpProxy.ts"
import { versioned, versionOf } from "../main-job/sources.ts"
import { everything, leaseMillis, patience } from "./effort.ts"
import { type Member, publishVia, Stage } from "./Stage.ts"
import { trial } from "./trial.ts"

const listener: Which = (applicationName) => applicationName === "lockstep listener"

/**
 * The lease; then whatever a miss that began before still tries, each with its deadline (to read L2, to be elected, to
 * write L2: 12 s); then a question to PostgreSQL, 5 s; and time to notice.
 */
const untilRefused = leaseMillis + 20_000

/** A black hole between a member and PostgreSQL for as long as the effect runs. */
const heldFrom = <A, E, R>(member: Member, meanwhile: Effect.Effect<A, E, R>, which?: Which) =>
  Effect.acquireUseRelease(member.proxy.hold(which), () => meanwhile, () => member.proxy.release)

layer(Stage.layer(), { excludeTestServices: true })("the network to PostgreSQL", (it) => {
  it.effect.runIf(everything)(
    "a replica in a black hole refuses rather than answers from before a publish",
    () =>
      Effect.gen(function*() {
        const { members: [, victim] } = yield* Stage
        const figures = yield* trial(
          "one replica in a black hole, until long after its lease",
          heldFrom(victim, Effect.sleep(untilRefused))
        )
        assert.isAbove(figures.lostReads["503"] ?? 0, 0)
      }),
    patience
  )

  it.effect(
    "a listening session in a black hole costs no answer and lets nothing old through",
    () =>
      Effect.gen(function*() {
        const { members: [, victim] } = yield* Stage
        const figures = yield* trial(
          "one listening session in a black hole for three leases",
          heldFrom(victim, Effect.sleep(3 * leaseMillis), listener)
        )
        // Reads ask PostgreSQL meanwhile.
        assert.deepStrictEqual(Object.keys(figures.lostAwake).filter((outcome) => outcome !== "slow"), [])
      }),
    patience
  )

  it.effect.runIf(everything)(
    "a replica that is cut off in the middle of a transaction does not hold the realm for ever",
    () =>
      Effect.gen(function*() {
        const stage = yield* Stage
        const { members: [first, victim] } = stage
        const source = yield* stage.realm("cut-off", { "person.ts": versioned(1) })
        const published = stage.place("cut-off-published")
        assert.strictEqual((yield* publishVia(first, source, published)).status, 202)
        yield* victim.proxy.holdAt((message) => message.includes("reindex") && message.includes(published.url))
        yield* Effect.gen(function*() {
          const cutOff = yield* Effect.forkChild(publishVia(victim, source, published), { startImmediately: true })
          yield* eventually("its last statement is held back", victim.proxy.held, (held) => held > 0)
          const put = yield* first.ask(source.path("person.ts"), { method: "PUT", body: versioned(2) })
          assert.strictEqual(put.status, 200, put.shown)
          // As a client would: again until it is taken.
          const next = yield* eventually(
            "another publish is taken",
            publishVia(first, source, published),
            ({ status }) => status !== 503,
            30_000
          )
          assert.strictEqual(next.status, 202, next.shown)
          yield* victim.proxy.release
          const late = yield* Fiber.join(cutOff)
          assert.strictEqual(late.status, 503, late.shown)
          for (const member of stage.members) {
            yield* eventually(
              `${member.replicaId} shows what was published`,
              member.ask(published.path("person.ts")),
              (answer) => versionOf(answer.text) === 2
            )
          }
        }).pipe(Effect.ensuring(victim.proxy.release))
      }),
    patience
  )

  it.effect.runIf(everything)("every replica in a black hole at once", () =>
    Effect.gen(function*() {
      const { members } = yield* Stage
      yield* trial(
        "all replicas in a black hole, until long after their leases",
        Effect.gen(function*() {
          yield* Effect.forEach(members, ({ proxy }) => proxy.hold(), { discard: true })
          yield* Effect.sleep(untilRefused)
        }).pipe(Effect.ensuring(Effect.forEach(members, ({ proxy }) => proxy.release, { discard: true })))
      )
    }), patience)

  it.effect.runIf(everything)("answers that take 200 to 500 ms", () =>
    Effect.gen(function*() {
      const { members: [, victim] } = yield* Stage
      yield* trial(
        "200 to 500 ms more to PostgreSQL and back for one replica, for five leases",
        Effect.gen(function*() {
          yield* victim.proxy.delay(() => 100 + Math.random() * 150)
          yield* Effect.sleep(5 * leaseMillis)
        }).pipe(Effect.ensuring(victim.proxy.delay(() => 0)))
      )
    }), patience)

  it.effect.runIf(everything)("connections that are cut again and again", () =>
    Effect.gen(function*() {
      const { members: [, victim] } = yield* Stage
      yield* trial(
        "connections of one replica cut every 300 ms for three leases",
        Effect.gen(function*() {
          for (let left = 3 * leaseMillis; left > 0; left -= 300) {
            yield* victim.proxy.cut()
            yield* Effect.sleep("300 millis")
          }
        })
      )
    }), patience)

  it.effect.runIf(everything)("black holes that come and go faster than a lease", () =>
    Effect.gen(function*() {
      const { members: [first, victim] } = yield* Stage
      yield* trial(
        "black holes of half a lease, six times, at one replica and another",
        Effect.gen(function*() {
          for (let time = 0; time < 3; time++) {
            for (const member of [victim, first]) {
              yield* heldFrom(member, Effect.sleep(leaseMillis / 2))
              yield* Effect.sleep(leaseMillis / 4)
            }
          }
        })
      )
    }), patience)
})

layer(Stage.layer({ args: ["--on-partition=serve"] }), { excludeTestServices: true })(
  "a replica that serves in a partition",
  (it) => {
    it.effect.runIf(everything)("warns of every answer of which nothing is promised", () =>
      Effect.gen(function*() {
        const stage = yield* Stage
        const { members: [, victim] } = stage
        yield* trial(
          "one replica in a black hole, with --on-partition serve",
          heldFrom(victim, Effect.sleep(untilRefused))
        )
        const source = yield* stage.realm("unconfirmed", { "person.ts": versioned(1) })
        const ask = victim.ask(source.path("person.ts"))
        assert.strictEqual((yield* ask).headers["warning"], undefined)
        const warned = yield* heldFrom(
          victim,
          eventually("it warns", ask, (answer) => "warning" in answer.headers, 40_000)
        )
        assert.strictEqual(versionOf(warned.text), 1, warned.shown)
        yield* eventually("it is sure again", ask, (answer) => answer.status === 200 && !("warning" in answer.headers))
      }), patience)
  }
)
