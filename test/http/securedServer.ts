import { NodeHttpServer } from "@effect/platform-node"
import { Context, Effect, Layer, Logger, Redacted } from "effect"
import { SignJWT } from "jose"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { type HttpOptions, layerHttp, Listening } from "../../src/http/server.ts"
import { layerMemory } from "../../src/Lockstep.ts"
import { TemporaryRealms } from "../realms/temporaryRealms.ts"
import { type Ask, makeHttpClient } from "../support/httpClient.ts"

export const publicUrl = "http://realms.test/" as RealmUrl

export const adminToken = "an-admin-token-of-the-tests"

const secret = "a secret that the issuer of users' tokens has as well"

/** Good for an hour, unless a test says otherwise. */
export const tokenOf = (user: string, signedWith = secret) =>
  Effect.promise(() =>
    new SignJWT({ sub: user }).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h")
      .sign(Buffer.from(signedWith))
  )

export interface Asking extends Ask {
  /** A user's name, or who has the admin token; nobody by default. */
  readonly as?: string
  /** Sent as JSON. */
  readonly json?: unknown
}

/** One replica in memory behind real HTTP, which knows an admin and users. Paths belong to the public URL's host. */
export const securedServer = (more: Partial<HttpOptions> = {}) => Effect.provide(make(more), Logger.layer([]))

const make = Effect.fnUntraced(function*(more: Partial<HttpOptions>) {
  const places = yield* Effect.map(Layer.build(TemporaryRealms.layer), Context.get(TemporaryRealms))
  const services = yield* Layer.build(Layer.fresh(layerMemory({
    ...places,
    publicUrl,
    replicaId: "one",
    advertiseUrl: publicUrl,
    leaseMillis: 30_000,
    cacheBytes: 8 * 2 ** 20,
    transpiler: {}
  })))
  const http = yield* Layer.build(layerHttp({
    host: "127.0.0.1",
    port: 0,
    publicUrl,
    access: { adminToken: Redacted.make(adminToken), users: { secret: Redacted.make(secret) } },
    ...more
  })).pipe(Effect.provideContext(services), Effect.provide(NodeHttpServer.layerHttpServices))
  const { url } = Context.get(http, Listening)
  const client = yield* makeHttpClient(url)

  const credentials = Effect.fnUntraced(function*(as: string | undefined) {
    if (as === undefined) return {}
    return { authorization: `Bearer ${as === "admin" ? adminToken : yield* tokenOf(as)}` }
  })
  const ask = Effect.fnUntraced(function*(path: string, { as, json, ...asking }: Asking = {}) {
    return yield* client.ask(path, {
      ...asking,
      ...json === undefined ? {} : { method: "POST", body: JSON.stringify(json) },
      headers: {
        host: "realms.test",
        ...json === undefined ? {} : { "content-type": "application/json" },
        ...yield* credentials(as),
        ...asking.headers
      }
    })
  })
  const post = (path: string, json: unknown, as = "admin") => ask(path, { json, as })
  return {
    url,
    ask,
    post,
    services,
    places,
    /** A source realm of this owner, with these files. */
    realm: Effect.fnUntraced(function*(
      name: string,
      files: Readonly<Record<string, string>>,
      { isPrivate = false, owner = "admin" } = {}
    ) {
      const created = yield* post("/_create-realm", { name, private: isPrivate }, owner)
      if (created.status !== 201) throw new Error(created.shown)
      for (const [path, body] of Object.entries(files)) {
        const written = yield* ask(`/${name}/${path}`, { method: "PUT", body, as: owner })
        if (written.status !== 201) throw new Error(written.shown)
      }
      return `${publicUrl}${name}/`
    }),
    publish: (from: string, to: string, more: { readonly private?: boolean; readonly as?: string } = {}) => {
      const { as = "admin", ...rest } = more
      return post(
        "/_publish-realm",
        { sourceRealmURL: `${publicUrl}${from}/`, publishedRealmURL: `${publicUrl}${to}/`, ...rest },
        as
      )
    }
  }
})

export type SecuredServer = Effect.Success<ReturnType<typeof securedServer>>
