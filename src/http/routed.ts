import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"

/**
 * `HttpRouter.toHttpEffect` on a router that has no other routes: by itself it takes the router that is being built around it
 * where there is one, which within a host is the host's.
 */
export const routed = <A, E, R>(routes: Layer.Layer<A, E, R>) =>
  Effect.suspend(() =>
    Effect.provideService(HttpRouter.toHttpEffect(routes), Layer.CurrentMemoMap, Layer.makeMemoMapUnsafe())
  )
