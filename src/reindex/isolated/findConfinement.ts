import { Effect, Result } from "effect"
import { RenderFailure } from "../Prerenderer.ts"
import { type Confinement, confinements } from "./confinement.ts"
import type { NotBegun } from "./IsolatedProcess.ts"

/** How often a confinement that does not answer is tried in one go. */
const attempts = 2

/**
 * The strictest confinement in which a process starts. One that ends its process is not permitted here; one whose process does
 * not answer in time may be, when the machine is less busy: nothing weaker is settled for then, and the next rendering tries again.
 */
export const findConfinement = Effect.fnUntraced(function*<A, R>(
  start: (confinement: Confinement) => Effect.Effect<A, RenderFailure | NotBegun, R>
) {
  const reasons: Array<string> = []
  for (const confinement of confinements()) {
    const started = yield* Effect.result(
      Effect.retry(start(confinement), { times: attempts - 1, while: isLate })
    )
    if (Result.isSuccess(started)) return yield* Effect.as(report(confinement, reasons), confinement)
    const why = `${confinement.command[0] ?? "node"}: ${started.failure.detail}`
    if (isLate(started.failure)) {
      return yield* new RenderFailure({ reason: "unavailable", detail: `no isolated process starts in time: ${why}` })
    }
    reasons.push(why)
  }
  return yield* new RenderFailure({
    reason: "unavailable",
    detail: `no isolated process starts: ${reasons.join("; ")}`
  })
})

const isLate = (failure: RenderFailure | NotBegun) => failure._tag === "NotBegun" && failure.late

const report = ({ leaves }: Confinement, reasons: ReadonlyArray<string>) =>
  leaves === ""
    ? Effect.void
    : Effect.logWarning(`This system cannot confine renderings wholly; their code is kept from all but ${leaves}`, {
      reasons
    })
