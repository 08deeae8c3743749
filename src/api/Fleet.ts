import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema } from "effect/http-api"
import { Job } from "./Job.ts"
import { problem } from "./Problem.ts"

/** A histogram as Prometheus has it: each bucket counts what is at or below its bound, in seconds; the last has none. */
export const Histogram = Schema.Struct({
  buckets: Schema.Array(Schema.Struct({ le: Schema.NullOr(Schema.Finite), count: Schema.Int })),
  count: Schema.Int,
  sum: Schema.Finite
})

/** Where modules came from, counted up to this moment. The last moments are for a curve. */
export const Sample = Schema.Struct({
  at: Schema.Finite,
  l1Hits: Schema.Int,
  l2Hits: Schema.Int,
  joined: Schema.Int,
  transpiles: Schema.Int
})

/** What one replica says of itself. Times are milliseconds; `at` is its own wall clock. */
export const Report = Schema.Struct({
  replicaId: Schema.String,
  bootId: Schema.String,
  version: Schema.String,
  at: Schema.Finite,
  uptimeSeconds: Schema.Finite,
  lease: Schema.Struct({
    held: Schema.Boolean,
    millis: Schema.Finite,
    /** Since the last renewal began; null if there was none. */
    ageMillis: Schema.NullOr(Schema.Finite)
  }),
  /** The counters of `/_status`. */
  counters: Schema.Record(Schema.String, Schema.Int),
  load: Schema.Struct({
    /** Transpiles that somebody waits for here, whether they have a worker or not. */
    transpiles: Schema.Int,
    /** Jobs of the worker farm, analyses and source maps included; null where there is no farm. */
    running: Schema.NullOr(Schema.Int),
    waiting: Schema.NullOr(Schema.Int)
  }),
  l1Bytes: Schema.Int,
  /** Since this boot; several replicas in one process share them. */
  histograms: Schema.Struct({ publishBarrier: Histogram, invalidationDelay: Histogram }),
  samples: Schema.Array(Sample),
  /** The generation that it has applied, of each realm that it has looked at. */
  applied: Schema.Record(Schema.String, Schema.Int)
})

/** A member of the fleet, as the replica that was asked finds it. */
export const Member = Schema.Struct({
  replicaId: Schema.String,
  bootId: Schema.String,
  advertiseUrl: Schema.String,
  leaseMillis: Schema.Finite,
  /** What it said; null where it did not answer within a second. */
  report: Schema.NullOr(Schema.Struct(withoutApplied(Report.fields))),
  failure: Schema.NullOr(Schema.String)
})

function withoutApplied<F extends { readonly applied: unknown }>({ applied: _, ...fields }: F): Omit<F, "applied"> {
  return fields
}

export const FleetRealm = Schema.Struct({
  url: Schema.String,
  kind: Schema.Literals(["source", "published"]),
  generation: Schema.Int,
  sourceURL: Schema.NullOr(Schema.String),
  lastPublishedAt: Schema.NullOr(Schema.String),
  /** Versions that are kept: those of the last publishes. */
  versions: Schema.Int,
  /** Measured in the background; null until then. */
  files: Schema.NullOr(Schema.Int),
  bytes: Schema.NullOr(Schema.Finite),
  /** By boot: the generation that a member has applied; members that have not looked at the realm are left out. */
  applied: Schema.Record(Schema.String, Schema.Int)
})

export const Fleet = Schema.Struct({
  at: Schema.Finite,
  askedReplicaId: Schema.String,
  members: Schema.Array(Member),
  /** Null where PostgreSQL cannot be asked: then only the replica that was asked is among the members. */
  realms: Schema.NullOr(Schema.Struct({
    total: Schema.Int,
    /** How many match. */
    matching: Schema.Int,
    shown: Schema.Array(FleetRealm)
  })),
  jobs: Schema.NullOr(Schema.Array(Job))
})

/** Something that happened on a replica. Only what applies is there. */
export const Event = Schema.Struct({
  replicaId: Schema.String,
  bootId: Schema.String,
  /** Counted by each boot from 1. */
  id: Schema.Int,
  at: Schema.Finite,
  kind: Schema.Literals([
    "publish",
    "invalidation",
    "cascade",
    "transpile",
    "shared",
    "takeover",
    "failure",
    "lease"
  ]),
  realmUrl: Schema.optionalKey(Schema.String),
  path: Schema.optionalKey(Schema.String),
  paths: Schema.optionalKey(Schema.Union([Schema.Literal("*"), Schema.Array(Schema.String)])),
  generation: Schema.optionalKey(Schema.Int),
  millis: Schema.optionalKey(Schema.Finite),
  barrierMillis: Schema.optionalKey(Schema.Finite),
  live: Schema.optionalKey(Schema.Int),
  acked: Schema.optionalKey(Schema.Int),
  cause: Schema.optionalKey(Schema.String),
  via: Schema.optionalKey(Schema.String),
  by: Schema.optionalKey(Schema.String),
  detail: Schema.optionalKey(Schema.String)
})

export const ModuleHistory = Schema.Struct({
  url: Schema.String,
  /** Null where nothing is remembered of its realm. */
  realmURL: Schema.NullOr(Schema.String),
  path: Schema.NullOr(Schema.String),
  members: Schema.Array(Schema.Struct({
    replicaId: Schema.String,
    bootId: Schema.String,
    failure: Schema.NullOr(Schema.String),
    /** Oldest first. */
    events: Schema.Array(Event)
  }))
})

const scope = Schema.Literals(["fleet", "replica"]).annotate({
  description: "The whole fleet (default), or only the replica that is asked"
})

const wholeNumber = (minimum: number, maximum: number) =>
  Schema.NumberFromString.check(Schema.isInt(), Schema.isBetween({ minimum, maximum }))

/** What happens in the fleet, for people and for the dashboard. */
export const fleet = HttpApiGroup.make("fleet", { topLevel: true })
  .add(HttpApiEndpoint.get("replica", "/_replica", { success: Report }))
  .add(HttpApiEndpoint.get("fleet", "/_fleet", {
    query: {
      match: Schema.optionalKey(Schema.String.annotate({ description: "Only realms whose URL has this in it" })),
      limit: Schema.optionalKey(wholeNumber(0, 1000).annotate({ description: "Realms at most; 100 by default" }))
    },
    success: Fleet
  }))
  .add(HttpApiEndpoint.get("events", "/_events", {
    query: {
      scope: Schema.optionalKey(scope),
      recent: Schema.optionalKey(
        wholeNumber(0, 1000).annotate({ description: "How many of the last events to begin with; none by default" })
      )
    },
    headers: { "last-event-id": Schema.optionalKey(Schema.String) },
    success: HttpApiSchema.StreamSse({ data: Event }),
    error: problem(503)
  }))
  .add(HttpApiEndpoint.get("moduleHistory", "/_module-history", {
    query: { url: Schema.String, scope: Schema.optionalKey(scope) },
    success: ModuleHistory,
    error: problem(503)
  }))
