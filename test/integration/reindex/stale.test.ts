import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { deafProxy } from "../../support/deafProxy.ts"
import { Fleet, post } from "../../support/fleet.ts"
import { expectStatus } from "../main-job/expectations.ts"
import { asHtml, htmlOf, modules, person, ready, stored } from "./people.ts"

const names = ["ada", "barbara", "grace"]
const instances = Object.fromEntries(names.map((name) => [`${name}.json`, person(name)]))

layer(Fleet.layer({ replicas: 1 }), { excludeTestServices: true })(
  "two replicas, one of them with its notifications cut",
  (it) => {
    it.effect(
      "publish, edit, publish, reindex: every stored HTML shows the new text, and old HTML is never served",
      () =>
        Effect.gen(function*() {
          const { databaseUrl, first, publish, realm, start, unused } = yield* Fleet
          const deaf = yield* start({ databaseUrl: yield* deafProxy(databaseUrl) })
          const source = yield* realm({ ...modules(1), ...instances })
          const target = unused()
          expectStatus(yield* publish(source, target), 202)

          // Somebody looks all the time, at both replicas.
          let published = 1
          const wrong: Array<string> = []
          const seen = new Set<string>()
          const look = Effect.gen(function*() {
            for (const replica of [first, deaf]) {
              for (const name of names) {
                const least = published
                const { status, text } = yield* replica.ask(target.path(name), asHtml)
                if (status === 200) seen.add(text)
                const right = [0, 1, 2, 3].some((later) => text === htmlOf(least + later, name))
                if (status !== 503 && !(status === 200 && right)) {
                  wrong.push(`${replica.replicaId} answered ${status} ${text}, though version ${least} was published`)
                }
              }
            }
          })
          const looking = yield* Effect.forkChild(Effect.forever(Effect.andThen(look, Effect.sleep("20 millis"))))
          for (let version = 1; version <= 4; version++) {
            if (version > 1) {
              for (const [path, body] of Object.entries(modules(version))) {
                yield* (version % 2 === 0 ? first : deaf).ask(source.path(path), { method: "PUT", body })
              }
              const via = version % 2 === 0 ? deaf : first
              expectStatus(yield* publish(source, target, via), 202)
              published = version
              expectStatus(yield* post(via, "/_reindex", { realmURL: target.url }), 202)
            }
            for (const replica of [first, deaf]) yield* ready(replica, target)
            const rows = yield* stored(target)
            assert.deepStrictEqual(rows.map((row) => row.isolated_html), names.map((name) => htmlOf(version, name)))
            for (const replica of [first, deaf]) {
              for (const name of names) {
                const answer = expectStatus(yield* replica.ask(target.path(name), asHtml), 200)
                assert.strictEqual(answer.text, htmlOf(version, name))
              }
            }
          }
          yield* Fiber.interrupt(looking)
          assert.deepStrictEqual(wrong, [])
          assert.isAtLeast(seen.size, names.length * 2)
        })
    )

    it.effect(
      "publishes one after the other are never mixed in one HTML, and the last one stands",
      () =>
        Effect.gen(function*() {
          const { first, publish, realm, unused } = yield* Fleet
          const source = yield* realm({ ...modules(1), ...instances })
          const target = unused()
          for (let version = 1; version <= 6; version++) {
            yield* source.edit(modules(version))
            expectStatus(yield* publish(source, target), 202)
            for (const { isolated_html } of yield* stored(target)) {
              assert.match(isolated_html ?? "", /^<i>card (\d)<\/i><b>person \1<\/b> \w+$/)
            }
          }
          yield* ready(first, target)
          const rows = yield* stored(target)
          assert.deepStrictEqual(rows.map((row) => row.isolated_html), names.map((name) => htmlOf(6, name)))
          for (const row of rows) {
            assert.deepStrictEqual(row.dependencies.map(({ path }) => path).toSorted(), ["card.ts", "person.ts"])
          }
        })
    )
  }
)
