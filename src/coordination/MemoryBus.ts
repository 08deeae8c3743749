import { Context, Effect, Layer, type Scope } from "effect"
import type { Message } from "./Sessions.ts"

/** A message for every member, or for one boot alone. */
export interface Addressed extends Message {
  readonly to?: string | undefined
}

/** Carries notifications between the services of one process, at once and in order. */
export class MemoryBus extends Context.Service<MemoryBus, {
  readonly publish: (message: Addressed) => void
  readonly subscribe: (handler: (message: Addressed) => void) => Effect.Effect<void, never, Scope.Scope>
}>()("lockstep/coordination/MemoryBus") {
  static readonly layer = Layer.sync(MemoryBus, () => {
    const handlers = new Set<(message: Addressed) => void>()
    return MemoryBus.of({
      publish: (message) => handlers.forEach((handler) => handler(message)),
      subscribe: (handler) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.sync(() => handlers.add(handler)),
          () => Effect.sync(() => handlers.delete(handler))
        ))
    })
  })
}
