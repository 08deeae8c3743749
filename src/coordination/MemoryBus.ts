import { Context, Effect, Layer, type Scope } from "effect"
import type { Message } from "./Sessions.ts"

/** Carries notifications between the services of one process, at once and in order. */
export class MemoryBus extends Context.Service<MemoryBus, {
  readonly publish: (message: Message) => void
  readonly subscribe: (handler: (message: Message) => void) => Effect.Effect<void, never, Scope.Scope>
}>()("lockstep/coordination/MemoryBus") {
  static readonly layer = Layer.sync(MemoryBus, () => {
    const handlers = new Set<(message: Message) => void>()
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
