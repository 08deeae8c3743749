import { Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/** A file of a source realm as its last commit knew it. */
export interface RecordedFile {
  /** SHA-256 of the bytes, in base64url. */
  readonly hash: string
  /** The stamp that the file had with these bytes; empty where it must not be trusted. */
  readonly stamp: string
  /** Bytes; left out where nobody counted them. */
  readonly size?: number
}

/** How much is recorded of a realm, and of some of its paths. */
export interface Measured {
  readonly files: number
  readonly bytes: number
  readonly ofPaths: { readonly files: number; readonly bytes: number }
}

export type RecordedFiles = ReadonlyMap<string, RecordedFile>

/** What a path is recorded as from now on; null where there is no file any more. */
export type Recording = ReadonlyMap<string, RecordedFile | null>

const SqlRow = Schema.Struct({ path: Schema.String, hash: Schema.String, stamp: Schema.String })

const decode = Schema.decodeUnknownSync(Schema.Array(SqlRow))

// No file has it: it stands for the realm having been looked at whole once.
const looked = ""

const toFiles = (rows: ReadonlyArray<typeof SqlRow.Type>): RecordedFiles =>
  new Map(rows.flatMap(({ hash, path, stamp }) => path === looked ? [] : [[path, { hash, stamp }]]))

/**
 * Table `realm_files`: what the files of source realms were when they were last committed. Who sees a file change on disk
 * compares with it, under the realm's lock: N watchers and a write over HTTP are one invalidation.
 */
export class RealmFileTable extends Context.Service<RealmFileTable, {
  /** What is recorded at these paths and below them. */
  readonly at: (realmUrl: RealmUrl, paths: ReadonlyArray<string>) => Effect.Effect<RecordedFiles, DatabaseError>
  /** Everything recorded; none if the realm was never looked at whole, so that nothing can be said by comparing. */
  readonly all: (realmUrl: RealmUrl) => Effect.Effect<Option.Option<RecordedFiles>, DatabaseError>
  /** Records these paths. The caller holds the realm. */
  readonly record: (realmUrl: RealmUrl, files: Recording) => Effect.Effect<void, DatabaseError>
  /** Records these files and no others, as what the realm has been looked at whole to be. */
  readonly recordAll: (realmUrl: RealmUrl, files: RecordedFiles) => Effect.Effect<void, DatabaseError>
  /** Records newer stamps of files whose bytes are still the recorded ones. Needs no lock: other bytes are left alone. */
  readonly restamp: (realmUrl: RealmUrl, files: RecordedFiles) => Effect.Effect<void, DatabaseError>
  /** How many files are recorded and how large they are, all of them and those at these paths. */
  readonly measure: (realmUrl: RealmUrl, paths: ReadonlyArray<string>) => Effect.Effect<Measured, DatabaseError>
  /** Forgets a realm that goes. */
  readonly clear: (realmUrl: RealmUrl) => Effect.Effect<void, DatabaseError>
}>()("lockstep/store/RealmFileTable") {
  static readonly layer = Layer.effect(
    RealmFileTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const clear = (realmUrl: RealmUrl) =>
        Effect.asVoid(statement("forget a realm's files", sql`DELETE FROM realm_files WHERE realm_url = ${realmUrl}`))
      const upsert = (realmUrl: RealmUrl, files: RecordedFiles) =>
        Effect.forEach(chunksOf(Array.from(files)), (chunk) =>
          statement(
            "record files",
            sql`INSERT INTO realm_files (realm_url, path, hash, stamp, size)
              SELECT ${realmUrl}, path, hash, stamp, size FROM unnest(
                ${chunk.map(([path]) => path)}::text[],
                ${chunk.map(([, { hash }]) => hash)}::text[],
                ${chunk.map(([, { stamp }]) => stamp)}::text[],
                ${chunk.map(([, { size = 0 }]) => String(size))}::text[]::bigint[]
              ) AS file (path, hash, stamp, size)
              ON CONFLICT (realm_url, path)
              DO UPDATE SET hash = EXCLUDED.hash, stamp = EXCLUDED.stamp, size = EXCLUDED.size`
          ), { discard: true })
      return RealmFileTable.of({
        at: (realmUrl, paths) =>
          statement(
            "read recorded files",
            // The last path below "a/" is before "a0": a range of the primary key, whose paths are in byte order.
            sql`SELECT DISTINCT f.path, f.hash, f.stamp FROM unnest(${paths}::text[]) AS wanted (path)
              CROSS JOIN LATERAL (
                SELECT * FROM realm_files WHERE realm_url = ${realmUrl} AND path = wanted.path
                UNION ALL
                SELECT * FROM realm_files WHERE realm_url = ${realmUrl}
                  AND path > wanted.path || '/' AND path < wanted.path || '0'
              ) AS f`
          ).pipe(Effect.map((rows) => toFiles(decode(rows)))),
        all: (realmUrl) =>
          statement(
            "read recorded files",
            sql`SELECT path, hash, stamp FROM realm_files WHERE realm_url = ${realmUrl}`
          ).pipe(Effect.map((rows) => {
            const files = decode(rows)
            return files.some(({ path }) => path === looked) ? Option.some(toFiles(files)) : Option.none()
          })),
        record: Effect.fnUntraced(function*(realmUrl, files) {
          const gone = Array.from(files).flatMap(([path, file]) => file === null ? [path] : [])
          if (gone.length > 0) {
            yield* statement(
              "forget files",
              sql`DELETE FROM realm_files WHERE realm_url = ${realmUrl} AND path = ANY(${gone}::text[])`
            )
          }
          yield* upsert(realmUrl, present(files))
        }),
        recordAll: (realmUrl, files) =>
          Effect.andThen(
            clear(realmUrl),
            upsert(realmUrl, new Map([[looked, { hash: "", stamp: "" }], ...files]))
          ),
        restamp: (realmUrl, files) =>
          Effect.forEach(chunksOf(Array.from(files)), (chunk) =>
            statement(
              "record files' stamps",
              sql`UPDATE realm_files AS known SET stamp = file.stamp FROM unnest(
                  ${chunk.map(([path]) => path)}::text[],
                  ${chunk.map(([, { hash }]) => hash)}::text[],
                  ${chunk.map(([, { stamp }]) => stamp)}::text[]
                ) AS file (path, hash, stamp)
                WHERE known.realm_url = ${realmUrl} AND known.path = file.path AND known.hash = file.hash`
            ), { discard: true }),
        measure: (realmUrl, paths) =>
          statement(
            "measure a realm",
            sql<{ files: number; bytes: number; path_files: number; path_bytes: number }>`SELECT
                count(*)::float8 AS files, coalesce(sum(size), 0)::float8 AS bytes,
                count(*) FILTER (WHERE path = ANY(${paths}::text[]))::float8 AS path_files,
                coalesce(sum(size) FILTER (WHERE path = ANY(${paths}::text[])), 0)::float8 AS path_bytes
              FROM realm_files WHERE realm_url = ${realmUrl} AND path <> ${looked}`
          ).pipe(Effect.map(([row]) => ({
            files: row?.files ?? 0,
            bytes: row?.bytes ?? 0,
            ofPaths: { files: row?.path_files ?? 0, bytes: row?.path_bytes ?? 0 }
          }))),
        clear
      })
    })
  )

  static readonly layerMemory = Layer.effect(
    RealmFileTable,
    Effect.map(MemoryDatabase, (database) => {
      const key = (realmUrl: RealmUrl, path: string) => `${realmUrl}\0${path}`
      const select = (realmUrl: RealmUrl, wanted: (path: string) => boolean) =>
        database.read((tables) =>
          Array.from(tables.files).flatMap(([id, file]) => {
            const path = id.slice(realmUrl.length + 1)
            return id.startsWith(key(realmUrl, "")) && wanted(path) ? [{ path, ...file }] : []
          })
        )
      const clear = (realmUrl: RealmUrl) =>
        database.write((tables) => {
          for (const id of Array.from(tables.files.keys())) {
            if (id.startsWith(key(realmUrl, ""))) tables.files.delete(id)
          }
        })
      const record = (realmUrl: RealmUrl, files: Recording) =>
        database.write((tables) => {
          for (const [path, file] of files) {
            if (file === null) tables.files.delete(key(realmUrl, path))
            else tables.files.set(key(realmUrl, path), file)
          }
        })
      return RealmFileTable.of({
        at: (realmUrl, paths) =>
          Effect.map(
            select(realmUrl, (path) => paths.some((wanted) => path === wanted || path.startsWith(`${wanted}/`))),
            toFiles
          ),
        all: (realmUrl) =>
          Effect.map(
            select(realmUrl, () => true),
            (files) => files.some(({ path }) => path === looked) ? Option.some(toFiles(files)) : Option.none()
          ),
        record,
        recordAll: (realmUrl, files) =>
          Effect.andThen(
            clear(realmUrl),
            record(realmUrl, new Map([[looked, { hash: "", stamp: "" }], ...files]))
          ),
        restamp: (realmUrl, files) =>
          database.write((tables) => {
            for (const [path, file] of files) {
              const known = tables.files.get(key(realmUrl, path))
              if (known?.hash === file.hash) tables.files.set(key(realmUrl, path), { ...known, stamp: file.stamp })
            }
          }),
        measure: (realmUrl, paths) =>
          database.read((tables) => {
            const wanted = new Set(paths)
            const measured = { files: 0, bytes: 0, ofPaths: { files: 0, bytes: 0 } }
            for (const [id, { size = 0 }] of tables.files) {
              const path = id.slice(realmUrl.length + 1)
              if (!id.startsWith(key(realmUrl, "")) || path === looked) continue
              measured.files++
              measured.bytes += size
              if (!wanted.has(path)) continue
              measured.ofPaths.files++
              measured.ofPaths.bytes += size
            }
            return measured
          }),
        clear
      })
    })
  )
}

const present = (files: Recording): RecordedFiles =>
  new Map(Array.from(files).flatMap(([path, file]) => file === null ? [] : [[path, file]]))

// A statement has a deadline: a realm of many files takes several.
const chunksOf = <A>(all: ReadonlyArray<A>, size = 2000): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, index) => all.slice(index * size, (index + 1) * size))
