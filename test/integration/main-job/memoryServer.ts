import { NodeHttpServer, NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer, Result } from "effect"
import { parseArgs } from "node:util"
import * as Path from "node:path"
import { parse } from "../../../src/domain/RealmUrl.ts"
import { layerHttp, Listening } from "../../../src/http/server.ts"
import { layerMemory } from "../../../src/Lockstep.ts"
import { layerReindex } from "../../../src/reindex/ReindexWorker.ts"

// `lockstep serve` through the memory door: no database, no coordinator, one process (S15, S34).
const { positionals, values } = parseArgs({
  allowPositionals: true,
  strict: false,
  options: { "public-url": { type: "string" }, "data-dir": { type: "string" }, "replica-id": { type: "string" } }
})
const publicUrl = Result.getOrThrow(parse(String(values["public-url"])))

const serve = Effect.gen(function*() {
  const services = yield* Layer.build(layerMemory({
    publicUrl,
    realmsDir: positionals[1] ?? "",
    versionsDir: Path.join(String(values["data-dir"]), "versions"),
    replicaId: String(values["replica-id"]),
    advertiseUrl: publicUrl,
    leaseMillis: 3000,
    cacheBytes: 64 * 1024 * 1024,
    transpiler: {}
  }))
  const http = yield* Layer.build(layerHttp({ host: "127.0.0.1", port: 0, publicUrl, trustProxy: false })).pipe(
    Effect.provideContext(services),
    Effect.provide(NodeHttpServer.layerHttpServices)
  )
  const { url } = Context.get(http, Listening)
  yield* Effect.provideContext(Layer.build(layerReindex({ urls: [url] })), services)
  yield* Console.log(`listening on ${url}`)
  return yield* Effect.never
})

NodeRuntime.runMain(Effect.scoped(serve))
