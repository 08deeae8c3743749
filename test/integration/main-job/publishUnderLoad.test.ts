import { assert, layer } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { eventually } from "../../support/eventually.ts"
import { Fleet, type Place } from "../../support/fleet.ts"
import { History, readingOf } from "../../support/history.ts"
import { expectStatus, generationOf } from "./expectations.ts"
import { versioned, versionOf } from "./sources.ts"

/** Fifty clients that ask both replicas for one file without pause while `change` runs; what they saw. */
const hammer = <A, E, R>(place: Place, file: string, change: (history: History) => Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const { all } = yield* Fleet
    const history = new History()
    let asking = true
    const client = Effect.fnUntraced(function*(index: number) {
      for (let turn = index; asking; turn++) {
        const replica = all[turn % all.length] ?? all[0]
        if (replica === undefined) break
        // Every form in which a module can be asked for.
        const name = turn % 3 === 0 ? file.replace(/\.ts$/, "") : turn % 7 === 0 ? `${file}?source` : file
        history.read(readingOf(replica.replicaId, yield* replica.ask(place.path(name)), versionOf))
      }
    })
    const clients = yield* Effect.forkChild(
      Effect.forEach(Array.from({ length: 50 }), (_, index) => client(index), { concurrency: "unbounded" }),
      { startImmediately: true }
    )
    yield* change(history)
    asking = false
    yield* Fiber.join(clients)
    return history
  })

/** Waits until the clients have had so many more answers, so that each version is seen under load. */
const answered = (history: History, count: number) => {
  const enough = history.readings.length + count
  return eventually("the clients are answered", Effect.sync(() => history.readings.length), (seen) => seen >= enough)
}

const seenVersions = (history: History) => Array.from(new Set(history.readings.map((reading) => reading.version)))

layer(Fleet.layer(), { excludeTestServices: true })("changes under load", (it) => {
  it.effect(
    "once a publish returned, no replica answers with older bytes, and none fails meanwhile",
    () =>
      Effect.gen(function*() {
        const { first, publish, realm, second, unused } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1), "other.ts": versioned(1) })
        const target = unused()
        expectStatus(yield* publish(source, target), 202)
        const history = yield* hammer(target, "person.ts", (history) =>
          Effect.gen(function*() {
            history.acknowledge(1, performance.now())
            yield* answered(history, 200)
            let last = 0
            for (let version = 2; version <= 9; version++) {
              yield* source.edit({ "person.ts": versioned(version) })
              const published = expectStatus(yield* publish(source, target, version % 2 === 0 ? first : second), 202)
              history.acknowledge(version, performance.now())
              const generation = Number(published.json["generation"])
              assert.isAbove(generation, last)
              last = generation
              yield* answered(history, 100)
            }
          }))
        assert.deepStrictEqual(history.violations().slice(0, 10), [])
        assert.sameMembers(seenVersions(history), [1, 2, 3, 4, 5, 6, 7, 8, 9])
      })
  )

  it.effect(
    "once a PUT returned, no replica answers with older bytes, and none fails meanwhile",
    () =>
      Effect.gen(function*() {
        const { first, realm, second } = yield* Fleet
        const source = yield* realm({ "person.ts": versioned(1) })
        const history = yield* hammer(source, "person.ts", (history) =>
          Effect.gen(function*() {
            history.acknowledge(1, performance.now())
            yield* answered(history, 200)
            for (let version = 2; version <= 13; version++) {
              const replica = version % 2 === 0 ? first : second
              const answer = yield* replica.ask(source.path("person.ts"), { method: "PUT", body: versioned(version) })
              history.acknowledge(version, performance.now())
              assert.include([200, 201, 204], answer.status, answer.shown)
              yield* answered(history, 100)
            }
          }))
        // A source realm is edited in place: bytes may be newer than the generation that was read before them.
        const violations = history.violations().filter((violation) => !/^generation \d+ had/.test(violation))
        assert.deepStrictEqual(violations.slice(0, 10), [])
        assert.sameMembers(seenVersions(history), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13])
      })
  )

  it.effect("once a DELETE returned, every replica says 404, and once it was PUT again, none does", () =>
    Effect.gen(function*() {
      const { all, first, realm, second } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      for (let version = 1; version <= 5; version++) {
        const [writer, reader] = version % 2 === 0 ? [first, second] : [second, first]
        const put = yield* writer.ask(source.path("person.ts"), { method: "PUT", body: versioned(version) })
        assert.include([200, 201, 204], put.status, put.shown)
        for (const replica of all) {
          for (const name of ["person.ts", "person", "person?source"]) {
            assert.strictEqual(versionOf(expectStatus(yield* replica.ask(source.path(name)), 200).text), version)
          }
        }
        const removed = yield* reader.ask(source.path("person.ts"), { method: "DELETE" })
        assert.include([200, 204], removed.status, removed.shown)
        for (const replica of all) {
          for (const name of ["person.ts", "person", "person?source"]) {
            expectStatus(yield* replica.ask(source.path(name)), 404)
          }
        }
      }
    }))

  it.effect("an edit that no server was told of is served by both replicas from the next request on", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      for (let version = 1; version <= 5; version++) {
        yield* source.edit({ "person.ts": versioned(version) })
        for (const replica of all) {
          assert.strictEqual(versionOf(expectStatus(yield* replica.ask(source.path("person")), 200).text), version)
        }
      }
    }))

  it.effect("a reader that saw a new generation at one replica gets no older one from another", () =>
    Effect.gen(function*() {
      const { first, publish, realm, second, unused } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const target = unused()
      for (let version = 1; version <= 5; version++) {
        yield* source.edit({ "person.ts": versioned(version) })
        expectStatus(yield* publish(source, target, first), 202)
        const seen = generationOf(expectStatus(yield* first.ask(target.path("person.ts")), 200))
        const answer = yield* second.ask(target.path("person.ts"), {
          headers: { "x-lockstep-min-generation": String(seen) }
        })
        assert.isAtLeast(generationOf(expectStatus(answer, 200)), seen)
        assert.strictEqual(versionOf(answer.text), version)
      }
    }))

  it.effect("two publishes of one URL at once take turns: consecutive generations, and the later one is served", () =>
    Effect.gen(function*() {
      const { all, first, publish, realm, second, unused } = yield* Fleet
      const one = yield* realm({ "person.ts": versioned(1) })
      const other = yield* realm({ "person.ts": versioned(2) })
      const target = unused()
      const answers = yield* Effect.all([publish(one, target, first), publish(other, target, second)], {
        concurrency: "unbounded"
      })
      const generations = answers.map((answer) => Number(expectStatus(answer, 202).json["generation"]))
      const [a = 0, b = 0] = generations
      assert.strictEqual(Math.abs(a - b), 1, String(generations))
      const winner = a > b ? 1 : 2
      for (const replica of all) {
        const answer = expectStatus(yield* replica.ask(target.path("person.ts")), 200)
        assert.strictEqual(versionOf(answer.text), winner)
        assert.strictEqual(generationOf(answer), Math.max(a, b))
      }
    }))
})
