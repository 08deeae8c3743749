import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"
import { eventually } from "../../support/eventually.ts"
import { everything, leaseMillis, patience } from "./effort.ts"
import { type Member, Stage } from "./Stage.ts"
import { trial } from "./trial.ts"

const wallClock = fileURLToPath(new URL("../../support/wallClock.ts", import.meta.url))

const offsetFile = (home: string, replicaId: string) => Path.join(home, `${replicaId}.clock`)

const stage = Stage.layer({
  node: (home, replicaId) => ({
    nodeArgs: [`--import=${wallClock}`],
    environment: { TEST_WALL_CLOCK: offsetFile(home, replicaId) }
  })
})

/** Sets a member's wall clock so far off, and waits until it is. */
const setClock = Effect.fnUntraced(function*(member: Member, offset: number) {
  const { home } = yield* Stage
  const before = member.process().log().length
  yield* Effect.promise(() => Fs.writeFile(offsetFile(home, member.replicaId), String(offset)))
  yield* member.process().kill("SIGUSR2")
  yield* eventually(
    "the clock is set",
    Effect.sync(() => member.process().log().slice(before)),
    (log) => log.includes(`the wall clock is ${offset} ms off`)
  )
})

const hour = 3_600_000

layer(stage, { excludeTestServices: true })("a step of a replica's wall clock", (it) => {
  it.effect.runIf(everything)(
    "forward and back: the lease counts on the monotonic clock, and on the wall clock only to doubt",
    () =>
      Effect.gen(function*() {
        const { members: [, victim] } = yield* Stage
        const figures = yield* trial(
          "the wall clock of one replica an hour forward, then two back, then right",
          Effect.gen(function*() {
            for (const offset of [hour, -hour, 0]) {
              yield* setClock(victim, offset)
              yield* Effect.sleep(leaseMillis)
            }
          })
        )
        assert.deepStrictEqual(Object.keys(figures.lostAwake).filter((outcome) => outcome !== "slow"), [])
      }),
    patience
  )

  it.effect.runIf(everything)("by less than a lease, again and again", () =>
    Effect.gen(function*() {
      const { members: [, victim] } = yield* Stage
      yield* trial(
        "the wall clock of one replica steps by 0.9 leases, ten times",
        Effect.gen(function*() {
          for (let time = 0; time < 10; time++) {
            yield* setClock(victim, time % 2 === 0 ? 0.9 * leaseMillis : 0)
            yield* Effect.sleep(leaseMillis / 5)
          }
          yield* setClock(victim, 0)
        })
      )
    }), patience)

  it.effect.runIf(everything)(
    "back, while it hears nothing: its lease still ends when it must",
    () =>
      Effect.gen(function*() {
        const { members: [, victim] } = yield* Stage
        yield* trial(
          "the wall clock of one replica an hour back, in a black hole for three leases",
          Effect.gen(function*() {
            yield* victim.proxy.hold()
            yield* setClock(victim, -hour)
            yield* Effect.sleep(3 * leaseMillis)
            yield* setClock(victim, 0)
          }).pipe(Effect.ensuring(victim.proxy.release))
        )
      }),
    patience
  )
})
