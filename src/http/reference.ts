import { Effect, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiSwagger, OpenApi } from "effect/http-api"
import { LockstepApi } from "../api/RealmApi.ts"
import { routed } from "./routed.ts"

/** Where the interface describes itself. */
export const referencePaths = ["/_openapi.json", "/_docs"] as const

/** The page has its scripts and styles in itself, and asks this server only. */
const docsPolicy = [
  "content-security-policy",
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; font-src data:; " +
  "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
] as const

/** The page brings its own scripts, of two megabytes: they are loaded when it is first asked for. */
const page = Effect.gen(function*() {
  const build = routed(HttpApiSwagger.layer(LockstepApi, { path: "/_docs" }))
  // the replica's scope, and not that of whoever asks first
  return yield* Effect.cached(Effect.provideService(build, Scope.Scope, yield* Effect.scope))
})

/** `/_openapi.json`, and the same as a page to browse at `/_docs`. */
export const layerReference = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const docs = yield* page
  const document = yield* Effect.cached(Effect.sync(() => HttpServerResponse.jsonUnsafe(OpenApi.fromApi(LockstepApi))))
  yield* router.add("GET", "/_openapi.json", document)
  yield* router.add("GET", "/_docs", Effect.map(Effect.flatten(docs), HttpServerResponse.setHeader(...docsPolicy)))
}))
