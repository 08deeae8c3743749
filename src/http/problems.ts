import { Effect } from "effect"
import { HttpServerResponse } from "effect/http"
import type * as Errors from "../domain/errors.ts"
import { sourceTag } from "./conditional.ts"
import type { Forbidden, KeysUnavailable, Unauthenticated } from "../access/errors.ts"
import type { TranspileFailure } from "../transpile/Transpiler.ts"

/** Every failure that a program can end in. */
export type Failure =
  | Errors.CommitConflict
  | Errors.DatabaseError
  | Errors.DefinitionError
  | Errors.DefinitionNotFound
  | Errors.FileConflict
  | Errors.FileFailure
  | Errors.FileNotFound
  | Errors.GenerationAhead
  | Errors.InvalidInput
  | Errors.LockTimeout
  | Errors.NotReady
  | Errors.PreconditionFailed
  | Errors.RealmConflict
  | Errors.RealmNotFound
  | Errors.RealmNotWritable
  | Errors.RealmTooLarge
  | Forbidden
  | KeysUnavailable
  | TranspileFailure
  | Unauthenticated

interface Kind {
  /** The stable part of the problem's `type`. */
  readonly type: string
  readonly status: number
  readonly title: string
  /** Seconds, for failures that may pass. */
  readonly retryAfter?: number
}

const kinds: { readonly [Tag in Failure["_tag"]]: Kind } = {
  CommitConflict: { type: "commit-conflict", status: 503, title: "Another writer came first", retryAfter: 1 },
  DatabaseError: { type: "database-unavailable", status: 503, title: "PostgreSQL cannot be asked", retryAfter: 1 },
  DefinitionError: { type: "definition-error", status: 422, title: "The module cannot be analysed" },
  DefinitionNotFound: { type: "definition-not-found", status: 404, title: "No such definition" },
  FileConflict: { type: "file-conflict", status: 409, title: "The path is taken" },
  FileFailure: { type: "file-failure", status: 503, title: "The realm's files cannot be used", retryAfter: 5 },
  FileNotFound: { type: "file-not-found", status: 404, title: "No such file" },
  Forbidden: { type: "forbidden", status: 403, title: "That is not allowed" },
  GenerationAhead: { type: "generation-ahead", status: 409, title: "That generation does not exist" },
  InvalidInput: { type: "invalid-input", status: 400, title: "The request is not valid" },
  KeysUnavailable: { type: "keys-unavailable", status: 503, title: "Tokens cannot be checked", retryAfter: 1 },
  LockTimeout: { type: "realm-busy", status: 503, title: "The realm is being written", retryAfter: 1 },
  NotReady: { type: "not-ready", status: 503, title: "The replica is not ready", retryAfter: 1 },
  PreconditionFailed: { type: "precondition-failed", status: 412, title: "The file is not as expected" },
  RealmConflict: { type: "realm-conflict", status: 409, title: "The realm is in the way" },
  RealmNotFound: { type: "realm-not-found", status: 404, title: "No such realm" },
  RealmNotWritable: { type: "realm-not-writable", status: 405, title: "The realm is read-only" },
  RealmTooLarge: { type: "realm-too-large", status: 413, title: "The realm would become too large" },
  TranspileError: { type: "transpile-error", status: 422, title: "The module does not transpile" },
  TranspileTimeout: { type: "transpile-timeout", status: 503, title: "The module takes too long", retryAfter: 10 },
  TranspilerUnavailable: { type: "transpiler-busy", status: 503, title: "The transpiler is busy", retryAfter: 1 },
  Unauthenticated: { type: "unauthenticated", status: 401, title: "Credentials are needed" }
}

const noStore = { "cache-control": "no-store" }

/** An RFC 9457 answer that no cache may keep. */
export const problem = (
  kind: Kind,
  detail: string,
  more: { readonly fields?: Readonly<Record<string, unknown>>; readonly headers?: Readonly<Record<string, string>> } =
    {}
) =>
  HttpServerResponse.jsonUnsafe(
    { type: `urn:lockstep:${kind.type}`, title: kind.title, status: kind.status, detail, ...more.fields },
    {
      status: kind.status,
      contentType: "application/problem+json",
      headers: {
        ...noStore,
        ...(kind.retryAfter === undefined ? {} : { "retry-after": String(kind.retryAfter) }),
        ...more.headers
      }
    }
  )

