import { Effect, Result } from "effect"
import { RenderFailure } from "../Prerenderer.ts"
import { type Confinement, confinements } from "./confinement.ts"
import type { NotBegun } from "./IsolatedProcess.ts"

/**
 * The strictest confinement in which a process starts. One that ends its process, twice, is not permitted here. What was late, or
 * had no directory, memory or process to be had, may start at another time: nothing weaker is settled for then, and the next
 * rendering tries again.
 */
export const findConfinement = Effect.fnUntraced(function*<A, R>(
  start: (confinement: Confinement) => Effect.Effect<A, RenderFailure | NotBegun, R>
) {
  const reasons: Array<string> = []
  for (const confinement of confinements()) {
    const started = yield* Effect.result(Effect.retry(start(confinement), { times: 1 }))
    if (Result.isSuccess(started)) return yield* Effect.as(report(confinement, reasons), confinement)
    const { failure } = started
    const why = `${confinement.command[0] ?? "node"}: ${failure.detail}`
    if (failure._tag === "RenderFailure" || failure.passing) {
      return yield* new RenderFailure({ reason: "unavailable", detail: `no isolated process starts now: ${why}` })
    }
    reasons.push(why)
  }
  return yield* new RenderFailure({
    reason: "unavailable",
    detail: `no isolated process starts: ${reasons.join("; ")}`
  })
})

const report = ({ leaves }: Confinement, reasons: ReadonlyArray<string>) =>
  leaves === ""
    ? Effect.void
    : Effect.logWarning(`This system cannot confine renderings wholly; their code is kept from all but ${leaves}`, {
      reasons
    })
