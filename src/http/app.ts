import { Cause, Clock, Effect, Exit, Latch, Option, Result, type Tracer } from "effect"
import { HttpIncomingMessage, HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApi } from "effect/http-api"
import { Access } from "../access/Access.ts"
import { Forbidden, Unauthenticated } from "../access/errors.ts"
import { fleetHeader } from "../access/FleetPass.ts"
import { anonymous, CurrentPrincipal, type Principal } from "../access/Principal.ts"
import { Api } from "../api/Api.ts"
import { Generations } from "../coordination/Generations.ts"
import { Membership } from "../coordination/Membership.ts"
import { Background } from "../domain/Background.ts"
import { liveGauge, requestDuration, type RequestKind, requestsInFlight } from "../domain/Metrics.ts"
import { maxPathLength } from "../domain/ModulePath.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { RealmLimits } from "../lifecycle/RealmLimits.ts"
import { maxBody } from "./body.ts"
import { always } from "./always.ts"
import { crossOriginHeaders, namedOrigin, preflight } from "./crossOrigin.ts"
import { isDashboard, makeDashboard } from "./dashboard.ts"
import { isOpen, mayAsk } from "./endpoints.ts"
import { layerManagement } from "./management.ts"
import { isOfOtherOrigin } from "./otherOrigin.ts"
import { isOwnHost } from "./ownHost.ts"
import {
  answerTo,
  internalError,
  isFailure,
  methodNotAllowed,
  noSuchEndpoint,
  otherOrigin,
  pathTooLong,
  payloadTooLarge,
  tooManyRequests,
  unknownHost,
  unsupportedType
} from "./problems.ts"
import { splitQuery } from "./query.ts"
import { clientAddress, type RateLimit } from "./RateLimit.ts"
import { handleRealm } from "./realms.ts"
import { referencePaths } from "./reference.ts"
import { kindOf, statusClass } from "./requestKind.ts"
import { readable, requestedRealm } from "./RequestedRealm.ts"
import { routed } from "./routed.ts"

export interface AppOptions {
  readonly publicUrl: RealmUrl
  /** Believe `x-forwarded-proto`, `x-forwarded-host` and `x-forwarded-for`: only behind a proxy that sets them. */
  readonly trustProxy: boolean
  /** Path under which Lockstep's own endpoints are, without a slash at its end: `/modules`. Default: none. */
  readonly basePath?: string
  /** Origins (`https://studio.example`) whose pages may ask for everything that their visitor's token allows. */
  readonly corsOrigins: ReadonlySet<string>
  /** Let pages of realms at the public URL's origin run in that origin, instead of a sandbox. */
  readonly trustPages: boolean
  /** How often one client may ask; without it, as often as it likes. */
  readonly rateLimit: RateLimit | undefined
  readonly realmLimits: typeof RealmLimits.Service
}

