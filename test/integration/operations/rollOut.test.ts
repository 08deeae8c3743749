import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, type Scope } from "effect"
import { spawn } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { makeBalancer } from "../../support/balancer.ts"
import { eventually } from "../../support/eventually.ts"
import { Fleet, temporaryDirectory } from "../../support/fleet.ts"
import { freePort } from "../../support/freePort.ts"
import { type Ask, makeHttpClient } from "../../support/httpClient.ts"
import { makeTcpProxy } from "../../support/tcpProxy.ts"
import { expectProblem, expectStatus } from "../main-job/expectations.ts"
import { slowModule, versioned } from "../main-job/sources.ts"
import { isBeside } from "./withOthersPrograms.ts"

const hasHaproxy = isBeside("haproxy", "-v")

/** HAProxy as the compose file runs it, but for its addresses. */
const startHaproxy = Effect.fnUntraced(function*(
  ports: ReadonlyArray<number>
): Effect.fn.Return<string, never, Scope.Scope> {
  const directory = yield* temporaryDirectory("lockstep-haproxy-")
  const port = yield* freePort
  const shipped = Fs.readFileSync(new URL("../../../ops/docker/haproxy.cfg", import.meta.url), "utf8")
  const servers = ports.map((each, index) => `  server replica-${index} 127.0.0.1:${each}`).join("\n")
  const config = shipped
    .replace(/^resolvers docker\n(?: .*\n)+/m, "")
    .replace(" resolvers docker", "")
    .replace("bind :4200", `bind 127.0.0.1:${port}`)
    .replace(/(?:^ {2}server .*\n)+/m, `${servers}\n`)
  const file = Path.join(directory, "haproxy.cfg")
  Fs.writeFileSync(file, config)
  yield* Effect.acquireRelease(
    Effect.sync(() => spawn("haproxy", ["-f", file], { stdio: "ignore" })),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  return `http://127.0.0.1:${port}`
})

layer(Fleet.layer({ replicas: 1 }), { excludeTestServices: true })("a roll-out", (it) => {
  const replace = (balance: typeof makeBalancer, delay: string) =>
    Effect.gen(function*() {
      const { publish, realm, start, unused } = yield* Fleet
      const ports = yield* Effect.replicateEffect(freePort, 4)
      const run = (index: number) =>
        start({
          replicaId: `rolled-${ports[index]}`,
          port: ports[index] ?? 0,
          args: ["--workers", "1", "--drain-delay", delay]
        })
      const old = yield* Effect.all([run(0), run(1)], { concurrency: 2 })
      const source = yield* realm({ "person.ts": versioned(1), "note.txt": "0" })
      const target = unused()
      expectStatus(yield* publish(source, target, old[0]), 202)
      const url = yield* balance(ports)
      const client = yield* makeHttpClient(url)
      yield* eventually(
        "both take requests",
        Effect.forEach([1, 2, 3, 4], () => Effect.orElseSucceed(client.ask("/_ready"), () => undefined)),
        (answers) => new Set(answers.map((answer) => answer?.headers["x-lockstep-replica"])).size === 2
      )

      const failures: Array<string> = []
      const servedBy = new Map<string, number>()
      let ended = false
      const load = (ask: (n: number) => readonly [string, Ask], pause: string) =>
        Effect.forkChild(Effect.gen(function*() {
          for (let n = 0; !ended; n++) {
            const [path, request] = ask(n)
            const answer = yield* Effect.result(client.ask(path, request))
            if (answer._tag === "Failure") failures.push(answer.failure.message)
            else if (answer.success.status >= 300) failures.push(answer.success.shown)
            else {
              const replica = String(answer.success.headers["x-lockstep-replica"])
              servedBy.set(replica, (servedBy.get(replica) ?? 0) + 1)
            }
            yield* Effect.sleep(pause as "1 millis")
          }
        }))
      const json = { "content-type": "application/json" }
      const publication = JSON.stringify({ sourceRealmURL: source.url, publishedRealmURL: target.url })
      const readers = yield* Effect.all([
        load(() => [target.path("person.ts"), {}], "2 millis"),
        load(() => [target.path("person.ts"), {}], "3 millis"),
        load(() => [source.path("person.ts"), {}], "5 millis"),
        load((n) => [source.path("note.txt"), { method: "PUT", body: String(n) }], "20 millis"),
        load(() => ["/_publish-realm", { method: "POST", headers: json, body: publication }], "200 millis")
      ])
      // One more before one less: as maxSurge 1 and maxUnavailable 0.
      for (const [index, leaving] of old.entries()) {
        const fresh = yield* run(2 + index)
        yield* eventually(
          "the new one takes requests",
          Effect.sync(() => servedBy.get(fresh.replicaId) ?? 0),
          (count) => count > 0
        )
        yield* leaving.kill("SIGTERM")
        assert.deepStrictEqual(yield* leaving.ended(60_000), { code: 0, signal: null })
      }
      const before = Math.max(...servedBy.values())
      yield* eventually(
        "the new ones go on alone",
        Effect.sync(() => Math.max(...servedBy.values())),
        (count) => count > before + 20
      )
      ended = true
      yield* Effect.forEach(readers, Fiber.join)
      assert.deepStrictEqual(failures, [])
      assert.strictEqual(servedBy.size, 4)
    })

  it.effect(
    "of every replica, under reads, writes and publishes, fails no request behind a balancer that asks /_ready",
    () => replace(makeBalancer, "6s")
  )

  it.effect.skipIf(!hasHaproxy)(
    "behind HAProxy with the configuration of the compose file fails none either",
    () => replace(startHaproxy, "5s")
  )

  it.effect("tells balancers from SIGTERM on, answers all the same for the delay, and then drains", () =>
    Effect.gen(function*() {
      const { realm, start } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1), "slow.ts": slowModule("drained", 1000) })
      const leaving = yield* start({ args: ["--workers", "1", "--drain-delay", "15s"] })
      expectStatus(yield* leaving.ask("/_ready"), 200)
      const signalled = performance.now()
      yield* leaving.kill("SIGTERM")
      const told = yield* eventually("it says so", leaving.ask("/_ready"), ({ status }) => status !== 200, 14_900)
      expectProblem(told, 503)
      assert.strictEqual(told.json["type"], "urn:lockstep:not-ready")
      expectStatus(yield* leaving.ask("/_health"), 200)
      const answer = expectStatus(yield* leaving.ask(source.path("person.ts")), 200)
      assert.strictEqual(answer.headers["connection"], "close")
      // Asked within the delay, answered after it.
      const slow = yield* Effect.forkChild(leaving.ask(source.path("slow.ts")), { startImmediately: true })
      expectStatus(yield* Fiber.join(slow), 200)
      assert.deepStrictEqual(yield* leaving.ended(60_000), { code: 0, signal: null })
      const took = performance.now() - signalled
      assert.isAbove(took, 15_000)
      assert.isBelow(took, 40_000)
    }))

  it.effect("a replica that PostgreSQL does not answer is not ready, and well; with `serve` it stays ready", () =>
    Effect.gen(function*() {
      const { databaseUrl, start } = yield* Fleet
      const proxy = yield* makeTcpProxy(Number(new URL(databaseUrl).port))
      const throughProxy = new URL(databaseUrl)
      throughProxy.port = String(proxy.port)
      const shared = ["--workers", "1", "--lease", "600ms", "--no-worker"]
      const [refusing, serving] = yield* Effect.all([
        start({ databaseUrl: throughProxy.href, args: shared }),
        start({ databaseUrl: throughProxy.href, args: [...shared, "--on-partition", "serve"] })
      ], { concurrency: 2 })
      for (const replica of [refusing, serving]) expectStatus(yield* replica.ask("/_ready"), 200)
      yield* proxy.hold()
      const told = yield* eventually("it says so", refusing.ask("/_ready"), ({ status }) => status !== 200)
      expectProblem(told, 503)
      assert.include(String(told.json["detail"]), "PostgreSQL")
      for (const replica of [refusing, serving]) expectStatus(yield* replica.ask("/_health"), 200)
      expectStatus(yield* serving.ask("/_ready"), 200)
      yield* proxy.release
      yield* eventually("it is ready again", refusing.ask("/_ready"), ({ status }) => status === 200)
    }))
})
