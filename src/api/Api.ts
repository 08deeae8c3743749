import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware, HttpApiSchema, OpenApi } from "effect/http-api"
import { DefinitionFault, ExportResult } from "../domain/Definition.ts"
import { fleet } from "./Fleet.ts"
import { Job } from "./Job.ts"
import { problem } from "./Problem.ts"

export { Job } from "./Job.ts"
export { Problem } from "./Problem.ts"

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
  /** Left out for a public one. */
  visibility: Schema.optionalKey(Schema.Literal("private")),
  lastPublishedAt: Schema.optionalKey(Schema.String)
})

export const Realms = Schema.Struct({ realms: Schema.Array(RealmEntry) })

export const Visibility = Schema.Literals(["public", "private"])

export const Permission = Schema.Literals(["read", "write", "owner"])

/** Who may do what with a realm. */
export const Permissions = Schema.Struct({
  realmURL: Schema.String,
  /** 0 for a URL that no realm has yet. */
  generation: Generation,
  visibility: Schema.NullOr(Visibility),
  permissions: Schema.Array(Schema.Struct({ user: Schema.String, permission: Permission }))
})

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
    leaseMillis: Schema.Finite,
    /** What it says; null where it does not answer within a second. */
    leaseHeld: Schema.NullOr(Schema.Boolean),
    applied: Schema.NullOr(Schema.Record(Schema.String, Generation))
  }))
})

const url = Schema.String.annotate({ description: "A realm's URL; ends in a slash" })

const management = HttpApiGroup.make("management", { topLevel: true })
  .add(HttpApiEndpoint.post("createRealm", "/_create-realm", {
    payload: Schema.Struct({
      name: Schema.String,
      from: Schema.optionalKey(Schema.String),
      private: Schema.optionalKey(Schema.Boolean)
    }),
    success: Created.pipe(HttpApiSchema.status(201)),
    error: [problem(401), problem(403), problem(409), problem(503)]
  }))
  .add(HttpApiEndpoint.post("publishRealm", "/_publish-realm", {
    payload: Schema.Struct({
      sourceRealmURL: url,
      publishedRealmURL: url,
      private: Schema.optionalKey(Schema.Boolean)
    }),
    success: Published.pipe(HttpApiSchema.status(202)),
    error: [problem(401), problem(403), problem(404), problem(409), problem(503)]
  }))
  .add(HttpApiEndpoint.post("unpublishRealm", "/_unpublish-realm", {
    payload: Schema.Struct({ publishedRealmURL: url }),
    success: Retired,
    error: [problem(401), problem(403), problem(404), problem(409), problem(503)]
  }))
  .add(HttpApiEndpoint.post("deleteRealm", "/_delete-realm", {
    payload: Schema.Struct({ realmURL: url }),
    success: Retired,
    error: [problem(401), problem(403), problem(404), problem(503)]
  }))
  .add(HttpApiEndpoint.post("invalidate", "/_invalidate", {
    payload: Schema.Struct({ realmURL: url, path: Schema.optionalKey(Schema.String) }),
    success: Invalidated,
    error: [problem(401), problem(403), problem(404), problem(503)]
  }))
  .add(HttpApiEndpoint.post("reindex", "/_reindex", {
    payload: Schema.Struct({ realmURL: url }),
    success: Invalidated.pipe(HttpApiSchema.status(202)),
    error: [problem(401), problem(403), problem(404), problem(503)]
  }))
  .add(HttpApiEndpoint.get("permissions", "/_permissions", {
    query: { realmURL: url },
    success: Permissions,
    error: [problem(401), problem(403), problem(404), problem(503)]
  }))
  .add(HttpApiEndpoint.post("changePermissions", "/_permissions", {
    payload: Schema.Struct({
      realmURL: url,
      user: Schema.optionalKey(Schema.String),
      /** The user's from now on. */
      permission: Schema.optionalKey(Schema.Literals(["read", "write", "owner", "none"])),
      visibility: Schema.optionalKey(Visibility)
    }),
    success: Permissions,
    error: [problem(401), problem(403), problem(404), problem(409), problem(503)]
  }))
  .add(HttpApiEndpoint.get("realms", "/_realms", { success: Realms, error: [problem(401), problem(503)] }))
  .add(HttpApiEndpoint.get("status", "/_status", { success: Status, error: problem(401) }))
  .add(HttpApiEndpoint.get("health", "/_health", {
    success: Schema.Struct({ status: Schema.Literal("ok"), replicaId: Schema.String, version: Schema.String })
  }))
  .add(HttpApiEndpoint.get("ready", "/_ready", {
    success: Schema.Struct({ ready: Schema.Literal(true), replicaId: Schema.String }),
    error: problem(503)
  }))
  .add(HttpApiEndpoint.get("metrics", "/_metrics", {
    success: Schema.String.pipe(HttpApiSchema.asText({ contentType: "text/plain; version=0.0.4; charset=utf-8" })),
    error: [problem(401), problem(403)]
  }))

/** What a request does not have the shape for (400), before any handler sees it. */
export class RequestShape extends HttpApiMiddleware.Service<RequestShape>()("lockstep/api/RequestShape", {
  error: problem(400)
}) {}

/** The management interface of a replica, as its OpenAPI document shows it. */
export class Api extends HttpApi.make("lockstep")
  .add(management)
  .add(fleet)
  .middleware(RequestShape)
  .annotateMerge(OpenApi.annotations({
    title: "Lockstep",
    version: "0.1.0",
    description: "Serves transpiled ES modules from many replicas as if they were one."
  }))
{}
