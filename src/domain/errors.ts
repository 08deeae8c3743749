import { Formatter, Schema } from "effect"

/** The request itself is wrong (400): what is wrong and what would be right. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>("lockstep/InvalidInput")("InvalidInput", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** No live realm has this URL (404). */
export class RealmNotFound extends Schema.TaggedError<RealmNotFound>("lockstep/RealmNotFound")("RealmNotFound", {
  realmUrl: Schema.String
}) {
  override get message() {
    return `no realm is mounted at ${this.realmUrl}`
  }
}

/** The realm exists, but not in the state that the operation needs (409). */
export class RealmConflict extends Schema.TaggedError<RealmConflict>("lockstep/RealmConflict")("RealmConflict", {
  realmUrl: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.realmUrl}: ${this.detail}`
  }
}

/** A published realm is a snapshot: it changes by publishing only (405). */
export class RealmNotWritable extends Schema.TaggedError<RealmNotWritable>("lockstep/RealmNotWritable")(
  "RealmNotWritable",
  { realmUrl: Schema.String }
) {
  override get message() {
    return `${this.realmUrl} is a published realm and read-only; write to its source realm and publish again`
  }
}

/** The realm has no such file (404). */
export class FileNotFound extends Schema.TaggedError<FileNotFound>("lockstep/FileNotFound")("FileNotFound", {
  realmUrl: Schema.String,
  path: Schema.String,
  detail: Schema.optionalKey(Schema.String)
}) {
  override get message() {
    return `${this.path} ${this.detail ?? "does not exist"} in ${this.realmUrl}`
  }
}

/** What is at the path stands in the way of the operation (409). */
export class FileConflict extends Schema.TaggedError<FileConflict>("lockstep/FileConflict")("FileConflict", {
  realmUrl: Schema.String,
  path: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.path} in ${this.realmUrl} ${this.detail}`
  }
}

/** The file is not as the request's condition says that it must be (412). */
export class PreconditionFailed extends Schema.TaggedError<PreconditionFailed>("lockstep/PreconditionFailed")(
  "PreconditionFailed",
  {
    realmUrl: Schema.String,
    path: Schema.String,
    /** SHA-256 of the file's bytes, base64url; null where there is none. */
    hash: Schema.NullOr(Schema.String)
  }
) {
  override get message() {
    const found = this.hash === null ? "does not exist" : "has other bytes than the request's condition names"
    return `${this.path} in ${this.realmUrl} ${found}; nothing was changed`
  }
}

/** There is no such module, or it exports nothing by this name (404). */
export class DefinitionNotFound extends Schema.TaggedError<DefinitionNotFound>("lockstep/DefinitionNotFound")(
  "DefinitionNotFound",
  { module: Schema.String, name: Schema.String, detail: Schema.String }
) {
  override get message() {
    return `${this.name} of ${this.module} has no definition: ${this.detail}`
  }
}

/** The code is at fault (422): `at` is the URL of the module where, which may be another than the one asked for. */
export class DefinitionError extends Schema.TaggedError<DefinitionError>("lockstep/DefinitionError")(
  "DefinitionError",
  {
    module: Schema.String,
    name: Schema.String,
    at: Schema.String,
    detail: Schema.String,
    line: Schema.NullOr(Schema.Int),
    column: Schema.NullOr(Schema.Int)
  }
) {
  override get message() {
    return `${this.name} of ${this.module} has no definition: ${this.detail}`
  }
}

/** The realm's files could not be read, copied or written (503): which file, and the system's own words. */
export class FileFailure extends Schema.TaggedError<FileFailure>("lockstep/FileFailure")("FileFailure", {
  operation: Schema.String,
  path: Schema.String,
  code: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `could not ${this.operation} ${this.path}: ${this.detail}`
  }
}

/** The caller asked for a generation that this realm has not reached (409). */
export class GenerationAhead extends Schema.TaggedError<GenerationAhead>("lockstep/GenerationAhead")(
  "GenerationAhead",
  { realmUrl: Schema.String, asked: Schema.Finite, current: Schema.Finite }
) {
  override get message() {
    return `${this.realmUrl} is at generation ${this.current}; generation ${this.asked} does not exist`
  }
}

/** Another writer committed first, although the lock was held: the lock's session was lost in between (503, try again). */
export class CommitConflict extends Schema.TaggedError<CommitConflict>("lockstep/CommitConflict")("CommitConflict", {
  realmUrl: Schema.String,
  expected: Schema.Finite
}) {
  override get message() {
    return `${this.realmUrl} moved past generation ${this.expected} while this operation held its lock; nothing was changed`
  }
}

/** The realm would have more files or bytes than one may have (413). */
export class RealmTooLarge extends Schema.TaggedError<RealmTooLarge>("lockstep/RealmTooLarge")("RealmTooLarge", {
  realmUrl: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return `${this.realmUrl} ${this.detail}; nothing was changed`
  }
}

/** The realm's write lock could not be had in time (503). */
export class LockTimeout extends Schema.TaggedError<LockTimeout>("lockstep/LockTimeout")("LockTimeout", {
  realmUrl: Schema.String,
  waitedMs: Schema.Finite
}) {
  override get message() {
    return `another writer has held ${this.realmUrl} for ${this.waitedMs} ms; try again later`
  }
}

/** The replica answers, but requests are better sent to another one (503). */
export class NotReady extends Schema.TaggedError<NotReady>("lockstep/NotReady")("NotReady", {
  detail: Schema.String
}) {
  override get message() {
    return this.detail
  }
}

/** PostgreSQL failed or did not answer in time (503). */
export class DatabaseError extends Schema.TaggedError<DatabaseError>("lockstep/DatabaseError")("DatabaseError", {
  operation: Schema.String,
  cause: Schema.Defect()
}) {
  override get message() {
    const { cause } = this
    const why = cause instanceof Error ? cause.message : typeof cause === "string" ? cause : Formatter.format(cause)
    return `PostgreSQL could not ${this.operation}: ${why}`
  }
}
