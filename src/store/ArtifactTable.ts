import { Clock, Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { LRUCache } from "lru-cache"
import type { DatabaseError } from "../domain/errors.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/**
 * Table `artifacts`: what hosts derive from realms' files, by the content that it was made from. Equal keys mean equal values,
 * so an edit or a publish voids nothing: another file has another key. An explicit invalidation says that what was made is
 * wrong; it salts the realm (`RealmTable.salt`), and values of another salt are not found.
 */
export class ArtifactTable extends Context.Service<ArtifactTable, {
  /** JSON text, as it was written. */
  readonly read: (realmUrl: string, contentKey: string) => Effect.Effect<Option.Option<string>, DatabaseError>
  /**
   * Returns whether it was kept. `generation` is the realm's, from before any byte was read: who computed before the realm
   * was salted must not write under the new salt.
   */
  readonly write: (
    realmUrl: string,
    contentKey: string,
    generation: number,
    value: string
  ) => Effect.Effect<boolean, DatabaseError>
  /** Deletes what was made longer ago than this many days. Whoever still needs it makes it again. */
  readonly collect: (days: number) => Effect.Effect<number, DatabaseError>
}>()("lockstep/store/ArtifactTable") {
  static readonly layer = Layer.effect(
    ArtifactTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      return ArtifactTable.of({
        // -- I1: the salt is read by the same statement as the row
        read: (realmUrl, contentKey) =>
          statement(
            "read an artifact",
            sql<{ value: string }>`SELECT a.value FROM artifacts a
              JOIN realm_generations r ON r.realm_url = ${realmUrl} AND r.reuse_salt = a.salt
              WHERE a.content_key = ${contentKey}`
          ).pipe(Effect.map((rows) => Option.map(Option.fromNullishOr(rows[0]), (row) => row.value))),
        // -- I1: a realm's own salt ends in the generation that brought it; one of its source came with a publish
        write: (realmUrl, contentKey, generation, value) =>
          Effect.map(
            statement(
              "write an artifact",
              sql`INSERT INTO artifacts AS a (content_key, salt, value)
                SELECT ${contentKey}, r.reuse_salt, ${value} FROM realm_generations r
                WHERE r.realm_url = ${realmUrl} AND ${String(generation)}::text::bigint >= CASE
                  WHEN r.reuse_salt = '' THEN 0
                  WHEN r.reuse_salt ^@ (r.realm_url || '@') THEN substr(r.reuse_salt, length(r.realm_url) + 2)::bigint
                  ELSE r.wipe_floor END
                ON CONFLICT (content_key, salt) DO UPDATE SET value = EXCLUDED.value
                RETURNING 1`
            ),
            (rows) => rows.length > 0
          ),
        collect: (days) =>
          statement(
            "collect artifacts",
            sql<{ count: number }>`WITH gone AS (
                DELETE FROM artifacts WHERE created_at < now() - ${days}::float8 * interval '1 day' RETURNING 1
              ) SELECT count(*)::float8 AS count FROM gone`
          ).pipe(Effect.map((rows) => rows[0]?.count ?? 0))
      })
    })
  )

  /** In this process only, and bounded: what is pushed out is made again. */
  static readonly layerMemory = Layer.effect(
    ArtifactTable,
    Effect.gen(function*() {
      const database = yield* MemoryDatabase
      const rows = new LRUCache<string, { readonly value: string; readonly madeAt: number }>({
        maxSize: 16 * 2 ** 20,
        sizeCalculation: ({ value }, key) => 2 * (value.length + key.length) + 64
      })
      const saltOf = (realmUrl: string) =>
        database.read(({ realms, salts }) => realms.has(realmUrl) ? salts.get(realmUrl) ?? "" : undefined)
      return ArtifactTable.of({
        read: (realmUrl, contentKey) =>
          Effect.map(
            saltOf(realmUrl),
            (salt) =>
              salt === undefined ? Option.none() : Option.fromNullishOr(rows.get(`${contentKey} ${salt}`)?.value)
          ),
        write: Effect.fnUntraced(function*(realmUrl, contentKey, generation, value) {
          const madeAt = yield* Clock.currentTimeMillis
          return yield* database.read(({ realms, salts }) => {
            const realm = realms.get(realmUrl)
            const salt = salts.get(realmUrl) ?? ""
            const own = salt.startsWith(`${realmUrl}@`) ? Number(salt.slice(realmUrl.length + 1)) : realm?.wipeFloor
            if (realm === undefined || generation < (salt === "" ? 0 : own ?? 0)) return false
            rows.set(`${contentKey} ${salt}`, { value, madeAt })
            return true
          })
        }),
        collect: (days) =>
          Effect.map(Clock.currentTimeMillis, (now) => {
            const before = rows.size
            for (const [key, { madeAt }] of rows.entries()) if (madeAt < now - days * 86_400_000) rows.delete(key)
            return before - rows.size
          })
      })
    })
  )
}
