import * as http from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, type Duration, Effect, FiberHandle, Layer } from "effect"
import { HttpServerResponse } from "effect/http"
import { Readiness } from "../coordination/Readiness.ts"
import { type AppOptions, makeApp } from "./app.ts"
import { Encodings } from "./Encodings.ts"
import { FinishedAnswers } from "./FinishedAnswers.ts"

export interface HttpOptions extends Omit<AppOptions, "trustProxy"> {
  /** Believe `x-forwarded-proto` and `x-forwarded-host`: only behind a proxy that sets them. Default false. */
  readonly trustProxy?: boolean
  /**
   * When the layer ends, how long requests are answered as before while `/_ready` says no, before connections are refused:
   * what a balancer that looks there needs to send them elsewhere. Default 0.
   */
  readonly drainDelay?: Duration.Input
  /** Bound of finished answers in memory, in bytes; 64 MiB by default. */
  readonly cacheBytes?: number
  readonly host: string
  /** 0 picks a free one. */
  readonly port: number
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
      const node = http.createServer({ requestTimeout: 60_000, headersTimeout: 15_000, maxHeaderSize: 32_768 })
      const { handle } = yield* makeApp({ ...options, trustProxy: options.trustProxy ?? false })
      const readiness = yield* Readiness
      const deadline = yield* FiberHandle.make()
      let draining = false
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
        if (!draining && finished.answer(request, response)) return
        for (const listener of routed) listener(request, response)
      })
      // The last to be added is the first to run: before the server stops listening and waits for its connections.
      yield* Effect.addFinalizer(() => {
        draining = true
        return Effect.andThen(
          // Each answer ends its connection meanwhile: few are left idle that could be closed under a new request.
          Effect.andThen(readiness.drain, Effect.sleep(options.drainDelay ?? 0)),
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
      NodeHttpServer.layerHttpServices,
      Encodings.layer,
      FinishedAnswers.layer(options.cacheBytes ?? 64 * 2 ** 20, options.trustProxy ?? false)
    ))
  )
