import { ByteSize, Effect, Option } from "effect"
import { HttpIncomingMessage, type HttpServerRequest } from "effect/http"

/** Largest body of a write. */
export const maxBody = ByteSize.mebibytes(16)

/** The request's body; none if it is too large, or was cut off by the client, who is gone then. */
export const readBody = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest) {
  if (Number(request.headers["content-length"] ?? 0) > Number(maxBody)) return Option.none<Uint8Array>()
  const body = yield* Effect.option(
    Effect.provideService(request.arrayBuffer, HttpIncomingMessage.MaxBodySize, maxBody)
  )
  return Option.map(body, (buffer) => new Uint8Array(buffer))
})
