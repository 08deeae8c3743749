import { Clock, Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/**
 * A file that a rendering was made from. What was made holds only while every one of them holds: while the name `asked`
 * still leads to `path`, and its bytes still have this hash.
 */
export const Dependency = Schema.Struct({
  realm: Schema.String,
  /** The canonical path; the name as asked where there was no such file. */
  path: Schema.String,
  /** The name that was asked for: the path, or an alias. */
  asked: Schema.String,
  /** The realm's generation when it was read. */
  generation: Schema.Finite,
  /** SHA-256 of the source's bytes, in base64url; null for a file that was not there. */
  hash: Schema.NullOr(Schema.String)
})
export type Dependency = typeof Dependency.Type

/** A dependency without the time at which it was read. */
export type Outside = Omit<Dependency, "generation">

/** What a realm's entry is known by, without its HTML. */
export interface IndexEntry {
  readonly path: string
  /** Of the entry's own bytes. */
  readonly hash: string
  readonly dependencies: ReadonlyArray<Dependency>
  /** What rendered it: another renderer's HTML is not reused. */
  readonly renderer: string
}

/** A stored rendering: of an instance, or of a module that renders alone. It has HTML or an error. */
export interface IndexRow extends IndexEntry {
  readonly realmUrl: RealmUrl
  readonly isolatedHtml: string | null
  readonly error: string | null
  /** The job's generation: of the last job that rendered it, or found it unchanged. */
  readonly generation: number
  readonly indexedAt: Date
}

/** Nobody's modules come from so many files of other realms; whoever's do, finds that out where it is served. */
const outsideLimit = 1000

const Entry = Schema.Struct({
  path: Schema.String,
  hash: Schema.String,
  dependencies: Schema.Array(Dependency),
  renderer: Schema.String
})
const Row = Schema.Struct({
  ...Entry.fields,
  realm_url: Schema.String,
  isolated_html: Schema.NullOr(Schema.String),
  error: Schema.NullOr(Schema.String),
  generation: Schema.Finite,
  indexed_at: Schema.Date
})
const decodeEntries = Schema.decodeUnknownSync(Schema.Array(Entry))
const decodeOutside = Schema.decodeUnknownSync(Schema.Array(Schema.Struct({
  realm: Schema.String,
  path: Schema.String,
  asked: Schema.String,
  hash: Schema.NullOr(Schema.String)
})))
const decodeRows = Schema.decodeUnknownSync(Schema.Array(Row))

/** Table `realm_index`: what the reindex has rendered. Keyed by the URL of the entry, its realm's with its path. */
export class RealmIndexTable extends Context.Service<RealmIndexTable, {
  /** Everything that is stored of a realm, by path. */
  readonly entries: (realmUrl: RealmUrl) => Effect.Effect<ReadonlyArray<IndexEntry>, DatabaseError>
  readonly read: (realmUrl: RealmUrl, path: string) => Effect.Effect<Option.Option<IndexRow>, DatabaseError>
  /** What this realm's renderings were made from in other realms, each once; a thousand at most. */
  readonly outside: (realmUrl: RealmUrl) => Effect.Effect<ReadonlyArray<Outside>, DatabaseError>
  /** How many of this realm's renderings were made from any of these. */
  readonly countMadeFrom: (
    realmUrl: RealmUrl,
    dependencies: ReadonlyArray<Pick<Dependency, "realm" | "asked">>
  ) => Effect.Effect<number, DatabaseError>
  /**
   * Stores a rendering, unless a newer job has stored one or the realm is gone. Says whether it did.
   */
  readonly store: (row: Omit<IndexRow, "indexedAt">) => Effect.Effect<boolean, DatabaseError>
  /** Takes the renderings of these paths over to a newer generation as they are. Counts them. */
  readonly carry: (
    realmUrl: RealmUrl,
    paths: ReadonlyArray<string>,
    generation: number
  ) => Effect.Effect<number, DatabaseError>
  /** Removes the renderings of all other paths, whose files are gone, unless a newer job has stored them. Counts them. */
  readonly retain: (
    realmUrl: RealmUrl,
    paths: ReadonlyArray<string>,
    generation: number
  ) => Effect.Effect<number, DatabaseError>
  /** Removes everything of a realm. */
  readonly clear: (realmUrl: RealmUrl) => Effect.Effect<void, DatabaseError>
}>()("lockstep/store/RealmIndexTable") {
  static readonly layer = Layer.effect(
    RealmIndexTable,
    Effect.map(SqlClient.SqlClient, (sql) =>
      RealmIndexTable.of({
        entries: (realmUrl) =>
          statement(
            "read a realm's index",
            sql`SELECT path, hash, dependencies, renderer FROM realm_index WHERE realm_url = ${realmUrl} ORDER BY path`
          ).pipe(Effect.map((rows) => decodeEntries(rows))),
        read: (realmUrl, path) =>
          statement(
            "read a rendering",
            sql`SELECT realm_url, path, hash, dependencies, renderer, isolated_html, error,
                generation::float8 AS generation, indexed_at
              FROM realm_index WHERE realm_url = ${realmUrl} AND path = ${path}`
          ).pipe(Effect.map((rows) => Option.map(Option.fromNullishOr(decodeRows(rows)[0]), toRow))),
        outside: (realmUrl) =>
          statement(
            "read what a realm's index was made from elsewhere",
            sql`SELECT DISTINCT d->>'realm' AS realm, d->>'path' AS path, d->>'asked' AS asked, d->>'hash' AS hash
              FROM realm_index i, jsonb_array_elements(i.dependencies) AS d
              WHERE i.realm_url = ${realmUrl} AND d->>'realm' <> ${realmUrl} LIMIT ${outsideLimit}`
          ).pipe(Effect.map((rows) => decodeOutside(rows))),
        countMadeFrom: (realmUrl, dependencies) =>
          statement(
            "count renderings by what they were made from",
            sql<{ readonly count: number }>`SELECT count(*)::float8 AS count FROM realm_index i
              WHERE i.realm_url = ${realmUrl} AND EXISTS (
                SELECT FROM jsonb_array_elements(i.dependencies) AS d
                JOIN unnest(${dependencies.map(({ realm }) => realm)}::text[],
                  ${dependencies.map(({ asked }) => asked)}::text[]) AS of (realm, asked)
                ON d->>'realm' = of.realm AND d->>'asked' = of.asked
              )`
          ).pipe(Effect.map(([row]) => row?.count ?? 0)),
        store: ({ dependencies, error, generation, hash, isolatedHtml, path, realmUrl, renderer }) =>
          statement(
            "store a rendering",
            // -- I1, S31: an older job's result never replaces a newer one's. The realm's row is locked against a
            // retire under way, so that nothing is left behind by a job that did not know.
            sql`INSERT INTO realm_index AS i
                (url, realm_url, path, hash, dependencies, renderer, isolated_html, error, generation, indexed_at)
              SELECT ${realmUrl + path}, ${realmUrl}, ${path}, ${hash}, ${JSON.stringify(dependencies)}::text::jsonb,
                ${renderer}, ${isolatedHtml}::text, ${error}::text, ${generation}::bigint, now()
              FROM (SELECT FROM realm_generations WHERE realm_url = ${realmUrl} AND state = 'live' FOR SHARE) AS live
              ON CONFLICT (url) DO UPDATE SET hash = EXCLUDED.hash, dependencies = EXCLUDED.dependencies,
                renderer = EXCLUDED.renderer, isolated_html = EXCLUDED.isolated_html, error = EXCLUDED.error,
                generation = EXCLUDED.generation, indexed_at = EXCLUDED.indexed_at
              WHERE i.generation <= EXCLUDED.generation
              RETURNING 1`
          ).pipe(Effect.map((rows) => rows.length > 0)),
        carry: (realmUrl, paths, generation) =>
          statement(
            "carry renderings over",
            sql`UPDATE realm_index SET generation = ${generation}
              WHERE realm_url = ${realmUrl} AND path = ANY(${paths}::text[]) AND generation <= ${generation} RETURNING 1`
          ).pipe(Effect.map((rows) => rows.length)),
        retain: (realmUrl, paths, generation) =>
          statement(
            "remove renderings of files that are gone",
            sql`DELETE FROM realm_index i WHERE realm_url = ${realmUrl} AND generation <= ${generation}
              AND NOT EXISTS (SELECT FROM unnest(${paths}::text[]) AS kept (path) WHERE kept.path = i.path) RETURNING 1`
          ).pipe(Effect.map((rows) => rows.length)),
        clear: (realmUrl) =>
          Effect.asVoid(
            statement("clear a realm's index", sql`DELETE FROM realm_index WHERE realm_url = ${realmUrl}`)
          )
      }))
  )

  static readonly layerMemory = Layer.effect(
    RealmIndexTable,
    Effect.map(MemoryDatabase, (database) => {
      const of = (rows: ReadonlyMap<string, IndexRow>, realmUrl: RealmUrl) =>
        Array.from(rows.values()).filter((row) => row.realmUrl === realmUrl)
      const removeWhere = (realmUrl: RealmUrl, condition: (row: IndexRow) => boolean) =>
        database.write((tables) => {
          const removed = of(tables.index, realmUrl).filter(condition)
          for (const row of removed) tables.index.delete(row.realmUrl + row.path)
          return removed.length
        })
      return RealmIndexTable.of({
        entries: (realmUrl) =>
          database.read((tables) =>
            of(tables.index, realmUrl)
              .map(({ dependencies, hash, path, renderer }) => ({ path, hash, dependencies, renderer }))
              .toSorted((a, b) => a.path < b.path ? -1 : 1)
          ),
        read: (realmUrl, path) => database.read((tables) => Option.fromNullishOr(tables.index.get(realmUrl + path))),
        outside: (realmUrl) =>
          database.read((tables) => {
            const found = new Map<string, Outside>()
            for (const { dependencies } of of(tables.index, realmUrl)) {
              for (const { asked, hash, path, realm } of dependencies) {
                if (realm !== realmUrl) found.set(`${realm}\0${path}\0${asked}\0${hash}`, { realm, path, asked, hash })
              }
            }
            return Array.from(found.values()).slice(0, outsideLimit)
          }),
        countMadeFrom: (realmUrl, dependencies) =>
          database.read((tables) =>
            of(tables.index, realmUrl).filter((row) =>
              row.dependencies.some(({ asked, realm }) =>
                dependencies.some((one) => one.realm === realm && one.asked === asked)
              )
            ).length
          ),
        store: (row) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            database.write((tables) => {
              const url = row.realmUrl + row.path
              if (tables.realms.get(row.realmUrl)?.state !== "live") return false
              if ((tables.index.get(url)?.generation ?? 0) > row.generation) return false
              tables.index.set(url, { ...row, indexedAt: new Date(now) })
              return true
            })),
        carry: (realmUrl, paths, generation) =>
          database.write((tables) => {
            const wanted = new Set(paths)
            const carried = of(tables.index, realmUrl).filter((row) =>
              wanted.has(row.path) && row.generation <= generation
            )
            for (const row of carried) tables.index.set(row.realmUrl + row.path, { ...row, generation })
            return carried.length
          }),
        retain: (realmUrl, paths, generation) => {
          const kept = new Set(paths)
          return removeWhere(realmUrl, (row) => row.generation <= generation && !kept.has(row.path))
        },
        clear: (realmUrl) => Effect.asVoid(removeWhere(realmUrl, () => true))
      })
    })
  )
}

const toRow = (row: typeof Row.Type): IndexRow => ({
  realmUrl: row.realm_url as RealmUrl,
  path: row.path,
  hash: row.hash,
  dependencies: row.dependencies,
  renderer: row.renderer,
  isolatedHtml: row.isolated_html,
  error: row.error,
  generation: row.generation,
  indexedAt: row.indexed_at
})
