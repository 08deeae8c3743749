import { Config, Duration, Option, Redacted } from "effect"
import { Argument, type Command, Flag } from "effect/cli"
import { observabilityFlags } from "./observabilityFlags.ts"
import { accessFlags } from "./accessFlags.ts"
import { parseBaseUrl, parseDuration, parsePort, parseServerUrl, parseServerUrls, parseSize } from "./quantities.ts"

// A flag wins over its environment variable, which wins over the default.
const text = (name: string, metavar: string, description: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(description))

const duration = (name: string, fallback: string, description: string) =>
  text(name, "DURATION", `${description} (${fallback})`).pipe(
    Flag.withDefault(fallback),
    Flag.filterMap(parseDuration, () => "a duration of at most a day, such as 3s or 500ms")
  )

/** Longer than any balancer needs to notice. */
const parseDrainDelay = (given: string) =>
  Option.filter(parseDuration(given), (delay) => Duration.isLessThanOrEqualTo(delay, Duration.minutes(1)))

const isDatabaseUrl = (url: Redacted.Redacted) =>
  URL.canParse(Redacted.value(url)) && /^postgres(ql)?:\/\//.test(Redacted.value(url))

/** Shared by whatever runs a reindex worker. */
export const replicaUrls = text(
  "replica-urls",
  "URL,...",
  "replicas that reindex jobs are read from (the fleet's, at the URLs that they advertise)"
).pipe(
  Flag.withDefault(""),
  Flag.filterMap(parseServerUrls, () => "http or https URLs, such as http://10.0.0.5:4201,http://10.0.0.6:4201")
)

export const prerenderer = Flag.Literals("prerenderer", ["isolated", "chromium"]).pipe(
  Flag.withDescription("what renders instances: a confined Node process, or a headless Chromium (isolated)"),
  Flag.withDefault("isolated")
)

export const databaseUrl = Flag.Redacted("database-url").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription("PostgreSQL 15 or later (DATABASE_URL, an embedded one in the data directory)"),
  Flag.withFallbackConfig(Config.Redacted("DATABASE_URL")),
  Flag.filter(isDatabaseUrl, () => "a URL such as postgres://user:password@host:5432/database"),
  Flag.optional
)

export const sessionDatabaseUrl = Flag.Redacted("session-database-url").pipe(
  Flag.withMetavar("URL"),
  Flag.withDescription(
    "PostgreSQL itself, for sessions that listen or lock, where --database-url is a pooler in transaction mode " +
      "(LOCKSTEP_SESSION_DATABASE_URL, the same)"
  ),
  Flag.withFallbackConfig(Config.Redacted("LOCKSTEP_SESSION_DATABASE_URL")),
  Flag.filter(isDatabaseUrl, () => "a URL such as postgres://user:password@host:5432/database"),
  Flag.optional
)

export const dataDir = text(
  "data-dir",
  "DIR",
  "embedded database and published versions, shared by all replicas (LOCKSTEP_DATA_DIR, .lockstep)"
).pipe(
  Flag.withFallbackConfig(Config.String("LOCKSTEP_DATA_DIR")),
  Flag.withDefault(".lockstep")
)

export const configFlag = text(
  "config",
  "FILE",
  "configuration file; none does not look for one (lockstep.config.ts in the working directory)"
).pipe(Flag.optional)

/** What `lockstep worker` takes. */
export const workerFlags = {
  databaseUrl,
  sessionDatabaseUrl,
  dataDir,
  prerenderer,
  replicaUrls,
  config: configFlag,
  ...observabilityFlags
}

