import * as path from "node:path"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import { fileURLToPath } from "node:url"
import { NodeHttpServer } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { OpenApi } from "effect/http-api"
import { chromium } from "playwright-core"
import { build } from "vite"
import { LockstepApi } from "../../src/api/RealmApi.ts"
import { make } from "../../src/client.ts"
import { make as realmUrl } from "../../src/domain/RealmUrl.ts"
import { layerHttp, Listening } from "../../src/http/server.ts"
import { layerMemory } from "../../src/Lockstep.ts"
import { findChromium } from "../../src/reindex/chromium/layer.ts"

const withoutChromium = findChromium() === undefined && process.env["LOCKSTEP_TEST_CHROMIUM"] !== "required"

const publicUrl = realmUrl("http://realms.test/")

/** A server without a database, and a client of it. */
class Server extends Context.Service<Server, { readonly url: string }>()("test/Server") {
  static readonly layer = Layer.effect(
    Server,
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.promise(() => fs.mkdtemp(path.join(tmpdir(), "lockstep-client-"))),
        (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
      )
      yield* Effect.promise(() => fs.mkdir(path.join(directory, "realms")))
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
      const http = yield* Layer.build(layerHttp({ host: "127.0.0.1", port: 0, publicUrl })).pipe(
        Effect.provideContext(services),
        Effect.provide(NodeHttpServer.layerHttpServices)
      )
      return Server.of({ url: Context.get(http, Listening).url })
    })
  )
}

