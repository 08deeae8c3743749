import { Context, type Latch } from "effect"

/**
 * Whether what a fiber does is for nobody who waits: a warm-up, a reindex. Its transpiles run when no reader's is waiting, or
 * after ten seconds: another replica's reader may wait for them. The latch is opened when a reader joins in: from then on it is
 * done for that one. None: a reader's own work.
 */
export const Background = Context.Reference<Latch.Latch | undefined>("lockstep/domain/Background", {
  defaultValue: () => undefined
})

/** What the `priority` header of such a request says (RFC 9218). */
export const backgroundPriority = "u=7"
