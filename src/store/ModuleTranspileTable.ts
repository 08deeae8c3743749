import { Clock, Context, Effect, Layer, Option, Schema, Semaphore } from "effect"
import { SqlClient } from "effect/sql"
import { LRUCache } from "lru-cache"
import { DatabaseError } from "../domain/errors.ts"
import { timeoutAwake } from "../domain/timeoutAwake.ts"
import { batched } from "./batched.ts"
import {
  type CacheTable,
  fencedInsert,
  fenceOf,
  type FenceToken,
  makeMemory,
  makeSql,
  parameters,
  type Shape,
  valuesOf
} from "./CacheTable.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { countDeleted, statement, statementDeadline } from "./statement.ts"

/** The JavaScript of one module, its response headers, and the specifiers it imports. */
export const TranspiledRow = Schema.Struct({
  body: Schema.String,
  headers: Schema.Record(Schema.String, Schema.String),
  dependency_keys: Schema.Array(Schema.String)
})
export type TranspiledRow = typeof TranspiledRow.Type

/** A row made of what another realm, or an earlier state of this one, has left. */
export interface Adopted {
  readonly row: TranspiledRow
  /** Whether the fences let it in, as in `write`. It is right for its bytes all the same. */
  readonly accepted: boolean
}

/**
 * Beside the rows, which belong to paths and are voided, what they hold is kept by its content (rule 11): a publish, a
 * copy or a revert finds it under the content key, whatever was invalidated since. Equal keys mean equal rows, so nothing there
 * is stale. It is shared by the realms of one salt (`RealmTable.salt`); what was not used for long is collected.
 */
export interface TranspiledTable extends CacheTable<TranspiledRow> {
  /** The same as `write`; what was accepted is kept for reuse. */
  readonly writeAndKeep: CacheTable<TranspiledRow>["write"]
  /** Writes the row from what was kept under the content key, if anything was. */
  readonly adoptContent: (
    realmUrl: string,
    path: string,
    contentKey: string,
    token: FenceToken
  ) => Effect.Effect<Option.Option<Adopted>, DatabaseError>
  /** Paths that had a row in these realms when the collector last came, void or not: up to `limit` of them. */
  readonly used: (
    realmUrls: ReadonlyArray<string>,
    limit: number
  ) => Effect.Effect<ReadonlyArray<string>, DatabaseError>
  /** Deletes what nobody has adopted for this many days. */
  readonly collectContents: (days: number) => Effect.Effect<number, DatabaseError>
}

const shape: Shape = {
  table: "module_transpile_cache",
  floor: "wipeFloor",
  columns: [
    { name: "body", type: "text" },
    { name: "headers", type: "jsonb" },
    { name: "dependency_keys", type: "jsonb" }
  ]
}

const decode = Schema.decodeUnknownSync(TranspiledRow)

/**
 * Of the pool's ten connections: whoever reads the shared cache, or fills it, must not keep others from asking for a
 * generation.
 */
const readLanes = 4
const lookLanes = 1
const writeLanes = 3

/** Rows may be large, and are all decoded before the first is answered. */
const rowsARead = 16

/** What is only looked for is small. */
const keysARead = 64

