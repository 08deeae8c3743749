import { randomUUID } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { expectExecutions } from "../../support/executions.ts"
import { Fleet, post } from "../../support/fleet.ts"
import { expectStatus } from "./expectations.ts"

/** Modules that nobody else has, so that what is reused is theirs. */
const unique = (count: number) => {
  const mark = randomUUID()
  return Object.fromEntries(
    Array.from({ length: count }, (_, n) => [`m${n}.ts`, `export const mark: string = "${mark} ${n}"`])
  )
}

layer(Fleet.layer(), { excludeTestServices: true })("unchanged bytes (rule 11)", (it) => {
  const setUp = Effect.gen(function*() {
    const fleet = yield* Fleet
    const count = Effect.map(
      Effect.forEach(fleet.all, ({ status }) => Effect.map(status, ({ transpiles }) => transpiles ?? 0)),
      (counts) => counts.reduce((sum, n) => sum + n, 0)
    )
    /** What reading these files of a place through both replicas costs, and what they are. */
    const reading = Effect.fnUntraced(function*(path: (file: string) => string, files: ReadonlyArray<string>) {
      const before = yield* count
      const texts = yield* Effect.forEach(
        files,
        (file) =>
          Effect.gen(function*() {
            const [one, other] = yield* Effect.forEach(fleet.all, (replica) => replica.ask(path(file)), {
              concurrency: "unbounded"
            })
            assert.strictEqual(
              expectStatus(one ?? assert.fail(), 200).text,
              expectStatus(other ?? assert.fail(), 200).text
            )
            return one?.text
          }),
        { concurrency: 10 }
      )
      return { transpiles: (yield* count) - before, texts }
    })
    /** Each of so many modules was made once. What costs nothing at all is compared as it is. */
    const once = (transpiles: number, modules: number) =>
      expectExecutions(fleet.all, transpiles, modules, `transpiles of ${modules} modules`)
    return { ...fleet, count, reading, once }
  })

  it.effect("a publish of what was served, and another of it, transpile nothing", () =>
    Effect.gen(function*() {
      const { count, once, publish, reading, realm, unused } = yield* setUp
      const files = unique(20)
      const source = yield* realm(files)
      const names = Object.keys(files)
      const served = yield* reading(source.path, names)
      yield* once(served.transpiles, 20)
      const target = unused()
      for (let round = 0; round < 2; round++) {
        expectStatus(yield* publish(source, target), 202)
        assert.deepStrictEqual(yield* reading(target.path, names), { transpiles: 0, texts: served.texts })
      }
      // One module changes: one transpile.
      const before = yield* count
      yield* source.edit({ "m3.ts": `export const changed: number = 1 // ${randomUUID()}` })
      expectStatus(yield* publish(source, target), 202)
      const again = yield* reading(target.path, names)
      yield* once((yield* count) - before, 1)
      assert.include(again.texts[3], "changed")
    }))

  it.effect("a copy and a revert transpile nothing; another path of the same bytes does", () =>
    Effect.gen(function*() {
      const { first, once, reading, realm } = yield* setUp
      const files = unique(2)
      const source = yield* realm(files)
      const original = yield* reading(source.path, ["m0.ts", "m1.ts"])
      const copy = yield* realm(files)
      assert.deepStrictEqual(yield* reading(copy.path, ["m0.ts", "m1.ts"]), { ...original, transpiles: 0 })
      // Until all replicas know of it, each of them may transpile what it finds on the disk.
      const put = (file: string, body: string) => first.ask(source.path(`${file}?wait=all`), { method: "PUT", body })
      expectStatus(yield* put("m0.ts", `export const other: string = "${randomUUID()}"`), 200)
      yield* once((yield* reading(source.path, ["m0.ts"])).transpiles, 1)
      expectStatus(yield* put("m0.ts", files["m0.ts"] ?? ""), 200)
      assert.deepStrictEqual(yield* reading(source.path, ["m0.ts"]), { transpiles: 0, texts: [original.texts[0]] })
      // The path is part of the content: it names the file in what is made of it.
      expectStatus(yield* put("moved.ts", files["m1.ts"] ?? ""), 201)
      yield* once((yield* reading(source.path, ["moved.ts"])).transpiles, 1)
    }))

  it.effect("an explicit invalidation is obeyed, here and in what is published of it", () =>
    Effect.gen(function*() {
      const { count, first, once, publish, reading, realm, unused } = yield* setUp
      const files = unique(3)
      const names = Object.keys(files)
      const source = yield* realm(files)
      yield* once((yield* reading(source.path, names)).transpiles, 3)
      expectStatus(yield* post(first, "/_invalidate", { realmURL: source.url, path: "m1.ts" }), 200)
      yield* once((yield* reading(source.path, names)).transpiles, 1)
      expectStatus(yield* post(first, "/_invalidate", { realmURL: source.url }), 200)
      yield* once((yield* reading(source.path, names)).transpiles, 3)
      const target = unused()
      expectStatus(yield* publish(source, target), 202)
      assert.strictEqual((yield* reading(target.path, names)).transpiles, 0)
      // Readers and the warm-up of this replica share what is made again.
      const before = yield* count
      expectStatus(yield* post(first, "/_invalidate", { realmURL: target.url }), 200)
      yield* reading(target.path, names)
      yield* once((yield* count) - before, 3)
    }))
})
