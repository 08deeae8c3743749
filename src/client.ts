/**
 * A typed client of Lockstep, for browsers and servers: it imports nothing of Node's, and asks by whatever `HttpClient` it is
 * given (`FetchHttpClient.layer` of `effect/http`).
 */
import { type Effect, Redacted } from "effect"
import { HttpClient, HttpClientRequest } from "effect/http"
import { HttpApiClient } from "effect/http-api"
import { LockstepApi } from "./api/RealmApi.ts"

export { Problem } from "./api/Api.ts"
export { LockstepApi } from "./api/RealmApi.ts"

/** Where a client asks, and as whom. */
export interface ClientOptions {
  /** Any replica, or what stands in front of them: `https://modules.example`. In a browser, its own origin by default. */
  readonly baseUrl?: string | URL
  /** Sent as a bearer token. */
  readonly token?: string | Redacted.Redacted
}

/** Each endpoint as a function: `client.publishRealm({ payload })`, `client.realm.definitions({ params, query })`. */
export type LockstepClient = HttpApiClient.ForApi<typeof LockstepApi>

/**
 * A client. Problems that the server tells of are failures (`Problem`); what cannot be reached or understood is an
 * `HttpClientError` or a `SchemaError`.
 */
export const make = ({ baseUrl, token }: ClientOptions = {}): Effect.Effect<
  LockstepClient,
  never,
  HttpClient.HttpClient
> =>
  HttpApiClient.make(LockstepApi, {
    baseUrl,
    transformClient: HttpClient.mapRequest((request) => {
      // A path within a realm has slashes, and the server takes no encoded ones.
      const plain = HttpClientRequest.setUrl(request, request.url.replaceAll("%2F", "/"))
      if (token === undefined) return plain
      return HttpClientRequest.bearerToken(plain, typeof token === "string" ? token : Redacted.value(token))
    })
  })
