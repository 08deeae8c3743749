import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { connect } from "node:net"
import { timedAwake } from "../../support/awake.ts"
import { eventually } from "../../support/eventually.ts"
import { Fleet, post } from "../../support/fleet.ts"
import { expectProblem, expectStatus, generationOf } from "./expectations.ts"
import { slowModule, versioned, versionOf } from "./sources.ts"

layer(Fleet.layer(), { excludeTestServices: true })("the end of a replica", (it) => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    it.effect(`${signal} lets a request under way complete, leaves the fleet and exits 0 within 10 s`, () =>
      Effect.gen(function*() {
        const { first, realm, start } = yield* Fleet
        // Where PostgreSQL does not tell within a second who the members are, `first` shows itself alone.
        const members = Effect.map(
          eventually(
            "the members are shown",
            Effect.map(first.ask("/_status"), ({ json }) => json["replicas"] as ReadonlyArray<unknown>),
            (replicas) => replicas.length > 1
          ),
          (replicas) => JSON.stringify(replicas)
        )
        /** One end; says whether the request was under way when the signal was sent. */
        const end = Effect.fnUntraced(function*(tag: string) {
          const source = yield* realm({ "slow.ts": slowModule(tag, 1000), "quick.ts": versioned(1) })
          const leaving = yield* start()
          expectStatus(yield* leaving.ask(source.path("quick.ts")), 200)
          const idle = (yield* leaving.status)["transpiles"] ?? 0
          assert.include(yield* members, `"${leaving.replicaId}"`)
          const request = yield* Effect.forkChild(leaving.ask(source.path("slow.ts")), { startImmediately: true })
          yield* eventually("the transpile began", leaving.status, (status) => status["transpiles"] === idle + 1)
          const signalled = performance.now()
          yield* leaving.kill(signal)
          const [took, ended] = yield* timedAwake(leaving.ended(60_000))
          const answer = expectStatus(yield* Fiber.join(request), 200)
          assert.include(answer.text.slice(0, 100), JSON.stringify(tag))
          assert.deepStrictEqual(ended, { code: 0, signal: null })
          assert.isBelow(took, 10_000)
          assert.notInclude(yield* members, `"${leaving.replicaId}"`)
          // What it did for others stays: nobody has to do it again.
          const before = (yield* first.status)["transpiles"]
          expectStatus(yield* first.ask(source.path("slow.ts")), 200)
          assert.strictEqual((yield* first.status)["transpiles"], before)
          return answer.ended > signalled
        }, Effect.scoped)
        let wasUnderWay = false
        for (let attempt = 1; attempt <= 5 && !wasUnderWay; attempt++) {
          wasUnderWay = yield* end(`drained by ${signal} ${attempt}`)
        }
        assert.isTrue(wasUnderWay, "a request was answered after the signal")
      }))
  }

  it.effect("connections that say nothing do not keep a replica from ending", () =>
    Effect.gen(function*() {
      const { start } = yield* Fleet
      const leaving = yield* start()
      const { hostname, port } = new URL(leaving.url)
      const socket = yield* Effect.acquireRelease(
        Effect.callback<ReturnType<typeof connect>>((resume) => {
          const socket = connect(Number(port), hostname, () => resume(Effect.succeed(socket)))
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      socket.on("error", () => {})
      // Half of a request, and an idle connection that had an answer.
      socket.write("GET /_health HTTP/1.1\r\nhost: x\r\n")
      expectStatus(yield* leaving.ask("/_health"), 200)
      yield* leaving.kill("SIGTERM")
      const [took, ended] = yield* timedAwake(leaving.ended(60_000))
      assert.deepStrictEqual(ended, { code: 0, signal: null })
      assert.isBelow(took, 10_000)
    }))

  it.effect("kill -9 in the middle of a publish loses none that was acknowledged, and the next one succeeds", () =>
    Effect.gen(function*() {
      const { first, publish, realm, second, sql, start, unused } = yield* Fleet
      const many = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`f${n}.txt`, String(n)]))
      const source = yield* realm({ ...many, "person.ts": versioned(1) })
      const locked = Effect.map(
        sql(
          "SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database " +
            "WHERE locktype = 'advisory' AND d.datname = current_database()"
        ),
        (rows) => rows.length
      )
      const target = unused()
      expectStatus(yield* publish(source, target, first), 202)
      for (let version = 2; version <= 3; version++) {
        const victim = yield* start()
        yield* source.edit({ "person.ts": versioned(version) })
        const acknowledged = expectStatus(yield* publish(source, target, victim), 202)
        // Another holds the realms' locks when it dies, and copies or commits.
        const again = Effect.forever(Effect.ignore(publish(source, target, victim)))
        const cut = yield* Effect.forkChild(again, { startImmediately: true })
        yield* eventually("a publish holds its locks", locked, (count) => count >= 2)
        yield* victim.kill("SIGKILL")
        yield* victim.ended()
        yield* Fiber.interrupt(cut)
        const answer = expectStatus(yield* second.ask(target.path("person.ts")), 200)
        assert.strictEqual(versionOf(answer.text), version)
        assert.isAtLeast(generationOf(answer), Number(acknowledged.json["generation"]))
        const next = expectStatus(yield* publish(source, target, first), 202)
        assert.isAbove(Number(next.json["generation"]), generationOf(answer))
      }
    }))

  it.effect("a new replica serves what the fleet published, from the shared table, and no realm that was deleted", () =>
    Effect.gen(function*() {
      const { first, publish, realm, start, unused } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const deleted = yield* realm({ "person.ts": versioned(1) })
      const target = unused()
      const { generation } = expectStatus(yield* publish(source, target), 202).json
      const bytes = expectStatus(yield* first.ask(target.path("person.ts")), 200).text
      expectStatus(yield* post(first, "/_delete-realm", { realmURL: deleted.url }), 200)
      // The directory of the deleted realm is there again, but nobody created the realm.
      yield* deleted.edit({ "person.ts": versioned(2) })
      const late = yield* start()
      const answer = expectStatus(yield* late.ask(target.path("person.ts")), 200)
      assert.strictEqual(answer.text, bytes)
      assert.strictEqual(generationOf(answer), generation)
      assert.strictEqual(answer.headers["x-lockstep-cache"], "l2")
      assert.strictEqual((yield* late.status)["transpiles"], 0)
      expectProblem(yield* late.ask(deleted.path("person.ts")), 404)
      const created = expectStatus(yield* post(late, "/_create-realm", { name: deleted.name }), 201)
      assert.isNumber(created.json["generation"])
      assert.strictEqual(versionOf(expectStatus(yield* first.ask(deleted.path("person")), 200).text), 2)
    }))
})
