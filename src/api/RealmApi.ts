import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Api, Definitions, Replicas } from "./Api.ts"
import { problem } from "./Problem.ts"

const described = <S extends Schema.Top>(schema: S, description: string) => schema.annotate({ description })

const Generation = Schema.Int

/** Which realm, by its path on the server: `notes`, or `team/notes`. */
const realm = described(Schema.String, "The path of the realm's URL, without slashes around it")

const file = {
  realm,
  path: described(Schema.String, "Path of a file within the realm; a module's extension may be left out to read it")
}

const reading = {
  "x-lockstep-min-generation": Schema.optionalKey(
    described(Schema.FiniteFromString, "A generation that a publish or write has answered: nothing older will do (409)")
  )
}

const writing = {
  wait: Schema.optionalKey(
    described(
      Schema.Literal("all"),
      "Answer when every live replica has applied the change, not only those that are well"
    )
  )
}

const conditions = {
  "if-match": Schema.optionalKey(described(Schema.String, "Write only if the source has this tag (412)")),
  "if-none-match": Schema.optionalKey(described(Schema.String, "With *, write only if there is no such file (412)"))
}

const change = { realmURL: Schema.String, generation: Generation, replicas: Replicas }

/** The answer of a write or removal of one file. */
export const Written = Schema.Struct({ ...change, path: Schema.String })

/** One operation of a batch. */
export const BatchOperation = Schema.Union([
  Schema.Struct({ op: Schema.Literals(["add", "update"]), path: Schema.String, content: Schema.String }),
  Schema.Struct({ op: Schema.Literal("remove"), path: Schema.String })
])

/** The answer of a batch: what became of each file, in order. */
export const BatchWritten = Schema.Struct({
  ...change,
  files: Schema.Array(Schema.Struct({ path: Schema.String, outcome: Schema.String }))
})

/** The answer of a removal of all files: how many there were. */
export const Emptied = Schema.Struct({ ...change, removed: Schema.Int })

/** The answer of `GET <realm>_index`: a stored rendering. */
export const Rendering = Schema.Struct({
  url: Schema.String,
  path: Schema.String,
  isolated_html: Schema.NullOr(Schema.String),
  error: Schema.NullOr(Schema.String),
  generation: Generation,
  hash: Schema.String,
  dependencies: Schema.Array(Schema.Unknown),
  indexed_at: Schema.String
})

/** What a reindex has still to do. */
export const NotReady = Schema.Struct({
  ready: Schema.Literal(false),
  indexed: Schema.optionalKey(Schema.Int),
  total: Schema.optionalKey(Schema.Int),
  error: Schema.optionalKey(Schema.NullOr(Schema.String))
}).annotate({ identifier: "NotReady" })

const bytes = Schema.Uint8Array.pipe(HttpApiSchema.asUint8Array({ contentType: "application/octet-stream" }))

const summary = (text: string, description?: string) =>
  OpenApi.annotations({ summary: text, ...(description !== undefined && { description }) })

