/**
 * Coherence around something that is not a module: notes in markdown, rendered once in the whole fleet, and never served from
 * before an edit. Start it twice on one database, with one directory of notes:
 *
 *   DATABASE_URL=postgres://... PUBLIC_URL=http://notes.example/ NOTES_DIR=examples/embed/notes VERSIONS_DIR=/tmp/versions \
 *     PORT=3001 node examples/embed/markdown.ts
 */
import { createServer } from "node:http"
import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Console, Context, Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { ArtifactCache, layer as layerLockstep, layerRoutes, RealmUrl } from "lockstep"
import { marked } from "marked"

/** How often this process has rendered anything: once a content, in one of the processes. */
let renderings = 0

/** The notes as HTML. */
class RenderedNotes extends Context.Service<RenderedNotes, ArtifactCache.ArtifactCache<string, never>>()(
  "examples/RenderedNotes"
) {
  static readonly layer = Layer.effect(
    RenderedNotes,
    ArtifactCache.make({
      kind: "markdown",
      // Another version of what renders finds nothing of this one's.
      version: "marked 18",
      schema: Schema.String,
      capacityBytes: 16 * 2 ** 20,
      compute: ({ bytes }) =>
        Effect.promise(async () => {
          renderings++
          return await marked.parse(new TextDecoder().decode(bytes))
        })
    })
  )
}

const notes = (realmUrl: RealmUrl.RealmUrl) =>
  HttpRouter.use(Effect.fnUntraced(function*(router) {
    const rendered = yield* RenderedNotes
    yield* router.add(
      "GET",
      "/read/:name",
      Effect.gen(function*() {
        const { name = "" } = yield* HttpRouter.params
        const { generation, origin, value } = yield* rendered.get(realmUrl, `${name}.md`)
        return HttpServerResponse.html(value).pipe(
          HttpServerResponse.setHeaders({ "x-origin": origin, "x-generation": String(generation) })
        )
      }).pipe(
        Effect.catchTags({
          FileNotFound: () => Effect.succeed(HttpServerResponse.text("no such note", { status: 404 })),
          RealmNotFound: () => Effect.succeed(HttpServerResponse.text("there are no notes", { status: 404 })),
          DatabaseError: () => Effect.succeed(HttpServerResponse.text("try again", { status: 503 })),
          FileFailure: () => Effect.succeed(HttpServerResponse.text("try again", { status: 503 }))
        })
      )
    )
    yield* router.add("GET", "/renderings", Effect.sync(() => HttpServerResponse.text(String(renderings))))
  }))

const main = Layer.unwrap(Effect.gen(function*() {
  const port = yield* Config.Port("PORT")
  const publicUrl = RealmUrl.make(yield* Config.String("PUBLIC_URL"))
  const lockstep = layerLockstep({
    publicUrl,
    realmsDir: yield* Config.String("NOTES_DIR"),
    versionsDir: yield* Config.String("VERSIONS_DIR"),
    replicaId: `notes-${port}`,
    advertiseUrl: `http://localhost:${port}`,
    leaseMillis: 3000,
    cacheBytes: 64 * 2 ** 20,
    transpiler: { workers: 1 }
  })
  const routes = Layer.mergeAll(
    notes(RealmUrl.ofName(publicUrl, "notes")).pipe(Layer.provide(RenderedNotes.layer)),
    // The realm's own routes: who writes a note writes it here.
    layerRoutes({ publicUrl, access: "by-host" })
  )
  return HttpRouter.serve(routes, { disableListenLog: true }).pipe(
    Layer.tap(() => Console.log(`listening on http://localhost:${port}`)),
    Layer.provide(NodeHttpServer.layer(createServer, { host: "127.0.0.1", port })),
    Layer.provide(lockstep),
    Layer.provide(PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") }))
  )
}))

NodeRuntime.runMain(Layer.launch(main))
