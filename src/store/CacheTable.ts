import { Effect, Option } from "effect"
import type { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import type { MemoryDatabase } from "./MemoryDatabase.ts"
import type { InsertFloor } from "./RealmTable.ts"
import { countDeleted, statement } from "./statement.ts"

/** What a writer captured before it read any byte: results computed under it are fenced by it. */
export interface FenceToken {
  readonly generation: number
  readonly incarnation: string
}

/** Names one row, and the bytes that it must have been made from. */
export interface RowKey {
  readonly realmUrl: string
  readonly path: string
  readonly contentKey: string
}

/** One row. A row without values is a tombstone: it remembers the generation at which its path was invalidated. */
export interface CacheRow {
  readonly generation: number
  readonly contentKey: string | null
  readonly values: Readonly<Record<string, unknown>> | null
}

/**
 * A table of derived artifacts shared by all replicas (L2), keyed by realm and canonical path. Transpiled modules and
 * definitions live under the same rules:
 * - a row is a hit only at or above its realm's wipe floor, checked on read, and only for the bytes it was made from;
 * - a write is refused by a newer row or tombstone, a newer floor, or the loss of the table since its token was taken.
 */
export interface CacheTable<V> {
  /** Many rows at once, by one statement; hits as in `read`, in the order of the keys. */
  readonly readMany: (
    keys: ReadonlyArray<RowKey>
  ) => Effect.Effect<ReadonlyArray<Option.Option<V>>, DatabaseError>
  readonly read: (realmUrl: string, path: string, contentKey: string) => Effect.Effect<Option.Option<V>, DatabaseError>
  /** Returns whether the row was accepted. */
  readonly write: (
    realmUrl: string,
    path: string,
    contentKey: string,
    token: FenceToken,
    value: V
  ) => Effect.Effect<boolean, DatabaseError>
  /** Writes a tombstone for each path, whether or not it had a row: a delete would let a slow writer's insert succeed. */
  readonly bury: (
    realmUrl: string,
    paths: ReadonlyArray<string>,
    generation: number
  ) => Effect.Effect<void, DatabaseError>
  /** Deletes rows that their realm's floor has voided, and the rows of versions that are gone. */
  readonly collectVoid: Effect.Effect<number, DatabaseError>
  /**
   * Deletes tombstones that these insert floors have made needless: nobody whose token is older can insert any more. Only
   * after every write that may have read an older floor has ended; so not those below a floor that somebody else has
   * raised since.
   */
  readonly collectTombstones: (floors: ReadonlyArray<InsertFloor>) => Effect.Effect<number, DatabaseError>
  /**
   * Deletes a realm's rows, with those of its published versions. Safe only together with a raised wipe floor, which
   * refuses writers from before.
   */
  readonly clear: (realmUrl: string) => Effect.Effect<void, DatabaseError>
}

/** A column that holds a part of the artifact; the first one given is set on every live row. */
export interface Column {
  readonly name: string
  readonly type: "text" | "jsonb"
}

/** Where an artifact lives: its table, the realm's floor that voids it, and its columns. */
export interface Shape {
  readonly table: string
  readonly floor: "wipeFloor" | "definitionFloor"
  readonly columns: readonly [Column, ...ReadonlyArray<Column>]
}

const floorColumns = { wipeFloor: "wipe_floor", definitionFloor: "definition_floor" } as const

/** The first five parameters of a `fencedInsert`. */
export const fenceOf = (realmUrl: string, path: string, contentKey: string, token: FenceToken) => [
  realmUrl,
  path,
  contentKey,
  String(token.generation),
  token.incarnation
]

/** What goes into the columns, as parameters from the sixth on. */
export const valuesOf = (columns: Shape["columns"], value: Readonly<Record<string, unknown>>) =>
  columns.map(({ name, type }) => type === "text" ? value[name] : JSON.stringify(value[name] ?? null))

export const parameters = (columns: Shape["columns"]) =>
  columns.map(({ type }, index) => `$${index + 6}::text::${type}`).join(", ")

/**
 * Writes a row from `values`, which may end in a FROM clause. -- I1, I2: refused by a newer row or tombstone, a newer
 * floor, or a table that was lost and begun anew. A row is returned for one that was accepted.
 */
export const fencedInsert = ({ columns, floor, table }: Shape, values: string): string => {
  const names = columns.map((column) => column.name)
  const updates = [...names, "content_key", "generation"].map((name) => `${name} = EXCLUDED.${name}`).join(", ")
  return `INSERT INTO ${table} AS c (realm_url, canonical_path, content_key, generation, ${names.join(", ")})
    SELECT $1, $2, $3, $4::text::bigint, ${values}
    WHERE EXISTS (SELECT FROM cache_incarnation WHERE id = $5::text::uuid)
      AND $4::text::bigint >= coalesce(
        (SELECT greatest(${floorColumns[floor]}, insert_floor) FROM realm_generations r WHERE r.realm_url = $1), 0)
    ON CONFLICT (realm_url, canonical_path) DO UPDATE SET ${updates}, created_at = now()
    WHERE c.generation <= EXCLUDED.generation
    RETURNING 1`
}

export const makeSql = <V extends Readonly<Record<string, unknown>>>(
  sql: SqlClient.SqlClient,
  { columns, floor, table }: Shape,
  decode: (row: unknown) => V
): CacheTable<V> => {
  const floorColumn = floorColumns[floor]
  const names = columns.map((column) => column.name)
  const live = columns[0].name
  // -- I1: the floor is read by the same statement as the row; a check at insert alone would lose a race.
  const read = `SELECT ${names.map((name) => `c.${name}`).join(", ")} FROM ${table} c
    WHERE c.realm_url = $1 AND c.canonical_path = $2 AND c.content_key = $3 AND c.${live} IS NOT NULL
      AND c.generation >= coalesce((SELECT ${floorColumn} FROM realm_generations r WHERE r.realm_url = $1), 0)`
  const readMany = `SELECT k.ord::int AS ord, ${names.map((name) => `c.${name}`).join(", ")}
    FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS k (realm_url, path, content_key, ord)
    JOIN ${table} c ON c.realm_url = k.realm_url AND c.canonical_path = k.path AND c.content_key = k.content_key
    LEFT JOIN realm_generations r ON r.realm_url = k.realm_url
    WHERE c.${live} IS NOT NULL AND c.generation >= coalesce(r.${floorColumn}, 0)`
  const write = fencedInsert({ columns, floor, table }, parameters(columns))
  const blanks = [...names, "content_key"].map((name) => `${name} = NULL`).join(", ")
  // Sorted, so that two buriers of overlapping paths lock rows in one order.
  const bury = `INSERT INTO ${table} AS c (realm_url, canonical_path, generation)
    SELECT $1, path, $3::text::bigint FROM unnest($2::text[]) AS path ORDER BY path
    ON CONFLICT (realm_url, canonical_path) DO UPDATE SET ${blanks}, generation = EXCLUDED.generation,
      created_at = now()
    WHERE c.generation < EXCLUDED.generation`
  const collectVoid = `DELETE FROM ${table} c USING realm_generations r
    WHERE c.realm_url = r.realm_url AND c.generation < r.${floorColumn}`
  // A slow writer may have brought a row back after its version was forgotten: no floor speaks of it.
  const collectVersions = `DELETE FROM ${table} c WHERE c.realm_url ~ '/@[0-9]+/$'
    AND c.realm_url NOT IN (SELECT v.realm_url || '@' || v.generation || '/' FROM realm_versions v)`
  const collectTombstones = `DELETE FROM ${table} c
    USING unnest($1::text[], $2::text[]::bigint[]) AS f (realm_url, insert_floor)
    WHERE c.realm_url = f.realm_url AND c.${live} IS NULL AND c.generation <= f.insert_floor`
  const count = (operation: string, text: string, values: ReadonlyArray<unknown> = []) =>
    countDeleted(sql, operation, text, values)
  const clear = `DELETE FROM ${table} WHERE realm_url = $1 OR realm_url ^@ ($1 || '@')`
  return {
    readMany: Effect.fnUntraced(function*(keys) {
      const found = new Map<number, V>()
      if (keys.length > 0) {
        const parameters = [
          keys.map(({ realmUrl }) => realmUrl),
          keys.map(({ path }) => path),
          keys.map(({ contentKey }) => contentKey)
        ]
        const rows = yield* statement(`read ${table}`, sql.unsafe<{ ord: number }>(readMany, parameters))
        for (const row of rows) found.set(row.ord - 1, decode(row))
      }
      return keys.map((_, index) => Option.fromUndefinedOr(found.get(index)))
    }),
    read: (realmUrl, path, contentKey) =>
      Effect.map(
        statement(`read ${table}`, sql.unsafe(read, [realmUrl, path, contentKey])),
        (rows) => rows[0] === undefined ? Option.none() : Option.some(decode(rows[0]))
      ),
    write: (realmUrl, path, contentKey, token, value) =>
      Effect.map(
        statement(
          `write ${table}`,
          sql.unsafe(write, [...fenceOf(realmUrl, path, contentKey, token), ...valuesOf(columns, value)])
        ),
        (rows) => rows.length > 0
      ),
    bury: (realmUrl, paths, generation) =>
      Effect.asVoid(statement(`bury in ${table}`, sql.unsafe(bury, [realmUrl, paths, String(generation)]))),
    collectVoid: Effect.zipWith(
      count(`collect void rows of ${table}`, collectVoid),
      count(`collect rows of forgotten versions in ${table}`, collectVersions),
      (voided, forgotten) => voided + forgotten
    ),
    collectTombstones: (floors) =>
      count(`collect tombstones of ${table}`, collectTombstones, [
        floors.map(({ realmUrl }) => realmUrl),
        floors.map(({ generation }) => String(generation))
      ]),
    clear: (realmUrl) => Effect.asVoid(statement(`clear ${table}`, sql.unsafe(clear, [realmUrl])))
  }
}

export const makeMemory = <V extends Readonly<Record<string, unknown>>>(
  database: MemoryDatabase["Service"],
  { floor: floorName, table }: Shape
): CacheTable<V> => {
  const key = (realmUrl: string, path: string) => `${realmUrl}\0${path}`
  const read = (realmUrl: string, path: string, contentKey: string) =>
    database.read((tables) => {
      const row = tables.caches.get(table)?.get(key(realmUrl, path))
      const floor = tables.realms.get(realmUrl)?.[floorName] ?? 0
      return row?.values && row.generation >= floor && row.contentKey === contentKey
        ? Option.some(row.values as V)
        : Option.none()
    })
  return {
    read,
    readMany: (keys) => Effect.forEach(keys, ({ contentKey, path, realmUrl }) => read(realmUrl, path, contentKey)),
    write: (realmUrl, path, contentKey, token, value) =>
      database.write((tables) => {
        const rows = rowsOf(tables, table)
        const floor = Math.max(tables.realms.get(realmUrl)?.[floorName] ?? 0, tables.insertFloors.get(realmUrl) ?? 0)
        const existing = rows.get(key(realmUrl, path))?.generation ?? 0
        if (token.incarnation !== tables.incarnation || token.generation < floor || existing > token.generation) {
          return false
        }
        rows.set(key(realmUrl, path), { generation: token.generation, contentKey, values: value })
        return true
      }),
    bury: (realmUrl, paths, generation) =>
      database.write((tables) => {
        const rows = rowsOf(tables, table)
        for (const path of paths) {
          const existing = rows.get(key(realmUrl, path))
          if (existing === undefined || existing.generation < generation) {
            rows.set(key(realmUrl, path), { generation, contentKey: null, values: null })
          }
        }
      }),
    collectVoid: database.write((tables) =>
      deleteWhere(rowsOf(tables, table), (realmUrl, row) => {
        const version = /^(.*\/)@(\d+)\/$/.exec(realmUrl)
        return version === null
          ? row.generation < (tables.realms.get(realmUrl)?.[floorName] ?? 0)
          : !tables.versions.has(`${version[1]}\0${version[2]}`)
      })
    ),
    collectTombstones: (floors) =>
      database.write((tables) => {
        const needless = new Map(floors.map(({ generation, realmUrl }) => [String(realmUrl), generation]))
        return deleteWhere(
          rowsOf(tables, table),
          (realmUrl, row) => row.values === null && row.generation <= (needless.get(realmUrl) ?? 0)
        )
      }),
    clear: (realmUrl) =>
      database.write((tables) => {
        const rows = rowsOf(tables, table)
        for (const each of rows.keys()) {
          if (each.startsWith(`${realmUrl}\0`) || each.startsWith(`${realmUrl}@`)) rows.delete(each)
        }
      })
  }
}

const rowsOf = (tables: { readonly caches: Map<string, Map<string, CacheRow>> }, table: string) => {
  const rows = tables.caches.get(table) ?? new Map<string, CacheRow>()
  tables.caches.set(table, rows)
  return rows
}

const deleteWhere = (rows: Map<string, CacheRow>, condition: (realmUrl: string, row: CacheRow) => boolean): number => {
  const before = rows.size
  for (const [key, row] of rows) if (condition(key.slice(0, key.indexOf("\0")), row)) rows.delete(key)
  return before - rows.size
}
