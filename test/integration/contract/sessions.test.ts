import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Queue } from "effect"
import { SqlClient } from "effect/sql"
import { Sessions } from "../../../src/coordination/Sessions.ts"
import type { RealmUrl } from "../../../src/domain/RealmUrl.ts"
import { ModuleTable } from "../../../src/store/ModuleTable.ts"
import { ModuleTranspileTable } from "../../../src/store/ModuleTranspileTable.ts"
import { RealmTable } from "../../../src/store/RealmTable.ts"
import { Transaction } from "../../../src/store/Transaction.ts"
import { definitions, transpiled } from "../../contract/cacheTables.ts"
import { freshRealm } from "../../contract/freshRealm.ts"
import { openTransaction } from "../../contract/openTransaction.ts"
import { freshMember } from "../../contract/replicaTable.ts"
import { generationIn } from "../../contract/sessions.ts"
import { timedAwake } from "../../support/awake.ts"
import { eventually } from "../../support/eventually.ts"
import { postgresWithSessions } from "./postgresLayers.ts"

const tables = Layer.mergeAll(
  ModuleTable.layer,
  ModuleTranspileTable.layer,
  RealmTable.layer,
  Sessions.layer,
  Transaction.layer
).pipe(Layer.provideMerge(postgresWithSessions(10)))

const open = (replicaId: string, leaseMillis?: number) =>
  Effect.flatMap(Sessions, (all) => all.open(freshMember(replicaId, leaseMillis)))

const mounted = Effect.fnUntraced(function*() {
  const realms = yield* RealmTable
  const realmUrl = freshRealm()
  const generation = yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
  return { realmUrl, generation: Option.getOrThrow(generation) }
})

const rowOf = (realmUrl: RealmUrl) =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) =>
      sql<Record<"generation" | "wipe" | "definition" | "insert", number>>`SELECT generation::float8 AS generation,
      wipe_floor::float8 AS wipe, definition_floor::float8 AS definition, insert_floor::float8 AS insert
      FROM realm_generations WHERE realm_url = ${realmUrl}`
  ).pipe(Effect.map(([row]) => row))

layer(tables, { excludeTestServices: true })("a catch-up on PostgreSQL", (it) => {
  it.effect("commit order leaves no gap: who began first and commits last is found, whoever committed in between", () =>
    Effect.gen(function*() {
      const realms = yield* RealmTable
      const session = yield* open("gaps")
      const [first, second, third] = [
        (yield* mounted()).realmUrl,
        (yield* mounted()).realmUrl,
        (yield* mounted()).realmUrl
      ]
      let { cursor } = yield* session.catchUp(undefined)
      // What is found may be found again, while any transaction of the server is as old: it was 1 before.
      const catchUp = Effect.gen(function*() {
        const next = yield* session.catchUp(cursor)
        cursor = next.cursor
        return [first, second, third].map((url) => generationIn(next, url) ?? 1)
      })
      const early = yield* openTransaction(realms.advance(first, 1, "paths"))
      const late = yield* openTransaction(realms.advance(second, 1, "paths"))
      yield* realms.advance(third, 1, "paths")
      assert.deepStrictEqual(yield* catchUp, [1, 1, 2])
      yield* late.commit
      assert.deepStrictEqual((yield* catchUp).slice(0, 2), [1, 2])
      yield* early.commit
      assert.strictEqual((yield* catchUp)[0], 2)
      // When nothing is open any more, nothing is told twice.
      yield* eventually("nothing is told", catchUp, (found) => found.every((generation) => generation === 1))
    }).pipe(Effect.scoped))

  it.effect("costs what has changed: the rows that have not are not looked at", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const session = yield* open("cost")
      yield* sql`INSERT INTO realm_generations
        SELECT 'http://many.example/' || n || '/', 1, 'live', 'd', 1, 1, 0, pg_current_xact_id()
        FROM generate_series(1, 20000) AS n`
      yield* sql`ANALYZE realm_generations`
      // A transaction of anybody's on the server, in whatever database, that is older than the rows has them told as well.
      const { cursor } = yield* eventually(
        "the rows are no change any more",
        Effect.flatMap(session.catchUp(undefined), (first) => session.catchUp(first.cursor)),
        ({ realms }) => realms.length === 0
      )
      const { realmUrl } = yield* mounted()
      const { realms } = yield* session.catchUp(cursor)
      assert.deepStrictEqual(realms, [{ realmUrl, generation: 1 }])
      const plan =
        yield* sql`EXPLAIN SELECT realm_url FROM realm_generations WHERE changed_xid >= ${cursor}::text::xid8`
      assert.include(JSON.stringify(plan), "realm_generations_changed")
    }).pipe(Effect.scoped))
})