/** The answer that tells of a failure. */
export const problemOf = (failure: Failure) => {
  const kind = kinds[failure._tag]
  switch (failure._tag) {
    case "TranspileError": {
      const { codeFrame, column, detail, line, path } = failure
      return problem(kind, detail, { fields: { path, line, column, codeFrame } })
    }
    case "DefinitionError": {
      const { at, column, detail, line } = failure
      return problem(kind, detail, { fields: { module: at, line, column } })
    }
    case "PreconditionFailed": {
      const etag = failure.hash === null ? null : sourceTag(failure.hash)
      return problem(
        kind,
        etag === null
          ? failure.message
          : `${failure.message}. The tag of its bytes is ${etag}, which GET with ?source gives; that of a module's JavaScript ` +
            "is another",
        { fields: { etag }, ...(etag !== null && { headers: { etag } }) }
      )
    }
    case "RealmNotWritable":
      return problem(kind, failure.message, { headers: { allow: "GET, HEAD" } })
    case "Unauthenticated":
      // RFC 6750.
      return problem(kind, failure.message, {
        headers: { "www-authenticate": `Bearer realm="lockstep"${failure.refused ? `, error="invalid_token"` : ""}` }
      })
    case "KeysUnavailable":
      return problem(kind, "the keys that tokens are signed with could not be fetched; try again")
    case "DatabaseError":
      // The cause may name hosts and accounts: the log has it, the client needs to know only what to do.
      return problem(kind, `PostgreSQL could not ${failure.operation}; try again`)
    default:
      return problem(kind, failure.message)
  }
}

/** The same, with what only the log may know. */
export const answerTo = (failure: Failure) =>
  Effect.as(
    failure._tag === "DatabaseError" || failure._tag === "KeysUnavailable"
      ? Effect.logWarning(failure.message)
      : Effect.void,
    problemOf(failure)
  )

/** Whether an error is one of ours, and not a bug's. */
export const isFailure = (error: unknown): error is Failure =>
  typeof error === "object" && error !== null && "_tag" in error && typeof error._tag === "string" &&
  error._tag in kinds

export const methodNotAllowed = (method: string, allow: string) =>
  problem(
    { type: "method-not-allowed", status: 405, title: "The method does not apply here" },
    `${method} does not apply here; allowed: ${allow}`,
    { headers: { allow } }
  )

export const noSuchEndpoint = (path: string) =>
  problem({ type: "no-such-endpoint", status: 404, title: "No such endpoint" }, `nothing answers at ${path}`)

export const payloadTooLarge = (limit: string) =>
  problem(
    { type: "payload-too-large", status: 413, title: "The body is too large" },
    `a body may have ${limit} at most`
  )

export const pathTooLong = (limit: number) =>
  problem({ type: "path-too-long", status: 414, title: "The path is too long" }, `a path may have ${limit} characters`)

export const tooManyOperations = (limit: number) =>
  problem(
    { type: "batch-too-large", status: 413, title: "The batch is too large" },
    `a batch may have ${limit} operations at most: send several, each of which is all or nothing`
  )

const rateLimited = { type: "rate-limited", status: 429, title: "Too many requests" }

export const tooManyRequests = (seconds: number) =>
  problem(
    { ...rateLimited, retryAfter: seconds },
    "this client asks more often than this server allows; try again later"
  )

export const unknownHost = (host: string) =>
  problem(
    { type: "unknown-host", status: 421, title: "Not a host of this server" },
    `nobody said that ${host} is this server: name it with --public-url or --advertise-url, or set a token ` +
      "(--token-file), with which any name will do"
  )

export const otherOrigin = () =>
  problem(
    { type: "other-origin", status: 403, title: "A page of another origin may not write" },
    "this request was sent by a page of another origin: send it from a page of this origin, or from a server, which sends " +
      "neither sec-fetch-site nor origin. Behind a proxy that changes the host header, start with --trust-proxy"
  )

export const unsupportedType = () =>
  problem(
    { type: "unsupported-media-type", status: 415, title: "The body has the wrong type" },
    "this endpoint takes JSON: send it with content-type: application/json"
  )

export const tooManyReaders = () =>
  problem(
    { type: "too-many-readers", status: 503, title: "Too many readers of events", retryAfter: 10 },
    "this replica has as many readers of its events as it takes; ask another, or later"
  )

export const invalidRequest = (detail: string) => problem(kinds.InvalidInput, detail)

export const internalError = () =>
  problem(
    { type: "internal-error", status: 500, title: "Lockstep failed" },
    "this is a bug in Lockstep; the server's log has the details"
  )
