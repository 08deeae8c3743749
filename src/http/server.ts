import * as http from "node:http"
import type { Socket } from "node:net"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Clock, Context, type Duration, Effect, FiberHandle, Layer } from "effect"
import { HttpServerResponse } from "effect/http"
import { Access, type AccessOptions } from "../access/Access.ts"
import { Readiness } from "../coordination/Readiness.ts"
import { monotonicMillis } from "../domain/monotonicMillis.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { type RealmLimits, unlimited } from "../lifecycle/RealmLimits.ts"
import { bringsCredentials, makeApp } from "./app.ts"
import { type ConnectionLimits, defaultConnectionLimits, guardConnections, serverOptions } from "./connections.ts"
import { Encodings } from "./Encodings.ts"
import { EventStreams } from "./EventStreams.ts"
import { FinishedAnswers } from "./FinishedAnswers.ts"
import { Metrics } from "./metrics.ts"
import { layerObservation } from "./observation.ts"
import { clientAddress, type Rate, RateLimit } from "./RateLimit.ts"
import "./tickShape.ts"

export interface HttpOptions {
  /** Base of realm URLs; ends in a slash. */
  readonly publicUrl: RealmUrl
  /**
   * Believe `x-forwarded-proto`, `x-forwarded-host` and `x-forwarded-for`: only behind a proxy that sets them. Default
   * false.
   */
  readonly trustProxy?: boolean
  /**
   * When the layer ends, how long requests are answered as before while `/_ready` says no, before connections are refused:
   * what a balancer that looks there needs to send them elsewhere. Default 0.
   */
  readonly drainDelay?: Duration.Input
  /** Bound of finished answers in memory, in bytes; 64 MiB by default. */
  readonly cacheBytes?: number
  /** An address that other machines can reach needs `access`. */
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
  /** Who may do what. By default everybody may do everything. */
  readonly access?: AccessOptions
  /** Origins (`https://studio.example`) whose pages may ask for everything that their visitor's token allows. */
  readonly corsOrigins?: ReadonlyArray<string>
  /** Let pages of realms at the public URL's origin run in that origin, instead of a sandbox. Default false. */
  readonly trustPages?: boolean
  /** How often one client may ask; by default as often as it likes. */
  readonly rateLimit?: Rate | undefined
  /** How large a realm may become by writes; without a bound by default. */
  readonly realmLimits?: typeof RealmLimits.Service
  /** How long clients may take. */
  readonly connections?: Partial<ConnectionLimits>
}

/** Where the replica listens. */
export class Listening extends Context.Service<Listening, { readonly url: string }>()("lockstep/http/Listening") {}

/** Requests under way get this long when the replica stops; then their connections are cut. */
const drainLimit = "8 seconds"

/**
 * Serves a replica over HTTP for as long as the layer lives. When it ends, it takes no more connections, lets the
 * requests under way finish, and tells their clients to go elsewhere.
 */
export const layerHttp = (options: HttpOptions) =>
  Layer.effect(
    Listening,
    Effect.gen(function*() {
      const limits = { ...defaultConnectionLimits, ...options.connections }
      const node = http.createServer(serverOptions(limits))
      guardConnections(node, limits)
      const clock = yield* Clock.Clock
      const trustProxy = options.trustProxy ?? false
      const rateLimit = options.rateLimit === undefined
        ? undefined
        : new RateLimit(options.rateLimit, () => monotonicMillis(clock))
      const { handle } = yield* makeApp({
        publicUrl: options.publicUrl,
        trustProxy,
        corsOrigins: new Set(options.corsOrigins),
        trustPages: options.trustPages ?? false,
        rateLimit,
        realmLimits: options.realmLimits ?? unlimited
      })
      const readiness = yield* Readiness
      const deadline = yield* FiberHandle.make()
      let draining = false
      const streams = yield* EventStreams
      const server = yield* NodeHttpServer.make(() => node, {
        host: options.host,
        port: options.port,
        gracefulShutdownTimeout: drainLimit
      })
      yield* server.serve(
        Effect.map(
          handle,
          (response) => draining ? HttpServerResponse.setHeader(response, "connection", "close") : response
        )
      )
      // What is finished is answered before any routing, in Node's own event; all else goes the way it goes.
      const finished = yield* FinishedAnswers
      const routed = node.listeners("request") as Array<http.RequestListener>
      node.removeAllListeners("request")
      node.on("request", (request, response) => {
        // Who brings credentials is counted by them, once they are known.
        if (rateLimit !== undefined && !bringsCredentials(request.headers)) {
          const wait = rateLimit.take(clientOfRequest(request, trustProxy))
          if (wait > 0) return refuse(response, wait)
        }
        const route = () => {
          for (const listener of routed) listener(request, response)
        }
        if (draining) route()
        else finished.answer(request, response, route)
      })
      // The last to be added is the first to run: before the server stops listening and waits for its connections.
      yield* Effect.addFinalizer(() => {
        draining = true
        return Effect.andThen(
          // Each answer ends its connection meanwhile: few are left idle that could be closed under a new request.
          Effect.andThen(readiness.drain, Effect.andThen(Effect.sleep(options.drainDelay ?? 0), streams.end)),
          FiberHandle.run(
            deadline,
            Effect.andThen(Effect.sleep(drainLimit), Effect.sync(() => node.closeAllConnections()))
          )
        )
      })
      const address = node.address()
      const port = typeof address === "object" && address !== null ? address.port : options.port
      const host = options.host.includes(":") ? `[${options.host}]` : options.host
      return Listening.of({ url: `http://${host}:${port}` })
    })
  ).pipe(
    Layer.provide(Layer.mergeAll(
      Access.layer(options.host, options.access),
      NodeHttpServer.layerHttpServices,
      Encodings.layer,
      layerObservation(""),
      Metrics.layer,
      FinishedAnswers.layer(options.cacheBytes ?? 64 * 2 ** 20, options.trustProxy ?? false)
    ))
  )

// A connection has one client, whatever it asks: its address is worked out once. Behind a proxy it has many.
const clients = new WeakMap<Socket, string>()

const clientOfRequest = ({ headers, socket }: http.IncomingMessage, trustProxy: boolean): string => {
  if (trustProxy) return clientAddress(socket.remoteAddress, String(headers["x-forwarded-for"] ?? ""), true)
  let client = clients.get(socket)
  if (client === undefined) clients.set(socket, client = clientAddress(socket.remoteAddress, undefined, false))
  return client
}

/** Said in Node's own event: who asks too often must cost next to nothing. */
const refuse = (response: http.ServerResponse, seconds: number): void => {
  response.writeHead(429, {
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "retry-after": String(seconds),
    "x-content-type-options": "nosniff"
  }).end(tooOften)
}

const tooOften = JSON.stringify({
  type: "urn:lockstep:rate-limited",
  title: "Too many requests",
  status: 429,
  detail: "this client asks more often than this server allows; try again later"
})