layer(tables, { excludeTestServices: true })("an incarnation on PostgreSQL", (it) => {
  it.effect("a crash that empties the UNLOGGED tables gives another identity, the same to all sessions (rule 2)", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const realms = yield* RealmTable
      const sessions = yield* Effect.forEach([1, 2, 3, 4, 5], (index) => open(`replica ${index}`))
      const before = yield* Effect.forEach(sessions, (session) => session.catchUp(undefined))
      assert.strictEqual(new Set(before.map((each) => each.identity)).size, 1)
      for (const loss of ["TRUNCATE cache_incarnation", "DELETE FROM cache_incarnation"]) {
        const known = (yield* realms.read([])).incarnation
        yield* sql.unsafe(loss)
        const after = yield* Effect.forEach(sessions, (session) => session.catchUp(before[0]?.cursor), {
          concurrency: "unbounded"
        })
        const identities = new Set(after.map((each) => each.identity))
        assert.strictEqual(identities.size, 1)
        assert.notInclude([...identities].join(), known)
        // It is the one that writers are fenced by.
        assert.include([...identities].join(), (yield* realms.read([])).incarnation)
      }
    }).pipe(Effect.scoped))
})

/** As if the generations had been counted elsewhere: on the timeline before a failover, or in another database. */
const failOver = (column: "timeline" | "system_identifier") =>
  Effect.flatMap(
    SqlClient.SqlClient,
    (sql) => sql`UPDATE database_identity SET ${sql(column)} = 'another ' || clock_timestamp()`
  )

const nextEpoch = (generation: number) => (Math.floor(generation / 2 ** 36) + 1) * 2 ** 36

