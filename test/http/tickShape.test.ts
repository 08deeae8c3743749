import { executionAsyncResource } from "node:async_hooks"
import * as v8 from "node:v8"
import * as vm from "node:vm"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { keptTick } from "../../src/http/tickShape.ts"

const nextTick = Effect.callback<object>((resume) => {
  process.nextTick(() => resume(Effect.succeed(executionAsyncResource())))
})

it.live("the tick that is kept has the hidden class of those that are made now, whatever was collected", () =>
  Effect.gen(function*() {
    v8.setFlagsFromString("--allow-natives-syntax")
    const haveSameShape = vm.runInThisContext("(a, b) => %HaveSameMap(a, b)") as (a: object, b: object) => boolean
    const collect = vm.runInThisContext("() => %CollectGarbage('all')") as () => void
    const kept = keptTick()
    assert.isDefined(kept)
    for (let round = 0; round < 3; round++) {
      for (let tick = 0; tick < 1000; tick++) yield* nextTick
      collect()
      assert.isTrue(haveSameShape(kept ?? {}, yield* nextTick))
    }
    assert.isFalse(haveSameShape(kept ?? {}, {}))
  }))
