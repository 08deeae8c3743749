import { assert, it, layer } from "@effect/vitest"
import { PgClient } from "@effect/sql-pg"
import { Effect, Fiber, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import type { RealmUrl } from "../../../src/domain/RealmUrl.ts"
import { migrate, migrations } from "../../../src/store/migrations.ts"
import { ModuleTranspileTable } from "../../../src/store/ModuleTranspileTable.ts"
import { RealmTable } from "../../../src/store/RealmTable.ts"
import { Transaction } from "../../../src/store/Transaction.ts"
import { transpiled } from "../../contract/cacheTables.ts"
import { freshRealm } from "../../contract/freshRealm.ts"
import { openTransaction } from "../../contract/openTransaction.ts"
import { temporaryDatabase } from "../../support/database.ts"
import { eventually } from "../../support/eventually.ts"
import { postgres } from "./postgresLayers.ts"

const tables = Layer.mergeAll(ModuleTranspileTable.layer, RealmTable.layer, Transaction.layer).pipe(
  Layer.provideMerge(postgres())
)

/** A live realm at generation 1, and the token of a writer that begins now. */
const writerOf = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
  const realms = yield* RealmTable
  yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
  const { incarnation } = yield* realms.read([realmUrl])
  return { generation: 1, incarnation }
})

const somebodyWaitsForARow = eventually(
  "a session that waits for a row",
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
  ),
  (rows) => rows.length > 0
)

layer(tables, { excludeTestServices: true })("two sessions on PostgreSQL", (it) => {
  for (const before of ["had a row", "never had a row"] as const) {
    it.effect(`a write that waits behind an uncommitted tombstone is refused after its commit: the path ${before}`, () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const table = yield* ModuleTranspileTable
        const realmUrl = freshRealm()
        const token = yield* writerOf(realmUrl)
        if (before === "had a row") yield* table.write(realmUrl, "a.ts", "old", token, transpiled.sample(0))
        const invalidation = yield* openTransaction(
          Effect.andThen(realms.advance(realmUrl, 1, "paths"), table.bury(realmUrl, ["a.ts"], 2))
        )
        const slow = yield* Effect.forkChild(table.write(realmUrl, "a.ts", "key", token, transpiled.sample(1)))
        yield* somebodyWaitsForARow
        yield* invalidation.commit
        assert.isFalse(yield* Fiber.join(slow))
        assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.none())
      }))
  }

  it.effect("a tombstone that waits behind an uncommitted older write buries it", () =>
    Effect.gen(function*() {
      const realms = yield* RealmTable
      const table = yield* ModuleTranspileTable
      const realmUrl = freshRealm()
      const token = yield* writerOf(realmUrl)
      const write = yield* openTransaction(table.write(realmUrl, "a.ts", "key", token, transpiled.sample(1)))
      assert.isTrue(write.result)
      yield* realms.advance(realmUrl, 1, "paths")
      const burial = yield* Effect.forkChild(table.bury(realmUrl, ["a.ts"], 2))
      yield* somebodyWaitsForARow
      yield* write.commit
      yield* Fiber.join(burial)
      assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.none())
    }))

  it.effect("a row whose writer checked the floor before it was raised and committed after is never a hit (rule 1)", () =>
    Effect.gen(function*() {
      const realms = yield* RealmTable
      const table = yield* ModuleTranspileTable
      const realmUrl = freshRealm()
      const token = yield* writerOf(realmUrl)
      const write = yield* openTransaction(table.write(realmUrl, "a.ts", "key", token, transpiled.sample(1)))
      assert.isTrue(write.result)
      yield* realms.advance(realmUrl, 1, "realm")
      yield* write.commit
      assert.deepStrictEqual(yield* table.read(realmUrl, "a.ts", "key"), Option.none())
    }))
})

