import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type Place, Fleet, post } from "../../support/fleet.ts"
import type { Replica } from "../../support/replica.ts"
import { expectProblem, expectStatus, generationOf } from "../main-job/expectations.ts"
import { versioned, versionOf } from "../main-job/sources.ts"

interface Operation {
  readonly op: string
  readonly path: string
  readonly content?: string
}

const batch = (replica: Replica, realm: Place, operations: ReadonlyArray<Operation>, query = "") =>
  post(replica, realm.path("_atomic") + query, { operations })

const generation = (replica: Replica, realm: Place) =>
  Effect.map(replica.ask(realm.path("")), (answer) => generationOf(expectStatus(answer, 200)))

// Leases that a standstill does not end: each replica is waited for until it has acknowledged.
layer(Fleet.layer({ args: ["--workers", "1", "--no-watch", "--lease", "30s"] }), { excludeTestServices: true })(
  "POST <realm>_atomic and DELETE <realm>",
  (it) => {
    it.effect("a batch takes effect as a whole, at one generation, on every replica when it waits for all", () =>
      Effect.gen(function*() {
        const { first, realm, second } = yield* Fleet
        const source = yield* realm({ "a.ts": versioned(1), "b.ts": versioned(1) })
        for (const replica of [first, second]) yield* replica.ask(source.path("a"))
        const before = yield* generation(first, source)
        const answer = expectStatus(
          yield* batch(first, source, [
            { op: "update", path: "a.ts", content: versioned(2) },
            { op: "remove", path: "b.ts" },
            { op: "add", path: "deep/naïve name.ts", content: versioned(2) }
          ], "?wait=all"),
          200
        )
        assert.strictEqual(generationOf(answer), before + 1)
        assert.deepStrictEqual(answer.json, {
          realmURL: source.url,
          generation: before + 1,
          files: [
            { path: "a.ts", outcome: "replaced" },
            { path: "b.ts", outcome: "removed" },
            { path: "deep/naïve name.ts", outcome: "created" }
          ],
          replicas: { live: 2, acked: 2 }
        })
        for (const replica of [first, second]) {
          assert.strictEqual(versionOf((yield* replica.ask(source.path("a"))).text), 2)
          expectStatus(yield* replica.ask(source.path("b")), 404)
          assert.strictEqual(
            versionOf((yield* replica.ask(source.path(`deep/${encodeURIComponent("naïve name")}`))).text),
            2
          )
        }
      }))

    it.effect("add on what exists is 409, update and remove on what does not 404, and nothing has changed", () =>
      Effect.gen(function*() {
        const { first, realm } = yield* Fleet
        const source = yield* realm({ "a.ts": versioned(1) })
        const before = yield* generation(first, source)
        const good = { op: "update", path: "a.ts", content: versioned(2) }
        const cases: ReadonlyArray<readonly [Operation, number]> = [
          [{ op: "add", path: "a.ts", content: "" }, 400],
          [{ op: "update", path: "missing.ts", content: "" }, 404],
          [{ op: "remove", path: "missing.ts" }, 404],
          [{ op: "add", path: "a.ts/below.ts", content: "" }, 400],
          [{ op: "add", path: "../out.ts", content: "" }, 400],
          [{ op: "add", path: ".env", content: "" }, 400],
          [{ op: "add", path: "_x", content: "" }, 400],
          [{ op: "rename", path: "a.ts", content: "" }, 400],
          [{ op: "add", path: "b.ts" }, 400]
        ]
        for (const [operation, status] of cases) {
          expectProblem(yield* batch(first, source, [good, operation]), status)
        }
        const exists = expectProblem(
          yield* batch(first, source, [
            { op: "add", path: "new.ts", content: "" },
            { op: "add", path: "a.ts", content: "" }
          ]),
          409
        )
        assert.include(String(exists["detail"]), "a.ts")
        expectStatus(yield* first.ask(source.path("new.ts")), 404)
        assert.strictEqual(yield* generation(first, source), before)
        assert.strictEqual(versionOf((yield* first.ask(source.path("a"))).text), 1)
      }))

    it.effect("bodies that are no batch are refused: not JSON 400, too large 413, a published realm 405, none 404", () =>
      Effect.gen(function*() {
        const { first, publish, realm, unused } = yield* Fleet
        const source = yield* realm({ "a.ts": versioned(1) })
        const target = unused()
        expectStatus(yield* publish(source, target), 202)
        const send = (place: Place, body: string) => first.ask(place.path("_atomic"), { method: "POST", body })
        for (
          const body of ["", "not json", "[]", "{}", `{"operations":{}}`, `{"operations":[]}`, `{"operations":[null]}`]
        ) {
          expectProblem(yield* send(source, body), 400)
        }
        expectProblem(
          yield* batch(first, source, [{ op: "add", path: "big", content: "x".repeat(17 * 1024 * 1024) }]),
          413
        )
        const readOnly = yield* batch(first, target, [{ op: "remove", path: "a.ts" }])
        expectProblem(readOnly, 405)
        expectProblem(yield* batch(first, unused(), [{ op: "remove", path: "a.ts" }]), 404)
        expectProblem(yield* post(first, source.path("a.ts"), { operations: [] }), 405)
        expectStatus(
          yield* batch(first, source, [{ op: "add", path: "large", content: "x".repeat(15 * 1024 * 1024) }]),
          200
        )
      }))

    it.effect("batches of one realm at once each take effect as a whole", () =>
      Effect.gen(function*() {
        const { all, first, realm } = yield* Fleet
        const names = ["a.ts", "b.ts", "c.ts"]
        const source = yield* realm(Object.fromEntries(names.map((name) => [name, versioned(0)])))
        const before = yield* generation(first, source)
        const answers = yield* Effect.forEach(
          Array.from({ length: 12 }, (_, index) => index + 1),
          (version) =>
            batch(
              all[version % all.length] ?? first,
              source,
              names.map((path) => ({ op: "update", path, content: versioned(version) }))
            ),
          { concurrency: "unbounded" }
        )
        const generations = answers.map((answer) => generationOf(expectStatus(answer, 200)))
        assert.deepStrictEqual(
          generations.toSorted((a, b) => a - b),
          Array.from({ length: 12 }, (_, index) => before + index + 1)
        )
        const last = generations.indexOf(before + 12) + 1
        for (const replica of all) {
          for (const name of names) {
            const answer = yield* replica.ask(source.path(name), {
              headers: { "x-lockstep-min-generation": String(before + 12) }
            })
            assert.strictEqual(versionOf(answer.text), last)
          }
        }
      }))

    it.effect("DELETE of a realm's URL asks for ?all=true, and then says how many files went", () =>
      Effect.gen(function*() {
        const { first, realm, second } = yield* Fleet
        const source = yield* realm({ "a.ts": versioned(1), "deep/b.ts": versioned(1), "c.json": "{}" })
        const before = yield* generation(first, source)
        for (const query of ["", "?all", "?all=false"]) {
          expectProblem(yield* first.ask(source.path("") + query, { method: "DELETE" }), 400)
        }
        const answer = expectStatus(yield* first.ask(`${source.path("")}?all=true&wait=all`, { method: "DELETE" }), 200)
        assert.deepStrictEqual(answer.json, {
          realmURL: source.url,
          generation: before + 1,
          removed: 3,
          replicas: { live: 2, acked: 2 }
        })
        for (const replica of [first, second]) {
          expectStatus(yield* replica.ask(source.path("a")), 404)
          assert.deepStrictEqual((yield* replica.ask(source.path(""))).json["entries"], [])
        }
      }))
  }
)
