import { Clock, Effect, Fiber, Option, Random } from "effect"
import { EventLog } from "../coordination/EventLog.ts"
import type { Answer, CacheKey, Options } from "./CoherentCache.ts"

/** How long a loser waits for winners before it works for itself (S13). */
const patienceMillis = 30_000

/**
 * A loser that hears nothing tries for the lock about this often, in milliseconds, and ever less often: whoever held it may
 * be dead, or its word lost. A winner that died is replaced within half a second (rule 8).
 */
const firstPause = 100
const longestPause = 300

/**
 * What a miss in L1 costs: look in L2; else be elected and compute; else wait for whoever was. L2 is best effort: when
 * it or the coordination fails, the caller still gets its value (S10).
 */
export const populate = Effect.fn("CoherentCache.populate")(function*<K extends CacheKey, A, E, R>(
  options: Options<K, A, E, R>,
  key: K
): Effect.fn.Return<Answer<A>, E, R> {
  const { coordinator, counters } = options
  const { contentKey, path, view } = key
  const { record } = yield* EventLog
  const { generation, realmUrl } = view.row
  yield* Effect.annotateCurrentSpan({ "lockstep.flow": options.flow, "realm.url": realmUrl, "module.path": path })
  const tell = (kind: "shared" | "takeover", detail: string) =>
    record({ kind, realmUrl, path, generation, via: "own", detail: `${options.flow}: ${detail}` })
  // Runs of other bytes are no use to this reader: it does not wait for them (S3).
  const coalesceKey = `${options.flow}|${realmUrl}|${path}|${contentKey}`

  const lost = <B>(otherwise: B) => (cause: unknown) =>
    Effect.as(
      Effect.andThen(
        Effect.sync(() => counters.l2Errors++),
        Effect.logWarning(`The shared cache could not be used for ${path} in ${realmUrl}`, cause)
      ),
      otherwise
    )

  const lookUp = options.shared.read(realmUrl, path, contentKey).pipe(
    Effect.catch(lost(Option.none<A>())),
    Effect.withSpan("CoherentCache.lookUp")
  )

  const work = Effect.gen(function*() {
    // I1: fenced by the generation and the incarnation that were read before any byte.
    const token = { generation: view.row.generation, incarnation: view.incarnation }
    const adopted = options.shared.adopt === undefined
      ? Option.none()
      : yield* Effect.catch(options.shared.adopt(realmUrl, path, contentKey, token), lost(Option.none()))
    if (Option.isSome(adopted)) {
      counters.l2Hits++
      tell("shared", "equal bytes were made before, in this realm or another")
      if (!adopted.value.accepted) counters.l2WriteRejected++
      return { value: adopted.value.value, origin: "l2" } as const
    }
    const value = yield* options.compute(key)
    const accepted = yield* options.shared.write(realmUrl, path, contentKey, token, value).pipe(
      Effect.catch(lost(true))
    )
    if (!accepted) counters.l2WriteRejected++
    return { value, origin: "computed" } as const
  }).pipe(Effect.withSpan("CoherentCache.work"))

  const found = yield* lookUp
  if (Option.isSome(found)) {
    counters.l2Hits++
    tell("shared", "from the shared cache")
    return { value: found.value, origin: "l2" }
  }

  // The winner looks again: the row may have come between its first look and the lock. Its own failure is kept apart
  // from the coordination's, which is no reason to fail.
  const elected = coordinator.tryAcquireAndRun(
    coalesceKey,
    Effect.result(
      Effect.flatMap(
        lookUp,
        (row): Effect.Effect<Answer<A>, E, R> =>
          Option.isSome(row) ? Effect.succeed({ value: row.value, origin: "joined" }) : work
      )
    )
  )

  const deadline = (yield* Clock.currentTimeMillis) + patienceMillis
  let waited = false
  let pause = firstPause
  while ((yield* Clock.currentTimeMillis) < deadline) {
    // Listening starts before the try: a winner that ends in between is heard.
    const ended = yield* Effect.forkChild(
      coordinator.waitForKey(coalesceKey, yield* Random.nextIntBetween(pause / 2, pause * 3 / 2)),
      { startImmediately: true }
    )
    const won = yield* Effect.catch(elected, (error) => Effect.as(lost(undefined)(error), "uncoordinated" as const))
    if (won === "uncoordinated") break
    if (Option.isSome(won)) {
      const answer = yield* Effect.fromResult(won.value)
      if (answer.origin === "joined") {
        counters.joined++
        tell("shared", "from another replica's run")
      } else if (waited) {
        counters.takeovers++
        tell("takeover", "whoever had begun it did not end it")
      }
      return answer
    }
    waited = true
    const told = yield* Effect.withSpan(Fiber.join(ended), "CoherentCache.waitForWinner")
    // Whoever gets the lock looks for the row; and whoever waits for long, as its holder may be frozen.
    if (!told && pause < longestPause) {
      pause = Math.min(pause * 2, longestPause)
      continue
    }
    const row = yield* lookUp
    if (Option.isSome(row)) {
      counters.joined++
      tell("shared", "from another replica's run")
      return { value: row.value, origin: "joined" }
    }
  }
  return yield* work
})
