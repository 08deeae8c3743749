import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as fs from "node:fs"
import { eventually } from "../../support/eventually.ts"
import { Fleet } from "../../support/fleet.ts"
import { childEnvironment, lockstep } from "../../support/replica.ts"
import { expectStatus } from "../main-job/expectations.ts"
import { person, ready, stored } from "./people.ts"

/** A `lockstep worker`, killed when the scope closes. */
const startWorker = Effect.gen(function*() {
  const { databaseUrl, dataDir } = yield* Fleet
  return yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(process.execPath, [lockstep, "worker", `--data-dir=${dataDir}`], {
        cwd: dataDir,
        stdio: "ignore",
        env: { ...childEnvironment(), DATABASE_URL: databaseUrl }
      })
    ),
    (worker) => Effect.sync(() => worker.kill("SIGKILL"))
  )
})

/** Processes that descend from this one, by their ids. */
const descendants = (pid: number): ReadonlyArray<number> => {
  const parents = fs.readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const stat = fs.readFileSync(`/proc/${name}/stat`, "utf8")
      return [[Number(name), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1])] as const]
    } catch {
      return []
    }
  })
  const of = (parent: number): ReadonlyArray<number> =>
    parents.flatMap(([child, its]) => its === parent ? [child, ...of(child)] : [])
  return of(pid)
}

const isAlive = (pid: number) => {
  try {
    return !/^State:\s+Z/m.test(fs.readFileSync(`/proc/${pid}/status`, "utf8"))
  } catch {
    return false
  }
}

const ended = ({ exitCode, signalCode }: ChildProcess) => exitCode !== null || signalCode !== null

layer(Fleet.layer({ replicas: 2, args: ["--workers", "1", "--no-worker"] }), {
  excludeTestServices: true
})("workers apart from the replicas", (it) => {
  it.effect(
    "a worker that is killed loses nothing: another goes on where it was, and renders nothing twice",
    () =>
      Effect.gen(function*() {
        const { first, publish, realm, sql, unused } = yield* Fleet
        const names = Array.from({ length: 60 }, (_, index) => `person-${index + 10}`)
        const source = yield* realm({
          // A tenth of a second each, without a clock.
          "person.ts": `export class Person {
          static isolated(model: { name: string }): string {
            let sum = 0
            for (let i = 0; i < 5e7; i++) sum += i % 7
            return \`<b>\${model.name}</b>\${sum > 0}\`
          }
        }`,
          ...Object.fromEntries(names.map((name) => [`${name}.json`, person(name)]))
        })
        const target = unused()
        expectStatus(yield* publish(source, target), 202)
        expectStatus(yield* first.ask(target.path("_readiness-check")), 503)
        const killed = yield* startWorker
        const some = yield* eventually("some are rendered", stored(target), (rows) => rows.length >= 3, 60_000)
        assert.isBelow(some.length, names.length)
        const children = process.platform === "linux" ? descendants(killed.pid ?? 0) : []
        if (process.platform === "linux") assert.isNotEmpty(children)
        killed.kill("SIGKILL")
        yield* eventually("it has ended", Effect.sync(() => ended(killed)), (is) => is)
        // What it had isolated ends with it, also where that loops.
        yield* eventually(
          "its processes have ended",
          Effect.sync(() => children.filter(isAlive)),
          (alive) => alive.length === 0
        )
        const before = yield* stored(target)
        const { state } = (yield* sql("SELECT state FROM jobs WHERE realm_url = $1", [target.url]))[0] ?? {}
        assert.strictEqual(state, "running")

        yield* startWorker
        yield* ready(first, target, 120_000)
        const after = yield* stored(target)
        assert.deepStrictEqual(
          after.map((row) => row.isolated_html),
          names.toSorted().map((name) => `<b>${name}</b>true`)
        )
        for (const row of before) {
          assert.strictEqual(after.find(({ path }) => path === row.path)?.indexed_at, row.indexed_at)
        }
      })
  )

  /** A realm whose job a worker had at hand when it was asked to stop, and has put back. */
  const putBack = Effect.gen(function*() {
    const { publish, realm, sql, unused } = yield* Fleet
    const source = yield* realm({
      "loop.ts": "export const isolated = () => { for (;;); }",
      "person.ts": "export class Person { static isolated(model) { return model.name } }",
      "ada.json": person("ada")
    })
    const target = unused()
    expectStatus(yield* publish(source, target), 202)
    const job = Effect.map(
      sql("SELECT state, attempts FROM jobs WHERE realm_url = $1", [target.url]),
      ([row]) => ({ state: row?.["state"], attempts: row?.["attempts"] })
    )
    const stopped = yield* startWorker
    yield* eventually("it is at work", job, ({ state }) => state === "running")
    stopped.kill("SIGTERM")
    yield* eventually("it has ended", Effect.sync(() => ended(stopped)), (is) => is)
    assert.strictEqual(stopped.exitCode, 0)
    const { attempts } = yield* eventually("its job is put back", job, ({ state }) => state === "waiting", 5_000)
    assert.strictEqual(attempts, 1)
    return target
  })

  it.effect("a worker that is asked to stop puts its job back at once", () =>
    Effect.gen(function*() {
      const { first } = yield* Fleet
      // It gives that a second, which a standstill may take; a killed one's job rests for longer than is waited here.
      const target = yield* Effect.retry(putBack, { times: 1, while: ({ _tag }) => _tag === "NeverCame" })
      yield* startWorker
      yield* ready(first, target)
      const rows = yield* stored(target)
      assert.strictEqual(rows.find(({ path }) => path === "ada.json")?.isolated_html, "ada")
      assert.match(rows.find(({ path }) => path === "loop.ts")?.error ?? "", /longer than/)
    }))
})
