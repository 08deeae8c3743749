import { Config, Effect, Option } from "effect"
import { type Command, Flag } from "effect/cli"
import { type AccessOptions, isAdminToken, isLoopback } from "../access/Access.ts"
import { isLongEnough } from "../access/UserTokens.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { parseOrigin, parseRate, parseSize } from "./quantities.ts"
import { givenToken, secretFrom } from "./token.ts"

const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description))

const isFetchable = (url: string) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)

/** What `lockstep serve` takes to say who may do what, and how much. */
export const accessFlags = {
  jwtSecret: Flag.Redacted("jwt-secret").pipe(
    Flag.withMetavar("SECRET"),
    Flag.withDescription("what users' tokens are signed with (HS256); better a file, or LOCKSTEP_JWT_SECRET"),
    Flag.optional
  ),
  jwtSecretFile: text("jwt-secret-file", "FILE", "a file that holds it (LOCKSTEP_JWT_SECRET_FILE)").pipe(Flag.optional),
  jwksUrl: text("jwks-url", "URL", "the keys that users' tokens are signed with (LOCKSTEP_JWKS_URL)").pipe(
    Flag.withFallbackConfig(Config.String("LOCKSTEP_JWKS_URL")),
    Flag.filter(isFetchable, () => "an http or https URL, such as https://login.example/.well-known/jwks.json"),
    Flag.optional
  ),
  jwtIssuer: text("jwt-issuer", "ISS", "what users' tokens must have as their issuer (LOCKSTEP_JWT_ISSUER)").pipe(
    Flag.withFallbackConfig(Config.String("LOCKSTEP_JWT_ISSUER")),
    Flag.optional
  ),
  jwtAudience: text("jwt-audience", "AUD", "what users' tokens must be for (LOCKSTEP_JWT_AUDIENCE)").pipe(
    Flag.withFallbackConfig(Config.String("LOCKSTEP_JWT_AUDIENCE")),
    Flag.optional
  ),
  corsOrigin: text(
    "cors-origin",
    "ORIGIN",
    "pages of this origin may ask for all that their visitor's token allows; may be repeated"
  ).pipe(
    Flag.filterMap(parseOrigin, () => "a scheme and host without a path, such as https://studio.example"),
    Flag.atLeast(0)
  ),
  rateLimit: text(
    "rate-limit",
    "N[/BURST]",
    "requests a second from one client, and how many at once; off for no limit (off on loopback, else 1000/10000)"
  ).pipe(
    Flag.filterMap(parseRate, () => "a rate such as 200, or 200/1000, or off"),
    Flag.optional
  ),
  maxRealmBytes: text("max-realm-bytes", "SIZE", "how large a realm may become by writes (1GiB)").pipe(
    Flag.withDefault("1GiB"),
    Flag.filterMap(parseSize, () => "a size of at least 1KiB, such as 256MiB or 1.5GB")
  ),
  maxRealmFiles: Flag.Int("max-realm-files").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("how many files a realm may have by writes (50000)"),
    Flag.withDefault(50_000),
    Flag.filter((count) => count >= 1, () => "a number from 1")
  ),
  trustPages: Flag.Boolean("trust-pages").pipe(
    Flag.withDescription(
      "let pages of realms run in the origin of the public URL, not in a sandbox; only of authors you trust"
    ),
    Flag.withoutNegation,
    Flag.withDefault(false)
  )
}

type Given = Command.Command.Config.Infer<typeof accessFlags>

/** Who may do what, from what the command line, files and the environment say. */
export const accessOptions = Effect.fnUntraced(function*(flags: Given) {
  const adminToken = yield* givenToken
  const secret = yield* secretFrom(flags.jwtSecret, flags.jwtSecretFile, "LOCKSTEP_JWT_SECRET")
  const refused = (message: string) => new CommandFailed({ message })
  if (Option.isSome(adminToken) && !isAdminToken(adminToken.value)) {
    return yield* refused(
      "the token needs 16 to 1,024 visible ASCII characters, without spaces: openssl rand -hex 32 makes one"
    )
  }
  if (Option.isSome(secret) && !isLongEnough(secret.value)) {
    return yield* refused("the secret of users' tokens needs 32 bytes at least: openssl rand -base64 48 makes one")
  }
  if (Option.isSome(secret) && Option.isSome(flags.jwksUrl)) {
    return yield* refused("users' tokens are signed with a secret (--jwt-secret) or with keys (--jwks-url), not both")
  }
  if (Option.isSome(flags.jwksUrl) && Option.isNone(flags.jwtAudience)) {
    yield* Effect.logWarning(
      "Tokens that their issuer made for other services are taken as well: name this one with --jwt-audience"
    )
  }
  const options: AccessOptions = {
    adminToken: Option.getOrUndefined(adminToken),
    users: {
      secret: Option.getOrUndefined(secret),
      jwksUrl: Option.getOrUndefined(Option.map(flags.jwksUrl, (url) => new URL(url))),
      issuer: Option.getOrUndefined(flags.jwtIssuer),
      audience: Option.getOrUndefined(flags.jwtAudience)
    }
  }
  return options
})

/** Unlimited where only this machine can ask, unless somebody says so. */
export const rateOf = (flags: Given, host: string) =>
  Option.getOrElse(flags.rateLimit, () => isLoopback(host) ? undefined : { perSecond: 1_000, burst: 10_000 })
