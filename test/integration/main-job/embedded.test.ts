import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { eventually } from "../../support/eventually.ts"
import { Fleet } from "../../support/fleet.ts"
import { DataDir, isListening, serverPid } from "../postgres/replicas.ts"
import { expectStatus, generationOf } from "./expectations.ts"
import { versioned, versionOf } from "./sources.ts"

const embedded = (replicas: number) =>
  Layer.unwrap(Effect.map(DataDir, (dataDir) => Fleet.layer({ embeddedIn: dataDir, replicas }))).pipe(
    Layer.provideMerge(DataDir.layer)
  )

layer(embedded(2), { excludeTestServices: true })(
  "two replicas on an embedded database",
  (it) => {
    it.effect("a crash of the database is survived: no generation goes back, no row from before it is trusted", () =>
      Effect.gen(function*() {
        const { all, dataDir, first, publish, realm, second, sql, unused } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        const target = unused()
        const { generation } = expectStatus(yield* publish(source, target), 202).json
        for (const replica of all) expectStatus(yield* replica.ask(target.path("person.ts")), 200)
        const server = yield* Effect.promise(() => serverPid(dataDir))
        process.kill(server ?? 0, "SIGKILL")
        for (const replica of all) {
          // Until it is back: refused, with the advice to try again, and never anything else.
          const answer = yield* eventually("reads work again", replica.ask(target.path("person.ts")), (answer) => {
            assert.include([200, 503], answer.status, answer.shown)
            if (answer.status === 503) assert.match(answer.headers["retry-after"] ?? "", /^\d+$/)
            return answer.status === 200
          })
          assert.strictEqual(versionOf(answer.text), 1)
          assert.strictEqual(generationOf(answer), generation)
        }
        yield* source.edit({ "person.ts": versioned(2) })
        const published = yield* eventually(
          "writes work again",
          publish(source, target, second),
          ({ status }) => status === 202
        )
        assert.isAbove(Number(published.json["generation"]), Number(generation))
        for (const replica of all) {
          assert.strictEqual(versionOf(expectStatus(yield* replica.ask(target.path("person.ts")), 200).text), 2)
        }
        const rows = yield* sql("SELECT body FROM module_transpile_cache WHERE realm_url = $1", [target.url])
        assert.lengthOf(rows, 1)
        assert.include(String(rows[0]?.["body"]), "version = 2")
        assert.strictEqual(first.log().match(/FATAL.*bug/), null)
      }))

    it.effect(
      "killing a replica with its whole process group leaves the other and the database; the last one stops it",
      () =>
        Effect.gen(function*() {
          const { databaseUrl, dataDir, first, publish, realm, second, start, unused } = yield* Fleet
          const source = yield* realm({ "person.ts": versioned(1) })
          const target = unused()
          expectStatus(yield* publish(source, target), 202)
          // Whichever of them started the server.
          yield* first.killGroup("SIGKILL")
          yield* first.ended()
          assert.strictEqual(versionOf(expectStatus(yield* second.ask(target.path("person.ts")), 200).text), 1)
          yield* source.edit({ "person.ts": versioned(2) })
          const { generation } = expectStatus(yield* publish(source, target, second), 202).json
          const third = yield* start()
          yield* second.killGroup("SIGTERM")
          assert.deepStrictEqual(yield* second.ended(), { code: 0, signal: null })
          assert.strictEqual(versionOf(expectStatus(yield* third.ask(target.path("person.ts")), 200).text), 2)
          assert.isTrue(yield* isListening(databaseUrl))
          yield* third.kill("SIGTERM")
          assert.deepStrictEqual(yield* third.ended(), { code: 0, signal: null })
          assert.isFalse(yield* isListening(databaseUrl))
          assert.isUndefined(yield* Effect.promise(() => serverPid(dataDir)))
          // The next start has it all.
          const next = yield* start()
          const answer = expectStatus(yield* next.ask(target.path("person.ts")), 200)
          assert.strictEqual(versionOf(answer.text), 2)
          assert.strictEqual(generationOf(answer), generation)
        })
    )
  }
)