layer(tables, { excludeTestServices: true })("a database that lost its UNLOGGED tables", (it) => {
  it.effect("refuses the writer from before, and goes on under a new incarnation (rule 2)", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const realms = yield* RealmTable
      const table = yield* ModuleTranspileTable
      const realmUrl = freshRealm()
      const token = yield* writerOf(realmUrl)
      yield* realms.advance(realmUrl, 1, "paths")
      yield* table.bury(realmUrl, ["a.ts"], 2)
      // What recovery does to every UNLOGGED table.
      yield* sql`TRUNCATE cache_incarnation, module_transpile_cache, modules`
      assert.isFalse(yield* table.write(realmUrl, "a.ts", "key", token, transpiled.sample(1)))
      const found = yield* Effect.forEach(Array.from({ length: 5 }), () => realms.read([realmUrl]), {
        concurrency: "unbounded"
      })
      assert.strictEqual(new Set(found.map((each) => each.incarnation)).size, 1)
      const { incarnation, realms: [row] } = yield* realms.read([realmUrl])
      assert.notStrictEqual(incarnation, token.incarnation)
      assert.strictEqual(row?.generation, 2)
      assert.isFalse(yield* table.write(realmUrl, "a.ts", "key", token, transpiled.sample(1)))
      assert.isTrue(
        yield* table.write(realmUrl, "a.ts", "key", { generation: 2, incarnation }, transpiled.sample(2))
      )
    }))
})

it.live("ten replicas that migrate a new database at once all succeed", () =>
  Effect.gen(function*() {
    const url = yield* temporaryDatabase
    yield* Effect.forEach(
      Array.from({ length: 10 }),
      () => Effect.provide(migrate, PgClient.layer({ url, maxConnections: 1 })),
      { concurrency: "unbounded", discard: true }
    )
    const tableNames = yield* Effect.flatMap(SqlClient.SqlClient, (sql) =>
      sql<{ name: string; kind: string }>`SELECT relname AS name, relpersistence AS kind FROM pg_class
        WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`).pipe(
        Effect.provide(PgClient.layer({ url, maxConnections: 1 }))
      )
    const persistence = new Map(tableNames.map(({ kind, name }) => [name, kind]))
    for (const unlogged of ["module_transpile_cache", "modules", "cache_incarnation"]) {
      assert.strictEqual(persistence.get(unlogged), "u", unlogged)
    }
    for (const logged of ["realm_generations", "realm_registry", "realm_versions", "jobs", "realm_index", "replicas"]) {
      assert.strictEqual(persistence.get(logged), "p", logged)
    }
  }))

it.live("renderings that may hold what another one left are removed, and their realms are rendered again", () =>
  Effect.gen(function*() {
    const client = PgClient.layer({ url: yield* temporaryDatabase, maxConnections: 1 })
    yield* Effect.gen(function*() {
      yield* migrate
      const sql = yield* SqlClient.SqlClient
      for (const name of ["rendered", "other", "gone"]) {
        yield* sql`INSERT INTO realm_generations
          (realm_url, generation, state, directory, wipe_floor, definition_floor, changed_xid)
          VALUES (${name}, 7, ${name === "gone" ? "gone" : "live"}, 'd', 0, 0, pg_current_xact_id())`
      }
      yield* sql`INSERT INTO realm_index (url, realm_url, path, hash, renderer, generation)
        VALUES ('rendered/a', 'rendered', 'a', 'h', 'r', 7), ('gone/a', 'gone', 'a', 'h', 'r', 7)`
      yield* migrations["0010_renderings_anew"] ?? Effect.die(new Error("there is no such migration"))
      assert.deepStrictEqual(yield* sql`SELECT url FROM realm_index`, [])
      const jobs = yield* sql`SELECT kind, realm_url, generation::int AS generation, state FROM jobs`
      assert.deepStrictEqual(jobs, [{ kind: "reindex", realm_url: "rendered", generation: 7, state: "waiting" }])
    }).pipe(Effect.provide(client))
  }))
