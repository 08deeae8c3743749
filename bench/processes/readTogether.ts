import { Effect, Fiber, Schedule } from "effect"
import { Modules } from "../../src/cache/Modules.ts"
import { Counters } from "../../src/coordination/Counters.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"

export interface Together {
  readonly realm: string
  readonly paths: ReadonlyArray<string>
  readonly callers: number
  readonly at: number
  readonly probe: boolean
}

/** Every path once for every caller, all of them at once, from `at` on; probes meanwhile. Counts transpiles. */
export const readTogether = Effect.fnUntraced(function*<E, R>(
  { at, callers, paths, probe: probing, realm }: Together,
  probe: Effect.Effect<number, E, R>
) {
  const counters = yield* Counters
  const modules = yield* Modules
  const read = (path: string) => Effect.map(modules.read(realm as RealmUrl, path), ({ value }) => value.body.length)
  const before = counters.transpiles
  const probes = new Array<number>()
  yield* Effect.sleep(Math.max(0, at - Date.now()))
  const prober = yield* Effect.forkChild(
    probing
      ? probe.pipe(
        Effect.tap((millis) => Effect.sync(() => probes.push(millis))),
        Effect.repeat(Schedule.spaced("2 millis"))
      )
      : Effect.void
  )
  const from = performance.now()
  const lengths = yield* Effect.forEach(
    Array.from({ length: callers }, () => paths).flat(),
    read,
    { concurrency: "unbounded" }
  )
  const millis = performance.now() - from
  yield* Fiber.interrupt(prober)
  if (lengths.some((length, index) => length !== lengths[index % paths.length])) {
    return yield* Effect.die(new Error("two callers got different modules"))
  }
  return { millis: [millis], barrier: [], count: counters.transpiles - before, probes }
})
