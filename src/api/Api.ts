import { Schema } from "effect"
import { DefinitionFault, ExportResult } from "../domain/Definition.ts"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware, HttpApiSchema, OpenApi } from "effect/http-api"

/** RFC 9457: what went wrong, for people (`title`, `detail`) and for programs (`type`, stable). */
export const Problem = Schema.Struct({
  type: Schema.String,
  title: Schema.String,
  status: Schema.Int,
  detail: Schema.String
}).annotate({ identifier: "Problem" })

const problem = (status: number) =>
  Problem.pipe(
    HttpApiSchema.asJson({ contentType: "application/problem+json" }),
    HttpApiSchema.status(status)
  )

const Generation = Schema.Int

/** How many replicas live, and how many cannot answer from before the change any more. */
export const Replicas = Schema.Struct({ live: Schema.Int, acked: Schema.Int })

export const Published = Schema.Struct({
  realmURL: Schema.String,
  generation: Generation,
  status: Schema.Literal("pending"),
  lastPublishedAt: Schema.NullOr(Schema.String),
  replicas: Replicas
})

export const Retired = Schema.Struct({ realmURL: Schema.String, generation: Generation, replicas: Replicas })

export const Created = Schema.Struct({ realmURL: Schema.String, generation: Generation })

export const Invalidated = Schema.Struct({ realmURL: Schema.String, generation: Generation })

export const RealmEntry = Schema.Struct({
  url: Schema.String,
  kind: Schema.Literals(["source", "published"]),
  generation: Generation,
  sourceURL: Schema.optionalKey(Schema.String),
  lastPublishedAt: Schema.optionalKey(Schema.String)
})

export const Realms = Schema.Struct({ realms: Schema.Array(RealmEntry) })

/** The answer of `GET <realm>_definitions`. */
export const Definitions = Schema.Struct({
  /** URL with the file's extension. */
  module: Schema.String,
  canonicalPath: Schema.String,
  definitions: Schema.Array(ExportResult),
  /** Import specifiers, as written. */
  imports: Schema.Array(Schema.String),
  /** URLs of the modules that the definitions were made from. */
  dependencies: Schema.Array(Schema.String),
  error: Schema.NullOr(DefinitionFault)
})

/** A reindex that is not done: `dead` when it failed too often. */
export const Job = Schema.Struct({
  id: Schema.Int,
  kind: Schema.Literal("reindex"),
  realmUrl: Schema.String,
  generation: Generation,
  state: Schema.Literals(["waiting", "running", "done", "superseded", "dead"]),
  attempts: Schema.Int,
  indexed: Schema.NullOr(Schema.Int),
  total: Schema.NullOr(Schema.Int),
  error: Schema.NullOr(Schema.String)
})

export const Status = Schema.Struct({
  replicaId: Schema.String,
  uptimeSeconds: Schema.Finite,
  transpiles: Schema.Int,
  l1Hits: Schema.Int,
  finishedHits: Schema.Int,
  l2Hits: Schema.Int,
  joined: Schema.Int,
  l2WriteRejected: Schema.Int,
  l2Errors: Schema.Int,
  invalidationsReceived: Schema.Int,
  listenerReconnects: Schema.Int,
  gapsRepaired: Schema.Int,
  leaseExpiries: Schema.Int,
  takeovers: Schema.Int,
  malformedPayloads: Schema.Int,
  failovers: Schema.Int,
  editsNoticed: Schema.Int,
  batchesFinished: Schema.Int,
  definitionHits: Schema.Int,
  definitionsComputed: Schema.Int,
  definitionsInvalidated: Schema.Int,
  definitionsCascaded: Schema.Int,
  renderings: Schema.Int,
  renderingsKept: Schema.Int,
  jobsDone: Schema.Int,
  jobsFailed: Schema.Int,
  jobTakeovers: Schema.Int,
  poolConnections: Schema.Int,
  lockConnections: Schema.Int,
  leaseHeld: Schema.Boolean,
  l1Bytes: Schema.Int,
  applied: Schema.Record(Schema.String, Generation),
  mounted: Schema.Array(Schema.String),
  jobs: Schema.Array(Job),
  replicas: Schema.Array(Schema.Struct({
    replicaId: Schema.String,
    bootId: Schema.String,
    advertiseUrl: Schema.String,
    leaseMillis: Schema.Finite
  }))
})

const url = Schema.String.annotate({ description: "A realm's URL; ends in a slash" })

const management = HttpApiGroup.make("management", { topLevel: true })
  .add(HttpApiEndpoint.post("createRealm", "/_create-realm", {
    payload: Schema.Struct({ name: Schema.String, from: Schema.optionalKey(Schema.String) }),
    success: Created.pipe(HttpApiSchema.status(201)),
    error: [problem(403), problem(409), problem(503)]
  }))
  .add(HttpApiEndpoint.post("publishRealm", "/_publish-realm", {
    payload: Schema.Struct({ sourceRealmURL: url, publishedRealmURL: url }),
    success: Published.pipe(HttpApiSchema.status(202)),
    error: [problem(403), problem(404), problem(409), problem(503)]
  }))
  .add(HttpApiEndpoint.post("unpublishRealm", "/_unpublish-realm", {
    payload: Schema.Struct({ publishedRealmURL: url }),
    success: Retired,
    error: [problem(403), problem(404), problem(409), problem(503)]
  }))
  .add(HttpApiEndpoint.post("deleteRealm", "/_delete-realm", {
    payload: Schema.Struct({ realmURL: url }),
    success: Retired,
    error: [problem(403), problem(404), problem(503)]
  }))
  .add(HttpApiEndpoint.post("invalidate", "/_invalidate", {
    payload: Schema.Struct({ realmURL: url, path: Schema.optionalKey(Schema.String) }),
    success: Invalidated,
    error: [problem(403), problem(404), problem(503)]
  }))
  .add(HttpApiEndpoint.post("reindex", "/_reindex", {
    payload: Schema.Struct({ realmURL: url }),
    success: Invalidated.pipe(HttpApiSchema.status(202)),
    error: [problem(403), problem(404), problem(503)]
  }))
  .add(HttpApiEndpoint.get("realms", "/_realms", { success: Realms, error: problem(503) }))
  .add(HttpApiEndpoint.get("status", "/_status", { success: Status }))
  .add(HttpApiEndpoint.get("health", "/_health", {
    success: Schema.Struct({ status: Schema.Literal("ok"), replicaId: Schema.String })
  }))
  .add(HttpApiEndpoint.get("ready", "/_ready", {
    success: Schema.Struct({ ready: Schema.Literal(true), replicaId: Schema.String }),
    error: problem(503)
  }))
  .add(HttpApiEndpoint.get("metrics", "/_metrics", {
    success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4" }))
  }))

/** What a request does not have the shape for (400), before any handler sees it. */
export class RequestShape extends HttpApiMiddleware.Service<RequestShape>()("lockstep/api/RequestShape", {
  error: problem(400)
}) {}

/** The management interface of a replica, as its OpenAPI document shows it. */
export class Api extends HttpApi.make("lockstep")
  .add(management)
  .middleware(RequestShape)
  .annotateMerge(OpenApi.annotations({
    title: "Lockstep",
    version: "0.1.0",
    description: "Serves transpiled ES modules from many replicas as if they were one."
  }))
{}
