import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { timedAwake } from "../../support/awake.ts"
import { eventually } from "../../support/eventually.ts"
import { expectExecutions } from "../../support/executions.ts"
import { Fleet } from "../../support/fleet.ts"
import type { Replica } from "../../support/replica.ts"
import { expectStatus } from "./expectations.ts"
import { slowModule, versioned } from "./sources.ts"

const transpiles = (replica: Replica) => Effect.map(replica.status, (status) => status["transpiles"] ?? 0)

layer(Fleet.layer(), { excludeTestServices: true })("cold modules", (it) => {
  it.effect("a hundred readers of one cold module, over two replicas, cost one transpile", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const { path } = yield* realm({ "slow.ts": slowModule("hundred"), "quick.ts": versioned(1) })
      for (const file of ["slow.ts", "quick.ts"]) {
        const before = yield* Effect.forEach(all, transpiles)
        const answers = yield* Effect.forEach(
          Array.from({ length: 50 }),
          () => Effect.forEach(all, (replica) => replica.ask(path(file)), { concurrency: "unbounded" }),
          { concurrency: "unbounded" }
        )
        const after = yield* Effect.forEach(all, transpiles)
        const started = after.map((count, index) => count - (before[index] ?? 0))
        const sum = started.reduce((total, n) => total + n, 0)
        yield* expectExecutions(all, sum, 1, `transpiles of ${file} by replica: ${started.join()}`)
        for (const answer of answers.flat()) expectStatus(answer, 200)
        assert.strictEqual(new Set(answers.flat().map((answer) => answer.text)).size, 1)
        const origins = answers.flat().map((answer) => answer.headers["x-lockstep-cache"])
        assert.strictEqual(origins.filter((origin) => origin === "transpiled").length, sum, String(origins))
      }
    }))

  it.effect("different cold modules are transpiled by both replicas at the same time, each once", () =>
    Effect.gen(function*() {
      const { all, first, realm, second } = yield* Fleet
      const files = Array.from({ length: 200 }, (_, n) => `m${n}.ts`)
      const { path } = yield* realm(Object.fromEntries(files.map((file, n) => [file, versioned(n)])))
      const before = yield* Effect.forEach(all, transpiles)
      const answers = yield* Effect.forEach(
        files,
        (file) => Effect.all([first.ask(path(file)), second.ask(path(file))], { concurrency: "unbounded" }),
        { concurrency: "unbounded" }
      )
      for (const answer of answers.flat()) expectStatus(answer, 200)
      const after = yield* Effect.forEach(all, transpiles)
      const started = after.map((count, index) => count - (before[index] ?? 0))
      const sum = started.reduce((total, n) => total + n, 0)
      yield* expectExecutions(all, sum, files.length, `transpiles by replica: ${started.join()}`)
      // S16: however many keys are in work, the locks take one connection.
      for (const replica of all) assert.isAtMost((yield* replica.status)["lockConnections"] ?? 99, 1)
    }))

  it.effect(
    "a replica killed while it transpiles is replaced within a second, and by nobody before",
    () =>
      Effect.gen(function*() {
        const { first: survivor, realm, start } = yield* Fleet
        /** One death; how long it took until the survivor began, or nothing where the machine did not let it come to that. */
        const takeOver = Effect.fnUntraced(function*(tag: string) {
          const { path } = yield* realm({ "taken.ts": slowModule(tag, 6000) })
          const victim = yield* start()
          const before = yield* survivor.status
          const ofVictim = yield* Effect.forkChild(Effect.ignore(victim.ask(path("taken.ts"))), {
            startImmediately: true
          })
          yield* eventually("the victim transpiles", transpiles(victim), (count) => count === 1)
          const waiting = yield* Effect.forkChild(survivor.ask(path("taken.ts")), { startImmediately: true })
          yield* Effect.forEach(Array.from({ length: 20 }), () => survivor.ask("/_health"))
          const begun = yield* transpiles(survivor)
          // One that stands still for seconds loses its locks, and is no victim any more.
          if (victim.log().includes("lock session was lost")) return undefined
          assert.strictEqual(begun, before["transpiles"], "so far nobody but the victim has begun")
          const [replaced] = yield* timedAwake(Effect.andThen(
            victim.kill("SIGKILL"),
            Effect.raceFirst(
              eventually("it begins", transpiles(survivor), (count) => count > (before["transpiles"] ?? 0)),
              Fiber.join(waiting)
            )
          ))
          yield* Fiber.join(ofVictim)
          const answer = expectStatus(yield* Fiber.join(waiting), 200)
          assert.include(answer.text.slice(0, 100), JSON.stringify(tag))
          const after = yield* survivor.status
          // The victim had ended before it was killed, or the survivor did not come to wait for it.
          if (after["takeovers"] === before["takeovers"]) return undefined
          assert.strictEqual(after["takeovers"], (before["takeovers"] ?? 0) + 1)
          assert.strictEqual(after["transpiles"], (before["transpiles"] ?? 0) + 1)
          assert.strictEqual(answer.headers["x-lockstep-cache"], "transpiled")
          return replaced
        }, Effect.scoped)
        const taken: Array<number> = []
        for (let attempt = 1; attempt <= 3 && !taken.some((millis) => millis < 1000); attempt++) {
          const replaced = yield* takeOver(`taken ${attempt}`)
          if (replaced !== undefined) taken.push(replaced)
        }
        assert.isNotEmpty(taken, "the survivor waited for the victim")
        assert.isBelow(Math.min(...taken), 1000, `milliseconds from each death: ${taken.join()}`)
      })
  )

  it.effect("work that its last reader left is stopped, and the next reader gets its bytes all the same", () =>
    Effect.gen(function*() {
      const { first, realm, second } = yield* Fleet
      const { path } = yield* realm({ "left.ts": slowModule("left") })
      const before = yield* transpiles(first)
      const leaving = yield* Effect.forkChild(first.ask(path("left.ts")), { startImmediately: true })
      yield* eventually("the transpile began", transpiles(first), (count) => count === before + 1)
      yield* Fiber.interrupt(leaving)
      const answers = yield* Effect.all([first.ask(path("left.ts")), second.ask(path("left.ts"))], {
        concurrency: "unbounded"
      })
      for (const answer of answers) assert.include(expectStatus(answer, 200).text, `"left"`)
    }))
})
