import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Option, Redacted } from "effect"
import { Command } from "effect/cli"
import { type ServeOptions, serveFlags } from "../../src/cli/serveFlags.ts"

const parse = Effect.fnUntraced(function*(args: ReadonlyArray<string>, env: Record<string, string> = {}) {
  const parsed: Array<ServeOptions> = []
  const command = Command.make("serve", serveFlags, (options) => Effect.sync(() => void parsed.push(options)))
  yield* Command.runWith(command, { version: "0" })(args).pipe(
    Effect.provide(NodeServices.layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )
  const [options] = parsed
  return options ?? assert.fail("the command was not run")
})

describe("lockstep serve", () => {
  it.effect("has the documented defaults", () =>
    Effect.gen(function*() {
      const options = yield* parse([])
      assert.strictEqual(options.port, 4201)
      assert.strictEqual(options.host, "127.0.0.1")
      assert.strictEqual(options.publicUrl, "http://localhost:4201/")
      assert.strictEqual(options.dataDir, ".lockstep")
      assert.strictEqual(options.cacheBytes, 268_435_456)
      assert.strictEqual(Duration.toMillis(options.lease), 3000)
      assert.strictEqual(Duration.toMillis(options.transpileTimeout), 20_000)
      assert.strictEqual(options.onPartition, "refuse")
      assert.strictEqual(options.jsxImportSource, "react")
      assert.strictEqual(options.transpiler, "babel")
      assert.isFalse(options.trustProxy)
      assert.strictEqual(Duration.toMillis(options.drainDelay), 0)
      assert.isTrue(options.worker)
      assert.deepStrictEqual(options.replicaUrls, [])
      assert.strictEqual(options.prerenderer, "isolated")
      for (
        const unset of [
          "realmsDir",
          "databaseUrl",
          "sessionDatabaseUrl",
          "replicaId",
          "workers",
          "advertiseUrl"
        ] as const
      ) {
        assert.isTrue(Option.isNone<unknown>(options[unset]), unset)
      }
    }))

  const environment = {
    LOCKSTEP_PORT: "1",
    LOCKSTEP_HOST: "::",
    LOCKSTEP_PUBLIC_URL: "https://modules.example",
    LOCKSTEP_DATA_DIR: "/data",
    LOCKSTEP_REPLICA_ID: "one",
    DATABASE_URL: "postgres://u:p@db/x",
    LOCKSTEP_SESSION_DATABASE_URL: "postgres://u:p@direct/x"
  }

  it.effect("takes from the environment what no flag gives", () =>
    Effect.gen(function*() {
      const options = yield* parse([], environment)
      assert.strictEqual(options.port, 1)
      assert.strictEqual(options.host, "::")
      assert.strictEqual(options.publicUrl, "https://modules.example/")
      assert.strictEqual(options.dataDir, "/data")
      assert.deepStrictEqual(options.replicaId, Option.some("one"))
      assert.deepStrictEqual(Option.map(options.databaseUrl, Redacted.value), Option.some("postgres://u:p@db/x"))
      assert.deepStrictEqual(
        Option.map(options.sessionDatabaseUrl, Redacted.value),
        Option.some("postgres://u:p@direct/x")
      )
    }))

  it.effect("prefers a flag to the environment", () =>
    Effect.gen(function*() {
      const options = yield* parse([
        "realms",
        "--port=0",
        "--host=localhost",
        "--public-url=http://a/b",
        "--data-dir=d",
        "--replica-id=two",
        "--database-url=postgresql:///y?host=/run",
        "--workers=3",
        "--advertise-url=http://10.0.0.5:1/",
        "--on-partition=serve",
        "--session-database-url=postgres://z/y",
        "--drain-delay=5s",
        "--trust-proxy"
      ], environment)
      assert.deepStrictEqual(options.realmsDir, Option.some("realms"))
      assert.strictEqual(options.port, 0)
      assert.strictEqual(options.host, "localhost")
      assert.strictEqual(options.publicUrl, "http://a/b/")
      assert.strictEqual(options.dataDir, "d")
      assert.deepStrictEqual(options.replicaId, Option.some("two"))
      assert.deepStrictEqual(Option.map(options.databaseUrl, Redacted.value), Option.some("postgresql:///y?host=/run"))
      assert.deepStrictEqual(options.workers, Option.some(3))
      assert.deepStrictEqual(options.advertiseUrl, Option.some("http://10.0.0.5:1"))
      assert.strictEqual(options.onPartition, "serve")
      assert.isTrue(options.trustProxy)
      assert.deepStrictEqual(Option.map(options.sessionDatabaseUrl, Redacted.value), Option.some("postgres://z/y"))
      assert.strictEqual(Duration.toMillis(options.drainDelay), 5000)
    }))
})
