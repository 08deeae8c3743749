/** Coalescing with a transaction for each key: it holds an advisory lock, and a connection of the pool, while it works. */
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Layer, ManagedRuntime, Redacted, Schedule } from "effect"
import { SqlClient } from "effect/sql"
import { Transpiler } from "../../src/transpile/Transpiler.ts"
import { answerParent } from "./answerParent.ts"

export type Pinning =
  | { readonly task: "open"; readonly databaseUrl: string; readonly maxConnections: number }
  /** Makes all of these modules at once. */
  | { readonly task: "make"; readonly modules: Readonly<Record<string, string>> }

export interface Pinned {
  readonly millis: number
  /** Of `SELECT 1` through the same pool meanwhile, in milliseconds. */
  readonly probes: ReadonlyArray<number>
}

const open = (databaseUrl: string, maxConnections: number) =>
  ManagedRuntime.make(Layer.merge(
    PgClient.layer({ url: Redacted.make(databaseUrl), maxConnections }),
    Transpiler.layer({ workers: 1 })
  ))

const make = Effect.fnUntraced(function*(modules: Readonly<Record<string, string>>) {
  const sql = yield* SqlClient.SqlClient
  const transpiler = yield* Transpiler
  const once = (path: string, text: string) =>
    sql.withTransaction(Effect.gen(function*() {
      yield* sql`SELECT pg_try_advisory_xact_lock(hashtextextended(${path}, 0))`
      const { code } = yield* transpiler.transpile({ group: "peer", path, bytes: Buffer.from(text) })
      yield* sql`INSERT INTO pinned VALUES (${path}, ${code})`
    }))
  const probes = new Array<number>()
  const probe = Effect.suspend(() => {
    const from = performance.now()
    return Effect.map(sql`SELECT 1`, () => probes.push(performance.now() - from))
  })
  const prober = yield* Effect.forkChild(Effect.repeat(probe, Schedule.spaced("2 millis")))
  const from = performance.now()
  yield* Effect.forEach(Object.entries(modules), ([path, text]) => once(path, text), {
    concurrency: "unbounded",
    discard: true
  })
  const millis = performance.now() - from
  // The last one waited too.
  yield* probe
  yield* Fiber.interrupt(prober)
  return { millis, probes }
})

let runtime: ReturnType<typeof open> | undefined

answerParent(async (pinning: Pinning): Promise<Pinned> => {
  if (pinning.task === "open") {
    runtime = open(pinning.databaseUrl, pinning.maxConnections)
    await runtime.runPromise(Effect.flatMap(
      SqlClient.SqlClient,
      (sql) => sql`CREATE UNLOGGED TABLE pinned (path text PRIMARY KEY, body text)`
    ))
    return { millis: 0, probes: [] }
  }
  if (runtime === undefined) throw new Error("was not opened")
  return runtime.runPromise(make(pinning.modules))
})