layer(tables, { excludeTestServices: true })("an epoch on PostgreSQL", (it) => {
  for (const column of ["timeline", "system_identifier"] as const) {
    it.effect(`another ${column} raises generations and floors past any that were issued, once (rule 13, I3)`, () =>
      Effect.gen(function*() {
        const realms = yield* RealmTable
        const session = yield* open("replica")
        yield* session.beginEpoch(false)
        const { generation, realmUrl: one } = yield* mounted()
        const { realmUrl: two } = yield* mounted()
        yield* realms.advance(two, generation, "paths")
        const { cursor } = yield* session.catchUp(undefined)
        yield* failOver(column)
        assert.isTrue(yield* session.beginEpoch(false))
        const raised = nextEpoch(generation)
        const row = { generation: raised, wipe: raised, definition: raised, insert: raised }
        assert.deepStrictEqual([yield* rowOf(one), yield* rowOf(two)], [row, row])
        // Everybody else's catch-up finds it.
        const found = yield* session.catchUp(cursor)
        assert.deepStrictEqual([generationIn(found, one), generationIn(found, two)], [raised, raised])
        assert.isFalse(yield* session.beginEpoch(false))
        assert.deepStrictEqual(yield* rowOf(one), row)
        // And they go on counting from there.
        yield* realms.advance(one, raised, "paths")
        assert.strictEqual((yield* rowOf(one))?.generation, raised + 1)
        yield* failOver(column)
        assert.isTrue(yield* session.beginEpoch(false))
        assert.strictEqual((yield* rowOf(one))?.generation, nextEpoch(raised))
      }).pipe(Effect.scoped))
  }

  it.effect("a realm that is made after an epoch begins past any number that a lost one can have had (rule 13)", () =>
    Effect.gen(function*() {
      const realms = yield* RealmTable
      const session = yield* open("replica")
      yield* session.beginEpoch(false)
      const lost = yield* mounted()
      yield* realms.advance(lost.realmUrl, lost.generation, "paths")
      yield* failOver("timeline")
      yield* session.beginEpoch(false)
      const { generation, realmUrl } = yield* mounted()
      assert.strictEqual(generation, nextEpoch(lost.generation) + 1)
      assert.deepStrictEqual(yield* rowOf(realmUrl), {
        generation,
        wipe: generation,
        definition: generation,
        insert: 0
      })
    }).pipe(Effect.scoped))

  it.effect("of replicas that all find another timeline, one raises the generations, and all find them raised", () =>
    Effect.gen(function*() {
      const sessions = yield* Effect.forEach([1, 2, 3, 4, 5, 6], (index) => open(`replica ${index}`))
      const before = yield* mounted()
      yield* failOver("timeline")
      const outcomes = yield* Effect.forEach(
        sessions,
        (session) =>
          Effect.zip(session.beginEpoch(false), Effect.map(rowOf(before.realmUrl), (row) => row?.generation)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(outcomes.filter(([raised]) => raised).length, 1)
      const raised = nextEpoch(before.generation)
      assert.deepStrictEqual(outcomes.map(([, generation]) => generation), outcomes.map(() => raised))
    }).pipe(Effect.scoped))

  it.effect("a replica that saw the database go back raises them where nothing else tells (rule 13)", () =>
    Effect.gen(function*() {
      const session = yield* open("replica")
      const { generation, realmUrl } = yield* mounted()
      yield* session.beginEpoch(false)
      assert.isTrue(yield* session.beginEpoch(true))
      assert.strictEqual((yield* rowOf(realmUrl))?.generation, nextEpoch(generation))
      assert.isFalse(yield* session.beginEpoch(false))
    }).pipe(Effect.scoped))

  it.effect("rows and writers from before an epoch are void, and generations stay exact as numbers", () =>
    Effect.gen(function*() {
      const realms = yield* RealmTable
      const session = yield* open("replica")
      yield* session.beginEpoch(false)
      const { generation, realmUrl } = yield* mounted()
      const { incarnation } = yield* realms.read([])
      const token = { generation, incarnation }
      const modules = yield* ModuleTranspileTable
      const analyses = yield* ModuleTable
      assert.isTrue(yield* modules.write(realmUrl, "a.ts", "key", token, transpiled.sample(1)))
      assert.isTrue(yield* analyses.write(realmUrl, "a.ts", "key", token, definitions.sample(1)))
      yield* session.beginEpoch(true)
      const reads = [modules.read(realmUrl, "a.ts", "key"), analyses.read(realmUrl, "a.ts", "key")] as const
      for (const read of reads) assert.strictEqual((yield* read)._tag, "None")
      for (const path of ["a.ts", "never-written.ts"]) {
        assert.isFalse(yield* modules.write(realmUrl, path, "key", token, transpiled.sample(1)))
        assert.isFalse(yield* analyses.write(realmUrl, path, "key", token, definitions.sample(1)))
      }
      const now = (yield* rowOf(realmUrl))?.generation ?? 0
      assert.isTrue(Number.isSafeInteger(now))
      assert.isTrue(
        yield* modules.write(realmUrl, "a.ts", "key", { generation: now, incarnation }, transpiled.sample(2))
      )
    }).pipe(Effect.scoped))
})

layer(tables, { excludeTestServices: true })("a session on PostgreSQL", (it) => {
  it.effect("a session whose backend is ended fails its inbox and every call", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const session = yield* open("ended")
      yield* session.register
      yield* sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'lockstep listener'`
      assert.strictEqual((yield* Effect.flip(Queue.take(session.inbox)))._tag, "DatabaseError")
      for (const call of [session.renew, session.register, session.catchUp(undefined), session.acknowledge("x")]) {
        assert.isTrue(Exit.isFailure(yield* Effect.exit(call)))
      }
    }).pipe(Effect.scoped))

  it.effect("a call that is not answered fails well before the lease has ended (rule 5)", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const session = yield* open("unanswered", 3_000)
      yield* session.register
      const locked = yield* openTransaction(sql`LOCK TABLE replicas IN ACCESS EXCLUSIVE MODE`)
      const [took, exit] = yield* timedAwake(Effect.exit(session.renew))
      assert.isTrue(Exit.isFailure(exit))
      assert.isBelow(took, 2_900)
      yield* locked.commit
    }).pipe(Effect.scoped))
})
