import { Schema } from "effect"

/** The request brings no credentials where they are needed, or some that are not good (401). */
export class Unauthenticated
  extends Schema.TaggedError<Unauthenticated>("lockstep/Unauthenticated")("Unauthenticated", {
    detail: Schema.String,
    /** Credentials were sent, and are refused. */
    refused: Schema.Boolean
  })
{
  override get message() {
    return this.detail
  }
}

/** Whoever sends the request is known, and may not do this (403). */
export class Forbidden extends Schema.TaggedError<Forbidden>("lockstep/Forbidden")("Forbidden", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** Credentials cannot be checked now: what has the keys does not answer (503). */
export class KeysUnavailable
  extends Schema.TaggedError<KeysUnavailable>("lockstep/KeysUnavailable")("KeysUnavailable", {
    cause: Schema.Defect()
  })
{
  override get message() {
    return `the keys that tokens are signed with could not be fetched: ${
      this.cause instanceof Error ? this.cause.message : String(this.cause)
    }`
  }
}

/** The replica would listen where everybody may reach it, and let everybody do everything. */
export class AccessNotConfigured
  extends Schema.TaggedError<AccessNotConfigured>("lockstep/AccessNotConfigured")("AccessNotConfigured", {
    host: Schema.String
  })
{
  override get message() {
    return `${this.host} can be reached from other machines, and nothing says who may do what: set an admin token ` +
      "(--token-file FILE, or LOCKSTEP_TOKEN; openssl rand -hex 32 makes one), or --jwks-url or --jwt-secret-file for " +
      "tokens of users, or listen on 127.0.0.1"
  }
}

/** What the access is configured with cannot work. */
export class AccessMisconfigured
  extends Schema.TaggedError<AccessMisconfigured>("lockstep/AccessMisconfigured")("AccessMisconfigured", {
    detail: Schema.String
  })
{
  override get message() {
    return this.detail
  }
}