/** Table `module_transpile_cache`: transpiled modules shared by all replicas. */
export class ModuleTranspileTable extends Context.Service<ModuleTranspileTable, TranspiledTable>()(
  "lockstep/store/ModuleTranspileTable"
) {
  static readonly layer = Layer.effect(
    ModuleTranspileTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const names = shape.columns.map(({ name }) => name).join(", ")
      // Versions have no row: they are of their realm.
      const salt = "(SELECT coalesce(max(reuse_salt), '') FROM realm_generations " +
        "WHERE realm_url = regexp_replace($1, '/@[0-9]+/$', '/'))"
      // The bytes travel once: both tables take them from the same parameters. Only what was accepted is kept: a writer from
      // before an explicit invalidation may see the salt of after it.
      const writeAndKeep = `WITH accepted AS (${fencedInsert(shape, parameters(shape.columns))}), kept AS (
          INSERT INTO transpiled_contents (content_key, salt, ${names})
          SELECT $3, ${salt}, ${parameters(shape.columns)} FROM accepted ON CONFLICT DO NOTHING
        ) SELECT FROM accepted`
      const found = `FROM transpiled_contents WHERE content_key = $3 AND salt = ${salt}`
      const adopt = `WITH found AS (SELECT ${names} ${found}),
          used AS (UPDATE transpiled_contents t SET used_at = now() WHERE (t.content_key, t.salt) IN (
            SELECT content_key, salt ${found} AND used_at < now() - interval '1 day')),
          adopted AS (${fencedInsert(shape, `${names} FROM found`)})
        SELECT ${names}, EXISTS (SELECT FROM adopted) AS accepted FROM found`
      const table = makeSql(sql, shape, decode)
      const read = yield* batched({ lanes: readLanes, size: rowsARead, ask: table.readMany })
      // Most of what is new to a realm is new to all of them: that much is asked for many at once, and takes no row along.
      const kept =
        `SELECT k.ord::int AS ord FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS k (realm_url, content_key, ord)
        LEFT JOIN realm_generations r ON r.realm_url = regexp_replace(k.realm_url, '/@[0-9]+/$', '/')
        JOIN transpiled_contents t ON t.content_key = k.content_key AND t.salt = coalesce(r.reuse_salt, '')`
      const isKept = yield* batched({
        lanes: lookLanes,
        size: keysARead,
        ask: (keys: ReadonlyArray<{ readonly realmUrl: string; readonly contentKey: string }>) =>
          statement(
            "look for transpiled modules",
            sql.unsafe<{ ord: number }>(kept, [
              keys.map(({ realmUrl }) => realmUrl),
              keys.map(({ contentKey }) => contentKey)
            ])
          ).pipe(Effect.map((rows) => {
            const found = new Set(rows.map(({ ord }) => ord - 1))
            return keys.map((_, index) => found.has(index))
          }))
      })
      const withinDeadline = <A>(operation: string, asked: Effect.Effect<A, DatabaseError>) =>
        timeoutAwake(asked, {
          patience: statementDeadline,
          orElse: () => Effect.fail(new DatabaseError({ operation, cause: `no answer in ${statementDeadline}` }))
        })
      // Waited for within the statement's deadline.
      const lanes = Semaphore.makeUnsafe(writeLanes)
      return ModuleTranspileTable.of({
        ...table,
        read: (realmUrl, path, contentKey) =>
          withinDeadline(`read ${shape.table}`, read({ realmUrl, path, contentKey })),
        writeAndKeep: (realmUrl, path, contentKey, token, row) =>
          statement(
            `write ${shape.table}`,
            lanes.withPermit(sql.unsafe(writeAndKeep, [
              ...fenceOf(realmUrl, path, contentKey, token),
              ...valuesOf(shape.columns, row)
            ]))
          ).pipe(Effect.map((rows) => rows.length > 0)),
        adoptContent: Effect.fnUntraced(function*(realmUrl, path, contentKey, token) {
          if (!(yield* withinDeadline("look for transpiled modules", isKept({ realmUrl, contentKey })))) {
            return Option.none()
          }
          const [found] = yield* statement(
            "adopt a transpiled module",
            lanes.withPermit(sql.unsafe<TranspiledRow & { readonly accepted: boolean }>(
              adopt,
              fenceOf(realmUrl, path, contentKey, token)
            ))
          )
          return found === undefined ? Option.none() : Option.some({ row: decode(found), accepted: found.accepted })
        }),
        used: (realmUrls, limit) =>
          statement(
            "list used modules",
            sql<{ path: string }>`SELECT DISTINCT canonical_path AS path FROM module_transpile_cache
              WHERE realm_url = ANY(${realmUrls}::text[]) AND body IS NOT NULL LIMIT ${limit}`
          ).pipe(Effect.map((rows) => rows.map(({ path }) => path))),
        collectContents: (days) =>
          countDeleted(
            sql,
            "collect transpiled contents",
            "DELETE FROM transpiled_contents WHERE used_at < now() - $1::float8 * interval '1 day'",
            [days]
          )
      })
    })
  )

  /** Contents are kept in this process, up to a bound. */
  static readonly layerMemory = Layer.effect(
    ModuleTranspileTable,
    Effect.map(MemoryDatabase, (database) => {
      const table = makeMemory<TranspiledRow>(database, shape)
      const contents = new LRUCache<string, { readonly row: TranspiledRow; readonly usedAt: number }>({
        maxSize: 64 * 2 ** 20,
        sizeCalculation: ({ row }, key) => 2 * (row.body.length + key.length) + 1024
      })
      const keyOf = (realmUrl: string, contentKey: string) =>
        Effect.map(
          database.read(({ salts }) => salts.get(realmUrl.replace(/\/@[0-9]+\/$/, "/")) ?? ""),
          (salt) => `${contentKey} ${salt}`
        )
      const keep = (realmUrl: string, contentKey: string, row: TranspiledRow) =>
        Effect.zipWith(
          keyOf(realmUrl, contentKey),
          Clock.currentTimeMillis,
          (key, usedAt) => void contents.set(key, { row, usedAt })
        )
      return ModuleTranspileTable.of({
        ...table,
        writeAndKeep: (realmUrl, path, contentKey, token, row) =>
          Effect.tap(
            table.write(realmUrl, path, contentKey, token, row),
            (accepted) => accepted ? keep(realmUrl, contentKey, row) : Effect.void
          ),
        adoptContent: Effect.fnUntraced(function*(realmUrl, path, contentKey, token) {
          const row = contents.get(yield* keyOf(realmUrl, contentKey))?.row
          if (row === undefined) return Option.none()
          yield* keep(realmUrl, contentKey, row)
          return Option.some({ row, accepted: yield* table.write(realmUrl, path, contentKey, token, row) })
        }),
        used: (realmUrls, limit) =>
          database.read(({ caches }) => {
            const paths = Array.from(caches.get(shape.table) ?? []).flatMap(([key, row]) => {
              const [realmUrl = "", path = ""] = key.split("\0")
              return row.values !== null && realmUrls.includes(realmUrl) ? [path] : []
            })
            return Array.from(new Set(paths)).slice(0, limit)
          }),
        collectContents: (days) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            const before = contents.size
            for (const [key, { usedAt }] of contents.entries()) {
              if (usedAt < now - days * 86_400_000) contents.delete(key)
            }
            return before - contents.size
          })
      })
    })
  )
}
