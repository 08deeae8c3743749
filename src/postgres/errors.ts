import { Effect, Schema } from "effect"

/** No PostgreSQL is packaged for this machine, or the package was not installed. */
export class PostgresBinariesMissing extends Schema.TaggedError<PostgresBinariesMissing>(
  "lockstep/PostgresBinariesMissing"
)("PostgresBinariesMissing", { packageName: Schema.String }) {
  override get message() {
    return `the embedded PostgreSQL needs the package ${this.packageName}, which is not installed: ` +
      "install Lockstep's optional dependencies on a platform that has it (npm ci --include=optional), " +
      "or set DATABASE_URL to a PostgreSQL 15 or later"
  }
}

/** The embedded server could not be set up, found, started or stopped. `serverLog` is the end of its log, or empty. */
export class EmbeddedPostgresError extends Schema.TaggedError<EmbeddedPostgresError>(
  "lockstep/EmbeddedPostgresError"
)("EmbeddedPostgresError", {
  reason: Schema.String,
  serverLog: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message() {
    const log = this.serverLog === "" ? "" : `\nthe end of the server's log:\n${this.serverLog}`
    return `embedded PostgreSQL: ${this.reason}${log}`
  }
}

export const failure = (reason: string, serverLog = "") => new EmbeddedPostgresError({ reason, serverLog })

const detailOf = (cause: unknown) => cause instanceof Error ? cause.message : String(cause)

/** Runs file system work; `doing` completes the sentence "could not ...". */
export const attempt = <A>(doing: string, work: () => Promise<A>): Effect.Effect<A, EmbeddedPostgresError> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) =>
      new EmbeddedPostgresError({ reason: `could not ${doing}: ${detailOf(cause)}`, serverLog: "", cause })
  })