layer(Layer.merge(Server.layer, FetchHttpClient.layer), { excludeTestServices: true })(
  "the client",
  (it) => {
    it.effect("does all that the API has, by its names and shapes", () =>
      Effect.gen(function*() {
        const { url } = yield* Server
        const client = yield* make({ baseUrl: url, token: "secret" })
        const { realmURL } = yield* client.createRealm({ payload: { name: "notes" } })
        const params = { realm: "notes" }
        const written = yield* client.realm.write({
          params: { ...params, path: "deep/a b.ts" },
          query: { wait: "all" },
          headers: {},
          payload: new TextEncoder().encode("/** One. */\nexport const a: number = 1")
        })
        assert.deepInclude(written, { realmURL, path: "deep/a b.ts" })
        const read = yield* client.realm.read({
          params: { ...params, path: "deep/a b" },
          headers: { "x-lockstep-min-generation": written.generation }
        })
        assert.include(new TextDecoder().decode(read), "export const a = 1;")
        const { definitions, imports } = yield* client.realm.definitions({
          params,
          query: { module: "deep/a b.ts", name: "a" },
          headers: {}
        })
        assert.deepStrictEqual(imports, [])
        assert.deepInclude(definitions[0], { name: "a", summary: "One." })
        const batch = yield* client.realm.batch({
          params,
          query: {},
          payload: { operations: [{ op: "add", path: "b.txt", content: "b" }, { op: "remove", path: "deep/a b.ts" }] }
        })
        assert.deepStrictEqual(batch.files.map(({ path }) => path), ["b.txt", "deep/a b.ts"])
        const published = yield* client.publishRealm({
          payload: { sourceRealmURL: realmURL, publishedRealmURL: "http://realms.test/live/" }
        })
        assert.strictEqual(published.status, "pending")
        const urls = (yield* client.realms()).realms.map(({ url }) => url)
        assert.includeMembers(urls, [realmURL, "http://realms.test/live/"])
        assert.isAbove((yield* client.status()).uptimeSeconds, 0)
        yield* client.realm.remove({ params: { ...params, path: "b.txt" }, query: {}, headers: {} })
        yield* client.realm.empty({ params, query: { all: "true" } })
        yield* client.unpublishRealm({ payload: { publishedRealmURL: "http://realms.test/live/" } })
        yield* client.deleteRealm({ payload: { realmURL } })
      }))

    it.effect("fails with the server's problems", () =>
      Effect.gen(function*() {
        const { url } = yield* Server
        const client = yield* make({ baseUrl: url })
        const missing = yield* Effect.flip(client.realm.read({ params: { realm: "no", path: "a.ts" }, headers: {} }))
        assert.deepInclude(missing, { type: "urn:lockstep:realm-not-found", status: 404 })
        yield* client.createRealm({ payload: { name: "broken" } })
        const params = { realm: "broken", path: "a.ts" }
        const payload = new TextEncoder().encode("let x\nlet = 1")
        yield* client.realm.write({ params, query: {}, headers: {}, payload })
        const fault = yield* Effect.flip(client.realm.read({ params, headers: {} }))
        assert.deepInclude(fault, { status: 422, path: "a.ts", line: 2 })
        const conflict = yield* Effect.flip(client.createRealm({ payload: { name: "broken" } }))
        assert.deepInclude(conflict, { type: "urn:lockstep:realm-conflict", status: 409 })
      }))

    it.effect("the server shows the same document, and a page that needs no other server", () =>
      Effect.gen(function*() {
        const { url } = yield* Server
        const get = (path: string, method = "GET") => Effect.promise(() => fetch(`${url}${path}`, { method }))
        const document = yield* get("/_openapi.json")
        assert.strictEqual(document.headers.get("content-type"), "application/json")
        assert.deepStrictEqual(
          yield* Effect.promise(() => document.json()),
          JSON.parse(JSON.stringify(OpenApi.fromApi(LockstepApi)))
        )
        const page = yield* get("/_docs")
        assert.match(page.headers.get("content-type") ?? "", /^text\/html/)
        const html = yield* Effect.promise(() => page.text())
        assert.include(html, "/{realm}/_definitions")
        assert.notMatch(html, /<(?:script|link|img|iframe)[^>]+(?:src|href)=["']?(?:https?:)?\/\//)
        assert.strictEqual((yield* get("/_docs", "POST")).status, 405)
      }))

    it.effect.skipIf(withoutChromium)(
      "a browser that reaches nothing else shows every endpoint on that page",
      () =>
        Effect.gen(function*() {
          const { url } = yield* Server
          const browser = yield* Effect.acquireRelease(
            Effect.promise(() =>
              chromium.launch({ executablePath: findChromium() ?? "", headless: true, args: ["--no-sandbox"], env: {} })
            ),
            (browser) => Effect.promise(() => browser.close())
          )
          const { paths } = OpenApi.fromApi(LockstepApi)
          const endpoints = Object.values(paths).flatMap((methods) => Object.keys(methods)).length
          const asked: Array<string> = []
          const shown = yield* Effect.promise(async () => {
            const page = await browser.newPage()
            await page.route(/^(?!data:|blob:)/, (route) => {
              asked.push(route.request().url())
              return asked.at(-1)?.startsWith(url) ? route.continue() : route.abort()
            })
            await page.goto(`${url}/_docs`, { timeout: 120_000 })
            await page.locator(".opblock").nth(endpoints - 1).waitFor({ timeout: 120_000 })
            return page.locator(".opblock").count()
          })
          assert.strictEqual(shown, endpoints)
          assert.deepStrictEqual(asked.filter((each) => !each.startsWith(url)), [])
        })
    )
  }
)

describe("the OpenAPI document", () => {
  interface Operation {
    readonly operationId?: string
    readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, unknown>> }>>
    readonly parameters?: ReadonlyArray<{ readonly name: string; readonly in: string; readonly required?: boolean }>
    readonly security?: unknown
  }
  const document: {
    readonly openapi: string
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
    readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>
    readonly security: unknown
  } = JSON.parse(JSON.stringify(OpenApi.fromApi(LockstepApi)))
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))
  )

  it("is whole: every reference leads somewhere, every parameter of a path is declared, every name is one", () => {
    assert.match(document.openapi, /^3\.1\./)
    for (const [, reference = ""] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = reference.split("/").reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document)
      assert.isDefined(found, reference)
    }
    for (const { operation, path } of operations) {
      const declared = operation.parameters?.filter((each) => each.in === "path").map(({ name }) => name) ?? []
      const named = Array.from(path.matchAll(/\{(\w+)\}/g), ([, name]) => name)
      assert.sameMembers(declared, named, path)
    }
    const ids = operations.map(({ operation }) => operation.operationId)
    assert.strictEqual(new Set(ids).size, ids.length)
  })

  it("has one schema of problems, for every failure", () => {
    assert.deepStrictEqual(Object.keys(document.components["schemas"] ?? {}).filter((name) => /Problem/.test(name)), [
      "Problem"
    ])
    for (const { method, operation, path } of operations) {
      for (const [status, { content = {} }] of Object.entries(operation.responses)) {
        if (Number(status) < 400) continue
        assert.deepInclude(
          content,
          path === "/{realm}/_readiness-check" && status === "503" ? {} : {
            "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } }
          },
          `${method} ${path} ${status}`
        )
      }
    }
  })

  it("says that tokens may be sent everywhere", () => {
    assert.deepInclude(document.components["securitySchemes"]?.["bearer"], { type: "http", scheme: "bearer" })
    assert.deepStrictEqual(document.security, [{}, { bearer: [] }])
  })
})

it("the client is bundled for a browser without a module of Node's", async () => {
  const bundled = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      minify: false,
      lib: { entry: fileURLToPath(new URL("../../src/client.ts", import.meta.url)), formats: ["es"] },
      rollupOptions: { external: /^node:/ }
    }
  })
  const [output] = Array.isArray(bundled) ? bundled : [bundled]
  assert.isTrue(output !== undefined && "output" in output)
  if (output === undefined || !("output" in output)) return
  const chunks = output.output.flatMap((each) => each.type === "chunk" ? [each] : [])
  assert.deepStrictEqual(chunks.flatMap(({ imports }) => imports), [])
  assert.notMatch(chunks.map(({ code }) => code).join(""), /\bBuffer\.|\bprocess\.(?:env|cwd)/)
})
