import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { fuzz } from "./fuzz.ts"

it.live(
  "made-up requests are never answered by a failure, and neither show nor change what is not theirs",
  () =>
    Effect.gen(function*() {
      const seed = Date.now() % 2 ** 32
      const { failure, statuses } = yield* fuzz({ cases: 2_000, seed })
      assert.isUndefined(failure, `seed ${seed}: ${failure}`)
      // Not all of them fall at the first hurdle.
      for (const status of [200, 401, 404, 400]) assert.isAbove(statuses[status] ?? 0, 0, `${status}`)
    })
)