/** Every request of a replica: Lockstep's own endpoints begin with an underscore, all others belong to a realm. */
export const makeApp = Effect.fnUntraced(function*(options: AppOptions) {
  const { basePath = "", corsOrigins, publicUrl, rateLimit } = options
  const access = yield* Access
  const generations = yield* Generations
  const management = yield* routed(layerManagement(publicUrl))
  const bounded = Effect.provideService(management, HttpIncomingMessage.MaxBodySize, maxBody)
  const dashboard = yield* makeDashboard()
  const self = yield* Membership

  const realm = Effect.fnUntraced(function*(
    request: HttpServerRequest.HttpServerRequest,
    origin: string,
    path: string,
    query: string
  ) {
    const requested = yield* Effect.withSpan(
      requestedRealm({
        origin,
        rawPath: path,
        publicUrl,
        minGeneration: request.headers["x-lockstep-min-generation"],
        trustPages: options.trustPages
      }),
      "RequestedRealm.find",
      // On the way of every routed request: the frame that it is called from is not worth an Error.
      { captureStackTrace: false }
    )
    const answer = handleRealm(requested, new URLSearchParams(query), namedOrigin(request.headers, corsOrigins))
    return yield* isBackground(request.headers["priority"])
      ? Effect.provideService(answer, Background, Latch.makeUnsafe(false))
      : answer
  })

  // A realm's URL without its slash: relative imports would go astray, so the client is sent to the right one.
  const slashed = Effect.fnUntraced(function*(origin: string, path: string) {
    if (path.endsWith("/")) return undefined
    const urls = [`${origin}${path}/`, `${new URL(publicUrl).origin}${path}/`] as ReadonlyArray<
      string
    > as ReadonlyArray<
      RealmUrl
    >
    const found = yield* readable(urls, (yield* generations.view(urls))[0])
    return found === undefined
      ? undefined
      : HttpServerResponse.redirect(`${path}/`, { status: 308, headers: { "cache-control": "no-store" } })
  })

  const ours = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest, path: string) {
    const routed = Effect.catchIf(bounded, isRouteNotFound, () => Effect.succeed(unrouted(request.method, path)))
    const answer = yield* basePath === "" ? routed : Effect.provideService(
      routed,
      HttpServerRequest.HttpServerRequest,
      request.modify({ url: request.url.slice(basePath.length) })
    )
    return HttpServerResponse.setHeaders(asOurs(answer), {
      ...crossOriginHeaders(false, namedOrigin(request.headers, corsOrigins)),
      "x-frame-options": "DENY",
      "content-security-policy": answer.headers["content-security-policy"] ?? ownPolicy
    })
  })

  /** Who asks, and whether they may ask that often. */
  const identify = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
    const { headers } = request
    const principal = yield* Effect.result(access.authenticate(headers))
    const isKnown = Result.isSuccess(principal) && principal.success.kind !== "anonymous"
    // Whoever brings no credentials was counted when the request came, by address; so are wrong ones, as guesses.
    if (rateLimit !== undefined && !access.isOpen && (isKnown || bringsCredentials(headers))) {
      const wait = isKnown
        ? takeOf(rateLimit, principal.success)
        : rateLimit.take(addressOf(request, options.trustProxy))
      if (wait > 0) return { wait }
    }
    return Result.isFailure(principal) ? yield* principal.failure : { principal: principal.success }
  })

  const admit = Effect.fnUntraced(function*(
    request: HttpServerRequest.HttpServerRequest,
    origin: string,
    path: string,
    query: string
  ) {
    const { headers, method } = request
    const isOurs = path.startsWith(`${basePath}/_`)
    const own = path.slice(basePath.length)
    // Where everybody is the admin, the name must be this machine's: a page may have pointed its own here.
    const isTrusted = !access.isOpen || isOwnHost(origin, publicUrl, self.advertiseUrl) ||
      (yield* generations.hasRealms(origin))
    if (!isTrusted && (isOurs ? !isOpen(own) : changes(method))) return unknownHost(new URL(origin).host)
    const asked = preflight(method, headers, corsOrigins, isOurs)
    if (asked !== undefined) return asked
    if (isOfOtherOrigin(method, headers, origin) && namedOrigin(headers, corsOrigins) === undefined) {
      return otherOrigin()
    }
    const identified = yield* identify(request)
    if ("wait" in identified) return tooManyRequests(identified.wait)
    const principal = isTrusted ? identified.principal : anonymous
    // Said before anything is looked for: the answer is the same whatever is there.
    if (principal.kind === "anonymous" && (isOurs ? !isOpen(own) : changes(method))) {
      return yield* new Unauthenticated({ detail: "send a token: authorization: Bearer TOKEN", refused: false })
    }
    if (isOurs && !mayAsk(principal, method, own)) {
      return yield* new Forbidden({ detail: `${method} ${path} is for the admin of this server` })
    }
    if (Number(headers["content-length"] ?? 0) > Number(maxBody)) return payloadTooLarge("16 MiB")
    const answer = Effect.gen(function*() {
      if (isOurs) return yield* ours(request, own)
      return yield* Effect.catchTag(
        realm(request, origin, path, query),
        "RealmNotFound",
        Effect.fnUntraced(function*(missing) {
          return (yield* slashed(origin, path)) ?? (yield* missing)
        })
      )
    })
    return yield* answer.pipe(
      Effect.provideService(CurrentPrincipal, principal),
      Effect.provideService(RealmLimits, options.realmLimits)
    )
  })

  const handle = Effect.gen(function*() {
    const request = yield* HttpServerRequest.HttpServerRequest
    const { path, query } = splitQuery(request.url)
    if (path.length > maxPathLength) return pathTooLong(maxPathLength)
    if (!path.startsWith("/")) return noSuchEndpoint(path.slice(0, 200))
    // Files of the package, the same for everybody; its data is asked for apart.
    if (basePath === "" && isDashboard(path)) return yield* dashboard(request, path)
    return yield* admit(request, originOf(request, options), path, query)
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
    Effect.map((response) =>
      HttpServerResponse.setHeaders(response, {
        ...always,
        "x-lockstep-replica": self.replicaId,
        "referrer-policy": response.headers["referrer-policy"] ?? always["referrer-policy"],
        "cross-origin-resource-policy": response.headers["cross-origin-resource-policy"] ?? "same-origin"
      })
    )
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
      const kind = kindOf(method, splitQuery(url).path, exit.value)
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

/** What the management's own answers may do where they are opened. */
const ownPolicy = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/** Methods that may change something; an unknown one counts as one. */
const changes = (method: string): boolean => method !== "GET" && method !== "HEAD" && method !== "OPTIONS"

export const bringsCredentials = (headers: { readonly [name: string]: unknown }): boolean =>
  headers["authorization"] !== undefined || headers[fleetHeader] !== undefined

/** The admin and the fleet are not held back: their requests are what mends a server. */
const takeOf = (rateLimit: RateLimit, principal: Principal): number =>
  principal.kind === "user" ? rateLimit.take(`user ${principal.user}`) : 0

const addressOf = (request: HttpServerRequest.HttpServerRequest, trustProxy: boolean): string =>
  clientAddress(Option.getOrUndefined(request.remoteAddress), request.headers["x-forwarded-for"], trustProxy)

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
