import { type Duration, Effect, Layer, Schedule } from "effect"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { WriteIntentTable } from "../store/WriteIntentTable.ts"
import { withSource } from "./edit.ts"
import { Invalidation } from "./Invalidation.ts"

/** A batch takes less than this, unless its writer is gone or frozen; then the realm's lock is free. */
const patience: Duration.Input = "3 seconds"

/** Finishes the batches that nobody seems to work at: whoever holds the realm next does so, and this is somebody. */
export const finishBatches = Effect.fnUntraced(function*(age: Duration.Input) {
  const intents = yield* WriteIntentTable
  // Looking every few seconds is no part of any trace: only what is done is.
  for (const realmUrl of yield* Effect.withTracerEnabled(intents.abandoned(age), false)) {
    yield* Effect.catch(
      Effect.withSpan(withSource(realmUrl, () => Effect.void), "finishBatches", {
        attributes: { "realm.url": realmUrl }
      }),
      (error) => Effect.logWarning(`A batch of edits in ${realmUrl} cannot be finished yet`, error)
    )
  }
})

/**
 * Removes what was staged by writers that died before they decided. One that is only frozen must not decide later on bytes
 * that are gone: the realm's generation is moved first, and with it the writer's comparison fails.
 */
export const sweepStaged = Effect.gen(function*() {
  const files = yield* RealmFiles
  const invalidation = yield* Invalidation
  const realms = yield* RealmTable
  const staged = yield* files.staged
  if (staged.length === 0) return
  const live = yield* realms.list
  for (const { batch, directory } of staged) {
    const realm = live.find((row) => row.kind === "source" && row.directory === directory)
    if (realm === undefined) {
      yield* files.discard({ directory }, batch)
      continue
    }
    const change = yield* withSource(realm.realmUrl, (held) =>
      Effect.gen(function*() {
        // Whoever held the realm before has ended with it, or has just finished.
        if (!(yield* files.staged).some((each) => each.batch === batch)) return undefined
        const change = yield* invalidation.commit(held, [], "recovery")
        yield* files.discard({ directory }, batch)
        return change
      }))
    if (change !== undefined) yield* invalidation.tell(change, "soon")
  }
})

/**
 * Does so at the start, before anybody is answered, and from then on in the background. Several replicas may do so at
 * once.
 */
export const layerFinishBatches = Layer.effectDiscard(Effect.gen(function*() {
  const all = (age: Duration.Input) =>
    Effect.catch(
      Effect.andThen(finishBatches(age), sweepStaged),
      (error) => Effect.logWarning("Batches that were left half done could not be looked for", error)
    )
  yield* all(0)
  yield* Effect.forkScoped(Effect.repeat(all(patience), Schedule.jittered(Schedule.spaced("3 seconds"))))
}))
