import { Clock, Effect, Redacted } from "effect"
import {
  createRemoteJWKSet,
  errors,
  type JWTPayload,
  jwtVerify,
  type JWTVerifyGetKey,
  type JWTVerifyOptions
} from "jose"
import { monotonicMillis } from "../domain/monotonicMillis.ts"
import { KeysUnavailable, Unauthenticated } from "./errors.ts"

/** Where tokens of users come from: a secret that is shared with their issuer, or the issuer's published keys. */
export interface UserTokensOptions {
  /** At least 32 bytes. Tokens are signed with HS256. */
  readonly secret?: Redacted.Redacted | undefined
  /** A JSON Web Key Set. Tokens are signed with an asymmetric algorithm. */
  readonly jwksUrl?: URL | undefined
  /** `iss` must be this. */
  readonly issuer?: string | undefined
  /** `aud` must be this, or have it among others. */
  readonly audience?: string | undefined
}

// Pinned: a public key must never be taken for a shared secret, nor "none" for a signature.
const symmetric = ["HS256"]
const asymmetric = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]

/** RFC 7518: a key must be at least as long as the hash. */
const minSecretBytes = 32

/** What the set of keys is fetched with: a deadline, an age, and how often an unknown key may ask for it anew; in milliseconds. */
const fetching = { timeoutDuration: 5_000, cacheMaxAge: 600_000, cooldownDuration: 30_000 }

/** For how long a set of keys that could not be fetched is not asked for again, in milliseconds. */
const retryMillis = 1_000

/** Seconds by which clocks may differ. */
const clockTolerance = 5

/** Whether a secret is long enough for HS256. */
export const isLongEnough = (secret: Redacted.Redacted): boolean =>
  Buffer.byteLength(Redacted.value(secret)) >= minSecretBytes

/** Checks tokens of users (JWT, RFC 7519) and answers who they are of: `sub`. */
export const makeUserTokens = (options: UserTokensOptions) => {
  const { audience, issuer, jwksUrl, secret } = options
  const checks = (algorithms: Array<string>, now: number): JWTVerifyOptions => ({
    algorithms,
    clockTolerance,
    currentDate: new Date(now),
    requiredClaims: ["exp", "sub"],
    ...(issuer === undefined ? {} : { issuer }),
    ...(audience === undefined ? {} : { audience })
  })
  const key = secret === undefined ? undefined : Buffer.from(Redacted.value(secret))
  const keys = jwksUrl === undefined ? undefined : makeKeySet(jwksUrl)
  const verify = async (token: string, clock: Clock.Clock): Promise<JWTPayload | undefined> => {
    const now = clock.currentTimeMillisUnsafe()
    if (key !== undefined) return (await jwtVerify(token, key, checks(symmetric, now))).payload
    if (keys !== undefined) return (await jwtVerify(token, keys(clock), checks(asymmetric, now))).payload
    return undefined
  }

  return Effect.fnUntraced(function*(token: string) {
    const clock = yield* Clock.Clock
    const payload = yield* Effect.tryPromise({ try: () => verify(token, clock), catch: failureOf })
    const user = payload?.sub
    if (user === undefined || !isUserName(user)) return yield* refused("the token names no user")
    return user
  })
}

export type UserTokens = ReturnType<typeof makeUserTokens>

/** A user's name: what a header, a log line and a table can carry. */
export const isUserName = (name: string): boolean =>
  // oxlint-disable-next-line no-control-regex
  name.length > 0 && name.length <= 256 && name.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(name)

const refused = (detail: string) => new Unauthenticated({ detail, refused: true })

/** Keys could not be had, whatever the token is. */
class KeysFailed extends Error {}

/** The issuer's keys. After a fetch that failed they are not asked for again at once, however many tokens come. */
const makeKeySet = (url: URL) => {
  const remote = createRemoteJWKSet(url, fetching)
  let failed: { readonly error: KeysFailed; readonly until: number } | undefined
  return (clock: Clock.Clock): JWTVerifyGetKey => async (header, token) => {
    const now = () => monotonicMillis(clock)
    if (failed !== undefined && now() < failed.until) throw failed.error
    try {
      return await remote(header, token)
    } catch (cause) {
      // Of a token that names no key, or one that this server cannot use.
      if (cause instanceof errors.JWKSNoMatchingKey || cause instanceof errors.JWKSMultipleMatchingKeys) throw cause
      if (cause instanceof errors.JOSENotSupported) throw cause
      const error = new KeysFailed("no usable key set", { cause })
      // Counted from here: a server that hangs takes longer to fail than it is left alone for.
      failed = { error, until: now() + retryMillis }
      throw error
    }
  }
}

// A token that is wrong is its sender's fault; keys that cannot be had are not.
const failureOf = (cause: unknown): Unauthenticated | KeysUnavailable => {
  if (cause instanceof KeysFailed) return new KeysUnavailable({ cause: cause.cause })
  if (cause instanceof errors.JWTExpired) return refused("the token has expired: ask its issuer for a new one")
  if (cause instanceof errors.JWTClaimValidationFailed) return refused(`the token is not for here: ${cause.message}`)
  return refused("the token is not signed by whom this server trusts, or is no token")
}
