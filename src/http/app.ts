import { Cause, Clock, Effect, Exit, Latch, Result, type Tracer } from "effect"
import { HttpIncomingMessage, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi } from "effect/http-api"
import { Api } from "../api/Api.ts"
import { Generations } from "../coordination/Generations.ts"
import { Membership } from "../coordination/Membership.ts"
import { Background } from "../domain/Background.ts"
import { liveGauge, requestDuration, type RequestKind, requestsInFlight } from "../domain/Metrics.ts"
import { maxPathLength } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { maxBody } from "./body.ts"
import { isDashboard, makeDashboard } from "./dashboard.ts"
import { layerManagement } from "./management.ts"
import { isOfOtherOrigin } from "./otherOrigin.ts"
import {
  answerTo,
  internalError,
  isFailure,
  methodNotAllowed,
  noSuchEndpoint,
  otherOrigin,
  pathTooLong,
  payloadTooLarge,
  unsupportedType
} from "./problems.ts"
import { handleRealm } from "./realms.ts"
import { referencePaths } from "./reference.ts"
import { kindOf, statusClass } from "./requestKind.ts"
import { routed } from "./routed.ts"
import { requestedRealm } from "./RequestedRealm.ts"

export interface AppOptions {
  readonly publicUrl: RealmUrl
  /** Believe `x-forwarded-proto` and `x-forwarded-host`: only behind a proxy that sets them. */
  readonly trustProxy: boolean
  /** Path under which Lockstep's own endpoints are, without a slash at its end: `/modules`. Default: none. */
  readonly basePath?: string
}

/** Every request of a replica: Lockstep's own endpoints begin with an underscore, all others belong to a realm. */
export const makeApp = Effect.fnUntraced(function*(options: AppOptions) {
  const { basePath = "" } = options
  const management = yield* routed(layerManagement(options.publicUrl))
  const bounded = Effect.provideService(management, HttpIncomingMessage.MaxBodySize, maxBody)
  const dashboard = yield* makeDashboard()
  const self = yield* Membership

  const realm = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest, path: string, query: string) {
    const origin = originOf(request, options)
    const requested = yield* Effect.withSpan(
      requestedRealm({
        origin,
        rawPath: path,
        publicUrl: options.publicUrl,
        minGeneration: request.headers["x-lockstep-min-generation"]
      }),
      "RequestedRealm.find",
      // On the way of every routed request: the frame that it is called from is not worth an Error.
      { captureStackTrace: false }
    )
    const answer = handleRealm(requested, new URLSearchParams(query))
    return yield* isBackground(request.headers["priority"])
      ? Effect.provideService(answer, Background, Latch.makeUnsafe(false))
      : answer
  })

  // A realm's URL without its slash: relative imports would go astray, so the client is sent to the right one.
  const slashed = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest, path: string) {
    const generations = yield* Generations
    const url = `${originOf(request, options)}${path}/` as RealmUrl
    const own = `${new URL(options.publicUrl).origin}${path}/` as RealmUrl
    const found = path.endsWith("/") ? [] : yield* generations.view([url, own])
    return found.length === 0
      ? undefined
      : HttpServerResponse.redirect(`${path}/`, { status: 308, headers: { "cache-control": "no-store" } })
  })

  const handle = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const [path = "", query = ""] = splitOnce(request.url, "?")
    if (path.length > maxPathLength) return pathTooLong(maxPathLength)
    if (!path.startsWith("/")) return noSuchEndpoint(path.slice(0, 200))
    if (isOfOtherOrigin(request.method, request.headers, originOf(request, options))) return otherOrigin()
    if (Number(request.headers["content-length"] ?? 0) > Number(maxBody)) return payloadTooLarge("16 MiB")
    if (basePath === "" && isDashboard(path)) return yield* dashboard(request, path)
    if (path.startsWith(`${basePath}/_`)) {
      const own = path.slice(basePath.length)
      const routed = Effect.catchIf(bounded, isRouteNotFound, () => Effect.succeed(unrouted(request.method, own)))
      return asOurs(
        yield* basePath === "" ? routed : Effect.provideService(
          routed,
          HttpServerRequest.HttpServerRequest,
          request.modify({ url: request.url.slice(basePath.length) })
        )
      )
    }
    return yield* Effect.catchTag(
      realm(request, path, query),
      "RealmNotFound",
      Effect.fnUntraced(function*(missing) {
        return (yield* slashed(request, path)) ?? (yield* missing)
      })
    )
  }).pipe(
    Effect.catchCause((cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
      const error = Cause.findError(cause)
      const failure = Result.isSuccess(error) && isFailure(error.success) ? error.success : undefined
      if (failure === undefined) {
        return Effect.as(Effect.logError("A request failed for no reason of its own", cause), internalError())
      }
      return answerTo(failure)
    }),
    Effect.map(HttpServerResponse.setHeader("x-lockstep-replica", self.replicaId))
  )

  let inFlight = 0
  yield* liveGauge(requestsInFlight, () => inFlight)
  const clock = yield* Clock.Clock
  const context = yield* Effect.context<never>()
  const measured = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
    inFlight++
    const began = clock.monotonicTimeNanosUnsafe()
    return Effect.onExit(handle, (exit) => {
      inFlight--
      // Who went away got no answer.
      if (Exit.isFailure(exit)) return Effect.void
      const kind = kindOf(method, splitOnce(url, "?")[0] ?? "", exit.value)
      const status = statusClass(exit.value.status)
      const seconds = Number(clock.monotonicTimeNanosUnsafe() - began) / 1e9
      requestDuration({ kind, status }).updateUnsafe(seconds, context)
      return Effect.withFiber(({ cache: { span } }) => {
        if (span?._tag === "Span" && span.sampled) describeSpan(span, kind, exit.value)
        return Effect.void
      })
    })
  })
  return { handle: measured }
})

