import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../../support/eventually.ts"
import { versioned } from "../main-job/sources.ts"
import { everything, leaseMillis, patience } from "./effort.ts"
import { Stage } from "./Stage.ts"
import { trial } from "./trial.ts"

/** Ends the sessions of this name, of every replica or of one, as an administrator would. */
const terminate = (applicationName: string) =>
  Effect.gen(function*() {
    const { postgres } = yield* Stage
    const ended = yield* postgres.sql(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE $1",
      [applicationName]
    )
    return ended.length
  })

layer(Stage.layer(), { excludeTestServices: true })("PostgreSQL", (it) => {
  it.effect("kill -9 of one of its processes empties the caches and nothing else", () =>
    Effect.gen(function*() {
      const { members, postgres } = yield* Stage
      const incarnation = Effect.map(postgres.sql("SELECT id::text AS id FROM cache_incarnation"), (rows) =>
        rows[0]?.["id"])
      const before = yield* incarnation
      yield* trial(
        "kill -9 of a PostgreSQL backend (UNLOGGED tables emptied)",
        Effect.gen(function*() {
          const [row] = yield* postgres.sql(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'lockstep pool%' LIMIT 1"
          )
          yield* postgres.killProcess(Number(row?.["pid"]))
        })
      )
      assert.notStrictEqual(yield* incarnation, before)
      // The caches work again: bytes that one replica made are another's.
      const { realm } = yield* Stage
      const source = yield* realm("after-the-crash", { "person.ts": versioned(1) })
      for (const member of members) {
        assert.strictEqual((yield* member.ask(source.path("person.ts"))).status, 200)
      }
    }), patience)

  it.effect.runIf(everything)(
    "a listening session that is terminated is opened again, and what it missed is caught up",
    () =>
      Effect.gen(function*() {
        const { members: [first] } = yield* Stage
        const before = (yield* first.status)["listenerReconnects"] ?? 0
        yield* trial(
          "pg_terminate_backend of every listening session, three times",
          Effect.gen(function*() {
            for (let time = 0; time < 3; time++) {
              yield* eventually("there is one", terminate("lockstep listener"), (ended) => ended > 0)
              yield* Effect.sleep("300 millis")
            }
          })
        )
        assert.isAbove((yield* first.status)["listenerReconnects"] ?? 0, before)
      }),
    patience
  )

  it.effect.runIf(everything)(
    "an immediate stop and a start later: refusals meanwhile, then all as before",
    () =>
      Effect.gen(function*() {
        const { postgres } = yield* Stage
        yield* trial(
          "PostgreSQL stopped (immediate) for two leases, and started",
          Effect.gen(function*() {
            yield* postgres.stopImmediately
            yield* Effect.sleep(2 * leaseMillis)
            yield* postgres.start
          })
        )
      }),
    patience
  )

  it.effect.runIf(everything)("sessions that hold coalescing locks are terminated: nobody waits for them", () =>
    trial(
      "pg_terminate_backend of every lock session, ten times",
      Effect.gen(function*() {
        for (let time = 0; time < 10; time++) {
          yield* terminate("lockstep locks")
          yield* Effect.sleep("200 millis")
        }
      })
    ), patience)

  it.effect.runIf(everything)(
    "sessions that hold realms are terminated: the comparison keeps writers apart",
    () =>
      trial(
        "pg_terminate_backend of every write lock session, twenty times",
        Effect.gen(function*() {
          for (let time = 0; time < 20; time++) {
            yield* terminate("lockstep write locks")
            yield* Effect.sleep("100 millis")
          }
        })
      ),
    patience
  )

  it.effect.runIf(everything)("every session at once is terminated, again and again", () =>
    Effect.gen(function*() {
      yield* trial(
        "pg_terminate_backend of everything, ten times",
        Effect.gen(function*() {
          for (let time = 0; time < 10; time++) {
            yield* terminate("lockstep %")
            yield* Effect.sleep("200 millis")
          }
        })
      )
      const { postgres } = yield* Stage
      // Nothing is left behind: no transaction, no lock that nobody holds.
      yield* eventually(
        "no transaction stays open",
        postgres.sql("SELECT 1 FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"),
        (rows) => rows.length === 0
      )
    }), patience)
})