const group = HttpApiGroup.make("realm")
  .add(
    HttpApiEndpoint.get("read", "/:realm/:path", {
      params: file,
      headers: { ...reading, accept: Schema.optionalKey(Schema.String) },
      success: bytes,
      error: [problem(400), problem(404), problem(409), problem(422), problem(503)]
    }).annotateMerge(summary(
      "A file; of a module, its JavaScript",
      "Modules (.gts .ts .tsx .gjs .js .jsx .mts .mjs) are answered as text/javascript with a strong ETag; with accept: " +
        "application/vnd.lockstep.source as they are written. Other files have their own type, and a directory is a JSON " +
        "listing. A module that does not transpile is 422 with path, line, column and codeFrame. Published realms answer " +
        "under /{realm}/@{generation}/{path} too, immutable; maps are at {path}.map."
    )).annotate(OpenApi.Transform, (operation) => ({
      ...operation,
      responses: {
        ...operation["responses"],
        200: {
          description: "The file",
          content: {
            "text/javascript": { schema: { type: "string" } },
            "application/vnd.lockstep.source": { schema: { type: "string" } },
            "application/octet-stream": { schema: { type: "string", format: "binary" } }
          }
        }
      }
    }))
  )
  .add(
    HttpApiEndpoint.put("write", "/:realm/:path", {
      params: file,
      query: writing,
      headers: conditions,
      payload: bytes,
      success: [Written, Written.pipe(HttpApiSchema.status(201))],
      error: [
        problem(400),
        problem(403),
        problem(404),
        problem(405),
        problem(409),
        problem(412),
        problem(413),
        problem(503)
      ]
    }).annotateMerge(
      summary("Write a file of a source realm", "The body is the file, of up to 16 MiB, whatever its type")
    )
  )
  .add(
    HttpApiEndpoint.delete("remove", "/:realm/:path", {
      params: file,
      query: writing,
      headers: { "if-match": conditions["if-match"] },
      success: Written,
      error: [problem(400), problem(403), problem(404), problem(405), problem(412), problem(503)]
    }).annotateMerge(summary("Remove a file of a source realm"))
  )
  .add(
    HttpApiEndpoint.delete("empty", "/:realm/", {
      params: { realm },
      query: { ...writing, all: Schema.Literal("true") },
      success: Emptied,
      error: [problem(400), problem(403), problem(404), problem(405), problem(503)]
    }).annotateMerge(summary("Remove all files of a source realm"))
  )
  .add(
    HttpApiEndpoint.post("batch", "/:realm/_atomic", {
      params: { realm },
      query: writing,
      payload: Schema.Struct({ operations: Schema.Array(BatchOperation) }),
      success: BatchWritten,
      error: [problem(400), problem(403), problem(404), problem(405), problem(409), problem(413), problem(503)]
    }).annotateMerge(summary("Write and remove several files, all or none"))
  )
  .add(
    HttpApiEndpoint.get("definitions", "/:realm/_definitions", {
      params: { realm },
      query: {
        module: described(Schema.String, "Path of a module within the realm; its extension may be left out"),
        name: Schema.optionalKey(described(Schema.String, "One of its exports"))
      },
      headers: reading,
      success: Definitions,
      error: [problem(400), problem(404), problem(409), problem(422), problem(503)]
    }).annotateMerge(summary("What a module exports, with inherited members"))
  )
  .add(
    HttpApiEndpoint.get("rendering", "/:realm/_index", {
      params: { realm },
      query: { path: described(Schema.String, "Path of an instance or a module within the realm") },
      headers: reading,
      success: Rendering,
      error: [problem(400), problem(404), problem(409), problem(503)]
    }).annotateMerge(summary("The stored rendering of an instance or module"))
  )
  .add(
    HttpApiEndpoint.get("readiness", "/:realm/_readiness-check", {
      params: { realm },
      headers: reading,
      success: Schema.Struct({ ready: Schema.Literal(true) }),
      error: [problem(404), NotReady.pipe(HttpApiSchema.status(503))]
    }).annotateMerge(
      summary("Whether everything that was to be rendered is", "With accept: text/event-stream it tells when")
    )
  )
  .annotateMerge(OpenApi.annotations({ title: "Realms", description: "Files and modules of one realm" }))

const bearer = { type: "http", scheme: "bearer", description: "An administrator's token, or a user's JWT" }

type Json = Record<string, unknown>

/**
 * One schema of problems, however many endpoints fail in it; and bearer tokens everywhere. They are needed where the server
 * has any, so none is one of the choices.
 */
const finished = (document: Json): Json => {
  const { components, paths, ...rest }: Json & { components: Json; paths: Record<string, Record<string, Json>> } = JSON
    .parse(JSON.stringify(document).replace(/(schemas\/Problem)_\d+"/g, "$1\""))
  const schemas = Object.entries(components["schemas"] as Json).filter(([name]) => !/^Problem_\d+$/.test(name))
  for (const operation of Object.values(paths).flatMap((methods) => Object.values(methods))) {
    if (Array.isArray(operation["security"]) && operation["security"].length === 0) delete operation["security"]
  }
  return {
    ...rest,
    paths,
    security: [{}, { bearer: [] }],
    components: {
      ...components,
      schemas: Object.fromEntries(schemas.sort(([a], [b]) => a < b ? -1 : 1)),
      securitySchemes: { ...components["securitySchemes"] as Json, bearer }
    }
  }
}

/**
 * The whole of what a replica answers: the management endpoints, and those of each realm. It is what `/_openapi.json` shows
 * and what `lockstep/client` is derived from; the routes of realms themselves are no router's, as a realm may have any URL.
 */
export class LockstepApi extends Api.add(group).annotateMerge(OpenApi.annotations({ transform: finished })) {}
