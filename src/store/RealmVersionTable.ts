import { Clock, Context, Duration, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/** A published version whose files are on disk. */
export interface VersionRow {
  readonly realmUrl: RealmUrl
  readonly generation: number
  readonly directory: string
  readonly createdAtMillis: number
}

/** A copy that no publish has committed yet. */
export interface CopyRow {
  readonly realmUrl: RealmUrl
  readonly directory: string
  readonly startedAtMillis: number
}

const SqlRow = Schema.Struct({
  realm_url: Schema.String,
  generation: Schema.Finite,
  directory: Schema.String,
  created_at: Schema.Date
})

const decode = Schema.decodeUnknownSync(Schema.Array(SqlRow))

const toRow = (row: typeof SqlRow.Type): VersionRow => ({
  realmUrl: row.realm_url as RealmUrl,
  generation: row.generation,
  directory: row.directory,
  createdAtMillis: row.created_at.getTime()
})

/** Tables `realm_versions` and `version_copies`: immutable version directories of published realms, and their making. */
export class RealmVersionTable extends Context.Service<RealmVersionTable, {
  /** Announces a copy, before its first byte. */
  readonly begin: (realmUrl: RealmUrl, directory: string) => Effect.Effect<void, DatabaseError>
  /** Makes an announced copy the version of this generation; false if the sweeper has taken it. */
  readonly commit: (
    realmUrl: RealmUrl,
    generation: number,
    directory: string
  ) => Effect.Effect<boolean, DatabaseError>
  /** Takes back the announcement of a copy; false if there is none, as after its commit. */
  readonly abandon: (directory: string) => Effect.Effect<boolean, DatabaseError>
  /** Takes back the announcements older than `age` and returns their directories: nothing can commit them any more. */
  readonly sweep: (age: Duration.Input) => Effect.Effect<ReadonlyArray<string>, DatabaseError>
  /** The newest version at or below `generation`; none for a generation that was lost in a failover or restore. */
  readonly at: (realmUrl: RealmUrl, generation: number) => Effect.Effect<Option.Option<VersionRow>, DatabaseError>
  /** All versions of a realm, newest first. */
  readonly list: (realmUrl: RealmUrl) => Effect.Effect<ReadonlyArray<VersionRow>, DatabaseError>
  /** How many versions each of these realms keeps; realms without any are left out. */
  readonly count: (realmUrls: ReadonlyArray<RealmUrl>) => Effect.Effect<ReadonlyMap<string, number>, DatabaseError>
  /**
   * Forgets versions beyond the newest `keep` that were superseded longer ago than `age`, and returns their directories.
   * However old a version is: while it is the newest, and for `age` after that, replicas and browsers are at it.
   */
  readonly expire: (
    keep: number,
    age: Duration.Input
  ) => Effect.Effect<ReadonlyArray<VersionRow>, DatabaseError>
  readonly remove: (realmUrl: RealmUrl, generation: number) => Effect.Effect<void, DatabaseError>
}>()("lockstep/store/RealmVersionTable") {
  static readonly layer = Layer.effect(
    RealmVersionTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const columns = sql.literal("realm_url, generation::float8 AS generation, directory, created_at")
      const millis = (age: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(age))
      return RealmVersionTable.of({
        begin: (realmUrl, directory) =>
          Effect.asVoid(statement(
            "announce a version",
            sql`INSERT INTO version_copies (directory, realm_url) VALUES (${directory}, ${realmUrl})`
          )),
        commit: (realmUrl, generation, directory) =>
          statement(
            "record a version",
            sql`WITH copy AS (DELETE FROM version_copies WHERE directory = ${directory} RETURNING directory)
              INSERT INTO realm_versions (realm_url, generation, directory)
              SELECT ${realmUrl}, ${generation}, directory FROM copy RETURNING 1`
          ).pipe(Effect.map((rows) => rows.length > 0)),
        abandon: (directory) =>
          statement("abandon a version", sql`DELETE FROM version_copies WHERE directory = ${directory} RETURNING 1`)
            .pipe(Effect.map((rows) => rows.length > 0)),
        sweep: (age) =>
          statement(
            "sweep abandoned versions",
            sql<{ directory: string }>`DELETE FROM version_copies
              WHERE started_at < now() - ${millis(age)} * interval '1 millisecond' RETURNING directory`
          ).pipe(Effect.map((rows) => rows.map((row) => row.directory))),
        at: (realmUrl, generation) =>
          statement(
            "read a version",
            // Between the last generation that an epoch is known to have reached and the next epoch, all was lost: the newest
            // version below would be other bytes under a URL that named some.
            sql`SELECT ${columns} FROM realm_versions WHERE realm_url = ${realmUrl} AND generation <= ${generation}
              AND NOT EXISTS (SELECT FROM realm_epochs e WHERE e.realm_url = ${realmUrl}
                AND e.last_generation < ${generation} AND e.last_generation >> 36 = ${generation}::bigint >> 36)
              ORDER BY realm_versions.generation DESC LIMIT 1`
          ).pipe(Effect.map((rows) => Option.map(Option.fromNullishOr(decode(rows)[0]), toRow))),
        list: (realmUrl) =>
          statement(
            "list versions",
            sql`SELECT ${columns} FROM realm_versions WHERE realm_url = ${realmUrl}
              ORDER BY realm_versions.generation DESC`
          ).pipe(Effect.map((rows) => decode(rows).map(toRow))),
        count: (realmUrls) =>
          statement(
            "count versions",
            sql<{ realm_url: string; versions: number }>`SELECT realm_url, count(*)::float8 AS versions
              FROM realm_versions WHERE realm_url = ANY(${realmUrls}::text[]) GROUP BY realm_url`
          ).pipe(Effect.map((rows) => new Map(rows.map(({ realm_url, versions }) => [realm_url, versions])))),
        expire: (keep, age) =>
          statement(
            "expire versions",
            sql`DELETE FROM realm_versions v USING (
                SELECT realm_url, generation, row_number() OVER newest AS place, lag(created_at) OVER newest AS superseded_at
                FROM realm_versions
                WINDOW newest AS (PARTITION BY realm_url ORDER BY generation DESC)
              ) AS ranked
              WHERE v.realm_url = ranked.realm_url AND v.generation = ranked.generation AND ranked.place > ${keep}
                AND ranked.superseded_at < now() - ${millis(age)} * interval '1 millisecond'
              RETURNING v.realm_url, v.generation::float8 AS generation, v.directory, v.created_at`
          ).pipe(Effect.map((rows) => decode(rows).map(toRow))),
        remove: (realmUrl, generation) =>
          Effect.asVoid(statement(
            "forget a version",
            sql`DELETE FROM realm_versions WHERE realm_url = ${realmUrl} AND generation = ${generation}`
          ))
      })
    })
  )

  static readonly layerMemory = Layer.effect(
    RealmVersionTable,
    Effect.map(MemoryDatabase, (database) => {
      const key = (realmUrl: RealmUrl, generation: number) => `${realmUrl}\0${generation}`
      const millis = (age: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(age))
      const list = (realmUrl: RealmUrl) =>
        database.read((tables) =>
          Array.from(tables.versions.values())
            .filter((row) => row.realmUrl === realmUrl)
            .sort((a, b) => b.generation - a.generation)
        )
      return RealmVersionTable.of({
        begin: (realmUrl, directory) =>
          Effect.flatMap(Clock.currentTimeMillis, (startedAtMillis) =>
            database.write((tables) => {
              tables.copies.set(directory, { realmUrl, directory, startedAtMillis })
            })),
        commit: (realmUrl, generation, directory) =>
          Effect.flatMap(Clock.currentTimeMillis, (createdAtMillis) =>
            database.write((tables) => {
              if (!tables.copies.delete(directory)) return false
              tables.versions.set(key(realmUrl, generation), { realmUrl, generation, directory, createdAtMillis })
              return true
            })),
        abandon: (directory) => database.write((tables) => tables.copies.delete(directory)),
        sweep: (age) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            database.write((tables) => {
              const old = Array.from(tables.copies.values()).filter((row) => row.startedAtMillis < now - millis(age))
              for (const { directory } of old) tables.copies.delete(directory)
              return old.map((row) => row.directory)
            })),
        at: (realmUrl, generation) =>
          Effect.map(list(realmUrl), (rows) => Option.fromNullishOr(rows.find((row) => row.generation <= generation))),
        list,
        count: (realmUrls) =>
          database.read((tables) => {
            const counts = new Map<string, number>()
            for (const { realmUrl } of tables.versions.values()) {
              if (realmUrls.includes(realmUrl)) counts.set(realmUrl, (counts.get(realmUrl) ?? 0) + 1)
            }
            return counts
          }),
        expire: (keep, age) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            database.write((tables) => {
              const old = Array.from(tables.versions.values()).filter((row) => {
                const newer = Array.from(tables.versions.values())
                  .filter((other) => other.realmUrl === row.realmUrl && other.generation > row.generation)
                  .sort((a, b) => a.generation - b.generation)
                const supersededAt = newer[0]?.createdAtMillis ?? Infinity
                return newer.length >= keep && supersededAt < now - millis(age)
              })
              for (const row of old) tables.versions.delete(key(row.realmUrl, row.generation))
              return old
            })),
        remove: (realmUrl, generation) =>
          database.write((tables) => {
            tables.versions.delete(key(realmUrl, generation))
          })
      })
    })
  )
}
