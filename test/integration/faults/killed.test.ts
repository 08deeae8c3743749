import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { eventually } from "../../support/eventually.ts"
import { versioned } from "../main-job/sources.ts"
import { everything, patience } from "./effort.ts"
import { type Member, publishVia, Stage } from "./Stage.ts"
import { trial } from "./trial.ts"

const kill = (member: Member) =>
  Effect.suspend(() => Effect.asVoid(Effect.andThen(member.process().kill("SIGKILL"), member.process().ended())))

layer(Stage.layer(), { excludeTestServices: true })("kill -9 of a replica", (it) => {
  it.effect(
    "costs its own connections only: no answer is stale, nothing acknowledged is lost",
    () =>
      Effect.gen(function*() {
        const { members: [, victim] } = yield* Stage
        yield* trial(
          "kill -9 of a replica, and a new one in its place",
          kill(victim),
          victim.restart
        )
      }),
    patience
  )

  it.effect.runIf(everything)(
    "in the middle of a publish leaves the realm to the others",
    () =>
      Effect.gen(function*() {
        const stage = yield* Stage
        const { members: [first, victim] } = stage
        const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`f${n}.txt`, String(n)]))
        const source = yield* stage.realm("killed-publisher", { ...many, "person.ts": versioned(1) })
        const published = stage.place("killed-publisher-published")
        assert.strictEqual((yield* publishVia(first, source, published)).status, 202)
        yield* trial(
          "kill -9 of a replica in the middle of a publish",
          Effect.gen(function*() {
            const cut = yield* Effect.forkChild(Effect.result(publishVia(victim, source, published)), {
              startImmediately: true
            })
            yield* eventually(
              "its files are being copied",
              stage.postgres.sql("SELECT 1 FROM version_copies WHERE realm_url = $1", [published.url]),
              (rows) => rows.length > 0
            )
            yield* kill(victim)
            yield* Fiber.join(cut)
            const next = yield* publishVia(first, source, published)
            assert.strictEqual(next.status, 202, next.shown)
          }),
          victim.restart
        )
      }),
    patience
  )
})
