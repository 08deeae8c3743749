import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { configured, presetOf } from "../../src/cli/config/configured.ts"
import { defineConfig } from "../../src/index.ts"
import { runCommand } from "./runCommand.ts"

const directory = Effect.acquireRelease(
  Effect.promise(async () => fs.realpath(await fs.mkdtemp(path.join(tmpdir(), "lockstep-config-")))),
  (made) => Effect.promise(() => fs.rm(made, { recursive: true }))
)

const configFile = Effect.fnUntraced(function*(text: string, name = "lockstep.config.ts") {
  const file = path.join(yield* directory, name)
  yield* Effect.promise(() => fs.writeFile(file, text))
  return file
})

const read = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}) => configured(args, env)

const refused = (text: string) =>
  Effect.flatMap(configFile(text), (file) => Effect.flip(read(["serve", "--config", file])))

// What a file imports from "lockstep" is Node's to find, in a process of its own: see integration/presets.
const whole = `export default {
  port: 4300,
  onPartition: "serve",
  lease: "2s",
  watch: false,
  trustProxy: true,
  workers: undefined,
  replicaUrls: ["http://a:1", "http://b:2"],
  dataDir: "state",
  realmsDir: "realms"
}`

describe("lockstep.config.ts", { concurrent: false }, () => {
  it.live("adds flags to serve, with paths relative to itself", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = yield* configFile(whole)
      const { args, config } = yield* read(["--log-level", "debug", "serve", "--config", file])
      const beside = path.dirname(file)
      assert.deepStrictEqual(args, [
        "--log-level",
        "debug",
        "serve",
        "--port=4300",
        "--on-partition=serve",
        "--lease=2s",
        "--watch=false",
        "--trust-proxy=true",
        "--replica-urls=http://a:1,http://b:2",
        `--data-dir=${path.join(beside, "state")}`,
        "--config",
        file
      ])
      assert.deepStrictEqual(config, {
        file,
        packagesFrom: pathToFileURL(`${beside}/`).href,
        realmsDir: path.join(beside, "realms")
      })
    })))

  it.live("gives way to flags and to their environment variables", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = yield* configFile(
        "export default { port: 1, host: 'a', watch: true, databaseUrl: 'postgres://c/d', preset: 'ember', lease: '1s' }"
      )
      const { args } = yield* read(
        ["serve", `--config=${file}`, "--port=2", "--no-watch", "--preset", "none"],
        { LOCKSTEP_HOST: "b", DATABASE_URL: "postgres://e/f", LOCKSTEP_DATA_DIR: "" }
      )
      assert.deepStrictEqual(args.slice(0, 3), ["serve", "--lease=1s", `--config=${file}`])
    })))

  it.live("gives a worker the flags that it has, the demo none, and other commands nothing", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = yield* configFile("export default { port: 1, prerenderer: 'chromium' }")
      const added = (args: ReadonlyArray<string>) => Effect.map(read([...args, "--config", file]), (each) => each.added)
      assert.deepStrictEqual(yield* added(["worker"]), ["--prerenderer=chromium"])
      assert.deepStrictEqual(yield* added(["demo"]), [])
      assert.deepStrictEqual(yield* added(["create", "serve"]), [])
      assert.deepStrictEqual((yield* read(["serve", "--config", "none"])).added, [])
    })))

  it.live("names a preset or a layer, which a flag can put aside", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = yield* configFile(`
        import { Layer } from ${JSON.stringify(import.meta.resolve("effect"))}
        export default { transpiler: Layer.empty, preset: { name: "own", module: "file:///own.ts" } }`)
      const { config } = yield* read(["serve", "--config", file])
      assert.isTrue(Layer.isLayer(config.transpiler))
      const packagesFrom = pathToFileURL(`${path.dirname(file)}/`).href
      assert.deepStrictEqual(presetOf(undefined, config), { from: packagesFrom, name: "own", module: "file:///own.ts" })
      assert.deepInclude(presetOf("ember", config), { from: packagesFrom, name: "ember" })
      assert.isUndefined(presetOf("none", config))
      const aside = yield* read(["serve", "--config", file, "--transpiler", "oxc", "--preset=none"])
      assert.isUndefined(aside.config.transpiler)
      assert.isUndefined(aside.config.preset)
    })))

  it.live("is refused with what is wrong and what to do", () =>
    Effect.scoped(Effect.gen(function*() {
      assert.match((yield* refused("export default { prot: 1 }")).message, /an option "prot", .* port,/)
      assert.match((yield* refused("export default { port: {} }")).message, /"port" has to be text, a number/)
      assert.match((yield* refused("export const a = 1")).message, /no configuration as its default export/)
      assert.match((yield* refused("export default {")).message, /^cannot load .*lockstep\.config\.ts: /)
      const missing = yield* Effect.flip(read(["serve", "--config", "/nowhere/lockstep.config.ts"]))
      assert.match(missing.message, /there is no \/nowhere\/lockstep\.config\.ts/)
    })))

  it.live("is named where a value of it is not valid, without the values", () =>
    Effect.scoped(Effect.gen(function*() {
      const file = yield* configFile("export default { port: 'secret' }")
      const { exitCode, stderr } = yield* runCommand(["serve", "--config", file])
      assert.strictEqual(exitCode, 2)
      assert.include(stderr, `note: ${file} adds --port`)
      assert.notInclude(stderr, "--port=secret")
    })))

  it("has types: defineConfig refuses what no flag has", () => {
    assert.deepStrictEqual(defineConfig({ port: 1, watch: false, replicaUrls: ["http://a"] }).port, 1)
    // @ts-expect-error no option has this name
    defineConfig({ prot: 1 })
    // @ts-expect-error not a way to meet a partition
    defineConfig({ onPartition: "ignore" })
  })
})
