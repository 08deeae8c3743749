import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Generations } from "../../src/coordination/Generations.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { layerHttp, Listening } from "../../src/http/server.ts"
import { publish } from "../../src/lifecycle/publish.ts"
import { layerMemory } from "../../src/Lockstep.ts"
import { Reconciler } from "../../src/realms/Reconciler.ts"

const publicUrl = "http://localhost:4201/" as RealmUrl

it.live("of a published module only the first request is routed", () =>
  Effect.gen(function*() {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "lockstep-server-")))),
      (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
    )
    fs.mkdirSync(path.join(directory, "realms", "source"), { recursive: true })
    fs.mkdirSync(path.join(directory, "versions"))
    fs.writeFileSync(path.join(directory, "realms", "source", "a.ts"), "export const a: number = 1\n")
    const services = yield* Layer.build(layerMemory({
      publicUrl,
      realmsDir: path.join(directory, "realms"),
      versionsDir: path.join(directory, "versions"),
      replicaId: "one",
      advertiseUrl: publicUrl,
      leaseMillis: 30_000,
      cacheBytes: 2 ** 20,
      transpiler: {}
    }))
    yield* Effect.provideContext(
      Effect.andThen(
        Effect.flatMap(Reconciler, (reconciler) => reconciler.reconcile),
        publish({
          sourceRealmUrl: `${publicUrl}source/` as RealmUrl,
          publishedRealmUrl: `${publicUrl}published/` as RealmUrl
        })
      ),
      services
    )
    const generations = Context.get(services, Generations)
    // Whatever is routed asks which realm it is of.
    let routed = 0
    const counting = Context.add(services, Generations, {
      ...generations,
      view: (urls) => Effect.suspend(() => (routed++, generations.view(urls)))
    })
    const http = yield* Layer.build(layerHttp({ host: "127.0.0.1", port: 0, publicUrl })).pipe(
      Effect.provideContext(counting),
      Effect.provide(NodeHttpServer.layerHttpServices)
    )
    const { url } = Context.get(http, Listening)
    const ask = Effect.promise(async () => {
      const response = await fetch(`${url}/published/a.ts?v=1`)
      return { status: response.status, text: await response.text() }
    })

    const first = yield* ask
    assert.strictEqual(first.status, 200)
    assert.strictEqual(routed, 1)
    assert.deepStrictEqual(yield* ask, first)
    assert.strictEqual(routed, 1, "the second request was routed as well")
  }).pipe(Effect.scoped))
