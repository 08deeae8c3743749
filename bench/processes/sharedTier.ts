/** Another library's two tiers, the second of which is a table in PostgreSQL that all processes share. */
import { EventEmitter } from "node:events"
import { PgClient } from "@effect/sql-pg"
import { BentoCache, bentostore } from "bentocache"
import { DatabaseDriver } from "bentocache/drivers/database"
import { memoryDriver } from "bentocache/drivers/memory"
import type { DatabaseAdapter, DatabaseConfig } from "bentocache/types"
import { Cacheable, createKeyv, Keyv, type KeyvStoreAdapter } from "cacheable"
import { Effect, ManagedRuntime, Redacted } from "effect"
import { SqlClient } from "effect/sql"
import { defaultPipelineOptions } from "../../src/transpile/babelOptions.ts"
import { makePipeline } from "../../src/transpile/pipeline.ts"
import { answerParent } from "./answerParent.ts"

export type Calling =
  | { readonly task: "open"; readonly library: "bentocache" | "cacheable"; readonly databaseUrl: string }
  | {
    readonly task: "read together"
    readonly key: string
    readonly source: string
    readonly callers: number
    /** When to begin, as `Date.now` tells it. */
    readonly at: number
  }

export interface Called {
  readonly millis: number
  readonly executions: number
}

/** The least that a table can do for a cache: both libraries get the same one. */
const openTable = async (databaseUrl: string) => {
  const runtime = ManagedRuntime.make(PgClient.layer({ url: Redacted.make(databaseUrl), maxConnections: 10 }))
  const sql = await runtime.runPromise(SqlClient.SqlClient)
  const ask = <A extends object>(text: string, parameters: ReadonlyArray<unknown> = []) =>
    runtime.runPromise(sql.unsafe<A>(text, parameters))
  // Two processes may try at the same moment.
  await runtime.runPromise(Effect.retry(
    sql.unsafe("CREATE TABLE IF NOT EXISTS peer_cache (key text PRIMARY KEY, value text, expires_at bigint)"),
    { times: 5 }
  ))
  return {
    get: async (key: string) => {
      const [row] = await ask<{ readonly value: string; readonly expires_at: string | null }>(
        "SELECT value, expires_at FROM peer_cache WHERE key = $1",
        [key]
      )
      return row && { value: row.value, expiresAt: row.expires_at === null ? null : Number(row.expires_at) }
    },
    set: async (key: string, value: string, expiresAt: number | null) => {
      await ask(
        `INSERT INTO peer_cache VALUES ($1, $2, $3)
          ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, expires_at = EXCLUDED.expires_at`,
        [key, value, expiresAt]
      )
    },
    delete: async (keys: ReadonlyArray<string>) =>
      (await ask("DELETE FROM peer_cache WHERE key = ANY($1) RETURNING key", [keys])).length,
    clear: async (prefix: string) => {
      await ask("DELETE FROM peer_cache WHERE starts_with(key, $1)", [prefix])
    },
    prune: async () => {
      await ask("DELETE FROM peer_cache WHERE expires_at < $1", [Date.now()])
    }
  }
}

type Table = Awaited<ReturnType<typeof openTable>>
type GetOrSet = (key: string, make: () => Promise<string>) => Promise<string | undefined>

const adapterOf = (table: Table): DatabaseAdapter => ({
  setTableName: () => {},
  createTableIfNotExists: async () => {},
  get: table.get,
  set: ({ expiresAt, key, value }) => table.set(key, value, expiresAt === null ? null : expiresAt.getTime()),
  delete: async (key) => await table.delete([key]) > 0,
  deleteMany: table.delete,
  clear: table.clear,
  pruneExpiredEntries: table.prune,
  disconnect: async () => {}
})

const bentocache = (table: Table): GetOrSet => {
  const options: DatabaseConfig = { autoCreateTable: false, pruneInterval: false }
  const cache = new BentoCache({
    default: "tiers",
    stores: {
      tiers: bentostore()
        .useL1Layer(memoryDriver())
        .useL2Layer({ options, factory: (config: DatabaseConfig) => new DatabaseDriver(adapterOf(table), config) })
    }
  })
  return (key, make) => cache.getOrSet({ key, factory: make })
}

class TableStore extends EventEmitter implements KeyvStoreAdapter {
  readonly opts = {}
  readonly #table: Table
  constructor(table: Table) {
    super()
    this.#table = table
  }
  async get<Value>(key: string) {
    const row = await this.#table.get(key)
    return row?.value as Value | undefined
  }
  async set(key: string, value: string) {
    await this.#table.set(key, value, null)
  }
  async delete(key: string) {
    return await this.#table.delete([key]) > 0
  }
  clear() {
    return this.#table.clear("")
  }
}

const cacheable = (table: Table): GetOrSet => {
  const cache = new Cacheable({ primary: createKeyv(), secondary: new Keyv({ store: new TableStore(table) }) })
  return (key, make) => cache.getOrSet(key, make)
}

const { transpile } = makePipeline(defaultPipelineOptions)
let getOrSet: GetOrSet | undefined

answerParent(async (calling: Calling): Promise<Called> => {
  if (calling.task === "open") {
    const table = await openTable(calling.databaseUrl)
    getOrSet = calling.library === "bentocache" ? bentocache(table) : cacheable(table)
    // As warm as a replica's thread.
    transpile("warm.ts", Buffer.from("@a export class A<T> { constructor(private readonly b: T) {} }"))
    await getOrSet("warm", () => Promise.resolve("warm"))
    return { millis: 0, executions: 0 }
  }
  const { at, callers, key, source } = calling
  const read = getOrSet
  if (read === undefined) throw new Error("was not opened")
  let executions = 0
  const make = async () => {
    executions++
    const answer = transpile(`${key}.ts`, Buffer.from(source))
    if (answer._tag === "Rejected") throw new Error("does not transpile")
    return answer.value.code
  }
  await new Promise((resolve) => setTimeout(resolve, Math.max(0, at - Date.now())))
  const start = performance.now()
  const bodies = new Set(await Promise.all(Array.from({ length: callers }, () => read(key, make))))
  if (bodies.size !== 1 || bodies.has(undefined)) throw new Error("two callers got different values")
  return { millis: performance.now() - start, executions }
})
