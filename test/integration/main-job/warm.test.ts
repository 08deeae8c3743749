import { randomUUID } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { eventually } from "../../support/eventually.ts"
import { Fleet } from "../../support/fleet.ts"
import { runCommand } from "../../cli/runCommand.ts"
import type { Replica } from "../../support/replica.ts"
import { expectStatus } from "./expectations.ts"

const transpiles = (replica: Replica) => Effect.map(replica.status, (status) => status["transpiles"] ?? 0)

/** A graph of three, two that nothing imports, one that does not compile, and a file that is no module. */
const graph = () => {
  const mark = `const mark: string = "${randomUUID()}"`
  return {
    "main.ts": `import "./deep/a"\n${mark}`,
    "deep/a.ts": `import "../b.ts"\nimport "left-pad"\n${mark}`,
    "b.ts": `import("/nowhere.ts")\n${mark}`,
    "alone.ts": mark,
    "other.ts": mark,
    "broken.ts": "const const",
    "types.d.ts": "export type A = 1",
    "data.json": "{}"
  }
}

layer(Fleet.layer(), { excludeTestServices: true })("warming up", (it) => {
  it.effect("a publish makes what was asked for before, and what that imports, and nothing else", () =>
    Effect.gen(function*() {
      const { all, first, publish, realm, second, sql, unused } = yield* Fleet
      const count = Effect.map(Effect.forEach(all, transpiles), (each) => each.reduce((sum, n) => sum + n, 0))
      const source = yield* realm(graph())
      for (const file of ["main.ts", "alone.ts"]) expectStatus(yield* first.ask(source.path(file)), 200)
      const before = yield* count
      const target = unused()
      expectStatus(yield* publish(source, target), 202)
      // Transpiles are counted when they begin: the other replica can share a module once its row is there.
      yield* eventually(
        "the graph is made",
        sql("SELECT 1 FROM module_transpile_cache WHERE realm_url = $1 AND body IS NOT NULL", [target.url]),
        (rows) => rows.length >= 4
      )
      // Two that were imported and never asked for; the others are reused.
      assert.strictEqual(yield* count, before + 2)
      for (const file of ["main.ts", "deep/a.ts", "b.ts", "alone.ts"]) {
        const answer = expectStatus(yield* second.ask(target.path(file)), 200)
        assert.strictEqual(answer.headers["x-lockstep-cache"], "l2", file)
      }
      assert.strictEqual(yield* count, before + 2)
      const other = expectStatus(yield* second.ask(target.path("other.ts")), 200)
      assert.strictEqual(other.headers["x-lockstep-cache"], "transpiled")
    }))

  it.effect("lockstep warm makes every module of a realm, and says which cannot be made", () =>
    Effect.gen(function*() {
      const { first, realm, second } = yield* Fleet
      const source = yield* realm(graph())
      const warm = (...args: ReadonlyArray<string>) => runCommand(["warm", source.url, "--server", first.url, ...args])
      const told = yield* warm()
      assert.strictEqual(told.exitCode, 0, told.stderr)
      assert.match(told.stdout, /^5 of 6 modules of \S+ are warm: 5 transpiled now\n.*broken\.ts: .*Unexpected/)
      const json = JSON.parse((yield* warm("--json")).stdout)
      assert.deepInclude(json, { modules: 6, from: { l1: 5 } })
      const answer = expectStatus(yield* second.ask(source.path("deep/a.ts")), 200)
      assert.strictEqual(answer.headers["x-lockstep-cache"], "l2")
      const generation = Number(answer.headers["x-lockstep-generation"])
      assert.strictEqual((yield* warm("--min-generation", String(generation))).exitCode, 0)
      const ahead = yield* warm("--min-generation", String(generation + 1))
      assert.strictEqual(ahead.exitCode, 1)
      assert.match(ahead.stderr, /generation/)
      const below = yield* runCommand(["warm", `${source.url}deep/`, "--server", first.url])
      assert.match(below.stdout, /^1 of 1 modules/)
      const missing = yield* runCommand(["warm", `${source.url}nowhere/`, "--server", first.url])
      assert.strictEqual(missing.exitCode, 1)
      const slashless = yield* runCommand(["warm", source.url.slice(0, -1), "--server", first.url])
      assert.strictEqual(slashless.exitCode, 2)
      assert.match(slashless.stderr, /ends in a slash/)
    }))
})
