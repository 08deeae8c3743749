import { assert, it } from "@effect/vitest"
import { Effect, Exit } from "effect"
import { expectExecutions } from "./executions.ts"

const worker = (log = "", l2Errors = 0) => ({ log: () => log, status: Effect.succeed({ l2Errors }) })
const lost = "[WARN] The lock session was lost, or could not be opened"

const excusedWorkers = [worker(lost), worker("", 1)]

it.live("runs are exact, unless a worker lost its lock session or the shared cache: then at most one a worker", () =>
  Effect.gen(function*() {
    const cases = [
      ...[3].map((begun) => [begun, worker(), true] as const),
      ...[2, 4, 6].map((begun) => [begun, worker(), false] as const),
      ...excusedWorkers.flatMap((excused) => [3, 4, 6].map((begun) => [begun, excused, true] as const)),
      ...excusedWorkers.flatMap((excused) => [2, 7].map((begun) => [begun, excused, false] as const))
    ]
    yield* Effect.forEach(
      cases,
      Effect.fnUntraced(function*([begun, other, holds]) {
        const exit = yield* Effect.exit(expectExecutions([worker("listening"), other], begun, 3, "modules"))
        assert.strictEqual(Exit.isSuccess(exit), holds, `${begun} runs, and the log "${other.log()}"`)
      }),
      { concurrency: "unbounded" }
    )
  }))
