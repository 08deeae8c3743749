import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Effect, Layer, Scope } from "effect"
import { HttpRouter, type HttpServerRequest } from "effect/http"
import { Access, type AccessOptions } from "../access/Access.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { type RealmLimits, unlimited } from "../lifecycle/RealmLimits.ts"
import { makeApp } from "./app.ts"
import { Encodings } from "./Encodings.ts"
import { FinishedAnswers } from "./FinishedAnswers.ts"
import { Metrics } from "./metrics.ts"
import { layerObservation } from "./observation.ts"

/** Where in a host the routes are. */
export interface RoutesOptions {
  /**
   * Base of realm URLs, as in `LockstepOptions`. Its path is where the routes are: with `https://host/modules/` everything
   * below `/modules/` is Lockstep's, its own endpoints too (`/modules/_status`); with `https://host/` all that no other route
   * of the host's takes.
   */
  readonly publicUrl: RealmUrl
  /** Believe `x-forwarded-proto` and `x-forwarded-host`: only behind a proxy that sets them. Default false. */
  readonly trustProxy?: boolean
  /**
   * Who may do what. `"by-host"`: everybody whom the host lets through may do everything, so a middleware of the host's has to
   * ask first, or nobody else may reach its port. The log says so at the start.
   */
  readonly access: AccessOptions | "by-host"
  /** Origins (`https://studio.example`) whose pages may ask for everything that their visitor's token allows. */
  readonly corsOrigins?: ReadonlyArray<string>
  /** Let pages of realms at the public URL's origin run in that origin, instead of a sandbox. Default false. */
  readonly trustPages?: boolean
  /** How large a realm may become by writes; without a bound by default. */
  readonly realmLimits?: typeof RealmLimits.Service
}

/**
 * Lockstep as routes of a host's `HttpRouter`, beside the host's own, over the services of `layer` or `layerMemory`. The host
 * keeps its server, its middleware and its shutdown. (`layerHttp` serves a replica that is a server of its own, and answers
 * what is finished before any routing.)
 */
export const layerRoutes = (
  { access, corsOrigins, publicUrl, realmLimits, trustPages = false, trustProxy = false }: RoutesOptions
) => {
  const basePath = new URL(publicUrl).pathname.replace(/\/$/, "") as `/${string}` | ""
  return HttpRouter.use(Effect.fnUntraced(function*(router) {
    if (access === "by-host") {
      yield* Effect.logWarning(
        `Whoever this host lets through to ${publicUrl} may read, write and publish everything there: \`access\` is "by-host"`
      )
    }
    const { handle } = yield* makeApp({
      publicUrl,
      trustProxy,
      basePath,
      trustPages,
      corsOrigins: new Set(corsOrigins),
      // A host that limits its clients does so for all of its routes.
      rateLimit: undefined,
      realmLimits: realmLimits ?? unlimited
    })
    type Services = Exclude<Effect.Services<typeof handle>, HttpServerRequest.HttpServerRequest | Scope.Scope>
    // Ours for every request; but its scope is the request's, and not the layer's.
    const services = Context.omit(Scope.Scope)(yield* Effect.context<Services>()) as Context.Context<Services>
    yield* router.add("*", `${basePath}/*`, Effect.provideContext(handle, services))
  })).pipe(
    Layer.provide(Layer.mergeAll(
      access === "by-host" ? Access.layer("localhost") : Access.layer(new URL(publicUrl).hostname, access),
      NodeHttpServer.layerHttpServices,
      Encodings.layer,
      layerObservation(basePath),
      Metrics.layer,
      // Only a server of our own can answer before routing: nothing is kept for that.
      FinishedAnswers.layer(1, trustProxy)
    ))
  )
}