/** What `lockstep serve` takes. */
export const serveFlags = {
  config: configFlag,
  realmsDir: Argument.String("REALMS_DIR").pipe(
    Argument.withDescription("every directory in it is a source realm (the data directory's realms)"),
    Argument.optional
  ),
  port: text("port", "PORT", "0 picks a free one (LOCKSTEP_PORT, 4201)").pipe(
    Flag.withFallbackConfig(Config.String("LOCKSTEP_PORT")),
    Flag.withDefault("4201"),
    Flag.filterMap(parsePort, () => "a port from 0 to 65535")
  ),
  host: text("host", "HOST", "address to listen on (LOCKSTEP_HOST, 127.0.0.1)").pipe(
    Flag.withFallbackConfig(Config.String("LOCKSTEP_HOST")),
    Flag.withDefault("127.0.0.1")
  ),
  publicUrl: text(
    "public-url",
    "URL",
    "base of realm URLs, the same on every replica (LOCKSTEP_PUBLIC_URL, http://localhost:4201/)"
  ).pipe(
    Flag.withFallbackConfig(Config.String("LOCKSTEP_PUBLIC_URL")),
    Flag.withDefault("http://localhost:4201/"),
    Flag.filterMap(parseBaseUrl, () => "an http or https URL without query, such as https://modules.example/")
  ),
  databaseUrl,
  sessionDatabaseUrl,
  dataDir,
  replicaId: text(
    "replica-id",
    "ID",
    "name in headers and in the fleet (LOCKSTEP_REPLICA_ID, host name and process id)"
  )
    .pipe(
      Flag.withFallbackConfig(Config.String("LOCKSTEP_REPLICA_ID")),
      // It travels in a header of every answer.
      Flag.filter((id) => /^[\x21-\x7e]{1,128}$/.test(id), () => "up to 128 visible ASCII characters"),
      Flag.optional
    ),
  workers: Flag.Int("workers").pipe(
    Flag.withMetavar("N"),
    Flag.withDescription("transpile threads (one less than the cores)"),
    Flag.filter((count) => count >= 1 && count <= 256, () => "a number from 1 to 256"),
    Flag.optional
  ),
  cacheBytes: text("cache-bytes", "SIZE", "bound of the cache in memory (256MiB)").pipe(
    Flag.withDefault("256MiB"),
    Flag.filterMap(parseSize, () => "a size of at least 1KiB, such as 256MiB or 1.5GB")
  ),
  advertiseUrl: text("advertise-url", "URL", "how other replicas and workers reach this one (its host and port)").pipe(
    Flag.filterMap(parseServerUrl, () => "an http or https URL, such as http://10.0.0.5:4201"),
    Flag.optional
  ),
  lease: duration("lease", "3s", "how long a replica may trust its memory without hearing from PostgreSQL"),
  drainDelay: text(
    "drain-delay",
    "DURATION",
    "after SIGTERM, how long to go on serving while /_ready says no, before draining (0s)"
  ).pipe(
    Flag.withDefault("0s"),
    Flag.filterMap(
      (given) => /^0+(m?s)?$/.test(given) ? Option.some(Duration.zero) : parseDrainDelay(given),
      () => "0s, or a duration of at most a minute, such as 5s"
    )
  ),
  onPartition: Flag.Literals("on-partition", ["refuse", "serve"]).pipe(
    Flag.withDescription("when PostgreSQL cannot be asked: answer 503, or from memory with a warning (refuse)"),
    Flag.withDefault("refuse")
  ),
  trustProxy: Flag.Boolean("trust-proxy").pipe(
    Flag.withDescription("believe x-forwarded-host and x-forwarded-proto; only behind a proxy that sets them"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  warmUp: Flag.Boolean("warm-up").pipe(
    Flag.withDescription("after a publish, make what was in use before it is asked for; --no-warm-up does not (yes)"),
    Flag.withDefault(true)
  ),
  watch: Flag.Boolean("watch").pipe(
    Flag.withDescription("make invalidations of edits on disk; --no-watch leaves that to others (yes)"),
    Flag.withDefault(true)
  ),
  worker: Flag.Boolean("worker").pipe(
    Flag.withDescription("take reindex jobs as well; --no-worker leaves them to others (on)"),
    Flag.withDefault(true)
  ),
  ...accessFlags,
  replicaUrls,
  prerenderer,
  transpiler: Flag.Literals("transpiler", ["babel", "oxc"]).pipe(
    Flag.withDescription(
      "what makes JavaScript: Babel, or oxc, which is faster and leaves to Babel what it lacks (babel)"
    ),
    Flag.withDefault("babel")
  ),
  preset: Flag.Literals("preset", ["ember", "none"]).pipe(
    Flag.withDescription("what compiles .gts and .gjs, by packages of the host's (none)"),
    Flag.optional
  ),
  jsxImportSource: text("jsx-import-source", "NAME", "where JSX comes from (react)").pipe(Flag.withDefault("react")),
  ...observabilityFlags,
  transpileTimeout: duration("transpile-timeout", "20s", "how long one module may take to transpile")
}

export type ServeOptions = Command.Command.Config.Infer<typeof serveFlags>
