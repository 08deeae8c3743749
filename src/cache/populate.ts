import { Clock, Effect, Fiber, Option, Random } from "effect"
import { EventLog } from "../coordination/EventLog.ts"
import type { makeSparingWarning } from "../domain/sparingWarning.ts"
import type { Answer, CacheKey, Options } from "./CoherentCache.ts"

/**
 * How long a loser waits for winners before it works for itself (S13). A winner that dies is replaced long before. One that
 * lives may stand in its farm's queue for as long as a cold start of its fleet takes: losers that worked for themselves then
 * would make that longer, and each module more than once (I5).
 */
const patienceMillis = 300_000

/**
 * A loser that neither hears of a winner's end nor of its death looks for itself this often, in milliseconds: whoever holds
 * the lock may be frozen, and others may have written the row.
 */
const shortestPause = 1000
const longestPause = 2000

/**
 * What a miss in L1 costs: look in L2; else be elected and compute; else wait for whoever was. L2 is best effort: when
 * it or the coordination fails, the caller still gets its value (S10).
 */
export const populate = Effect.fn("CoherentCache.populate")(function*<K extends CacheKey, A, E, R>(
  options: Options<K, A, E, R>,
  key: K,
  warnings: Readonly<Record<"l2" | "coordination", ReturnType<typeof makeSparingWarning>>>
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

  const lost = <B>(otherwise: B, what: keyof typeof warnings = "l2") => (cause: unknown) =>
    Effect.as(
      Effect.andThen(
        Effect.sync(() => counters.l2Errors++),
        warnings[what](`${path} in ${realmUrl}`, cause)
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

  let now = yield* Clock.currentTimeMillis
  const deadline = now + patienceMillis
  for (let waited = false; now < deadline; waited = true) {
    // Listening starts before the try: a winner that ends in between is heard.
    const pause = Math.min(yield* Random.nextIntBetween(shortestPause, longestPause), deadline - now)
    const ended = yield* Effect.forkChild(coordinator.waitForKey(coalesceKey, pause), { startImmediately: true })
    const won = yield* Effect.catch(elected, lost("uncoordinated" as const, "coordination"))
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
    yield* Effect.withSpan(Fiber.join(ended), "CoherentCache.waitForWinner")
    const row = yield* lookUp
    if (Option.isSome(row)) {
      counters.joined++
      tell("shared", "from another replica's run")
      return { value: row.value, origin: "joined" }
    }
    now = yield* Clock.currentTimeMillis
  }
  return yield* work
})