/** What an operator looks for in a trace of a request. */
const describeSpan = (span: Tracer.Span, kind: RequestKind, { headers }: HttpServerResponse.HttpServerResponse) => {
  span.attribute("lockstep.kind", kind)
  for (const name of ["cache", "generation", "canonical-path", "replica"]) {
    const value = headers[`x-lockstep-${name}`]
    if (value !== undefined) span.attribute(`lockstep.${name}`, value)
  }
}

const splitOnce = (text: string, separator: string) => {
  const index = text.indexOf(separator)
  return index < 0 ? [text, ""] : [text.slice(0, index), text.slice(index + 1)]
}

/** What the router answers by itself, as a problem like all others; and nothing that it answers is kept by anybody. */
const asOurs = (response: HttpServerResponse.HttpServerResponse) => {
  if (response.status === 415) return unsupportedType()
  return response.headers["cache-control"] === undefined
    ? HttpServerResponse.setHeader(response, "cache-control", "no-store")
    : response
}

/** RFC 9218: the urgency 7 is for background tasks. */
const isBackground = (priority: string | undefined) => priority !== undefined && /(?:^|,)\s*u=7\b/.test(priority)

const isRouteNotFound = (error: unknown): boolean =>
  HttpServerError.isHttpServerError(error) && error.reason._tag === "RouteNotFound"

// The methods of each of Lockstep's own paths, as the API declares them.
const methods = new Map<string, Array<string>>()
HttpApi.reflect(Api, {
  onGroup: () => {},
  onEndpoint: ({ endpoint }) => {
    const known = methods.get(endpoint.path) ?? []
    methods.set(endpoint.path, [...known, endpoint.method])
  }
})

for (const path of referencePaths) methods.set(path, ["GET"])

const unrouted = (method: string, path: string) => {
  const allowed = methods.get(path)
  return allowed === undefined ? noSuchEndpoint(path) : methodNotAllowed(method, allowed.join(", "))
}

const originOf = (request: HttpServerRequest.HttpServerRequest, { publicUrl, trustProxy }: AppOptions): string => {
  const forwarded = (name: string) => trustProxy ? request.headers[name]?.split(",")[0]?.trim() : undefined
  const host = (forwarded("x-forwarded-host") ?? request.headers["host"] ?? "").toLowerCase()
  const scheme = forwarded("x-forwarded-proto") === "https" ? "https" : "http"
  const origin = `${scheme}://${host}`
  return host !== "" && URL.canParse(origin) ? new URL(origin).origin : new URL(publicUrl).origin
}
