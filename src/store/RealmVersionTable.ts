import { Clock, Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/** A published version whose files may still be on disk. */
export interface VersionRow {
  readonly realmUrl: RealmUrl
  readonly generation: number
  readonly directory: string
  readonly createdAtMillis: number
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

/** Table `realm_versions`: immutable version directories of published realms. */
export class RealmVersionTable extends Context.Service<RealmVersionTable, {
  readonly add: (realmUrl: RealmUrl, generation: number, directory: string) => Effect.Effect<void, DatabaseError>
  /** The newest version at or below `generation`. */
  readonly at: (realmUrl: RealmUrl, generation: number) => Effect.Effect<Option.Option<VersionRow>, DatabaseError>
  /** All versions of a realm, newest first. */
  readonly list: (realmUrl: RealmUrl) => Effect.Effect<ReadonlyArray<VersionRow>, DatabaseError>
  readonly remove: (realmUrl: RealmUrl, generation: number) => Effect.Effect<void, DatabaseError>
}>()("lockstep/store/RealmVersionTable") {
  static readonly layer = Layer.effect(
    RealmVersionTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const columns = sql.literal("realm_url, generation::float8 AS generation, directory, created_at")
      return RealmVersionTable.of({
        add: (realmUrl, generation, directory) =>
          Effect.asVoid(statement(
            "record a version",
            sql`INSERT INTO realm_versions (realm_url, generation, directory)
              VALUES (${realmUrl}, ${generation}, ${directory})`
          )),
        at: (realmUrl, generation) =>
          statement(
            "read a version",
            sql`SELECT ${columns} FROM realm_versions WHERE realm_url = ${realmUrl} AND generation <= ${generation}
              ORDER BY realm_versions.generation DESC LIMIT 1`
          ).pipe(Effect.map((rows) => Option.map(Option.fromNullishOr(decode(rows)[0]), toRow))),
        list: (realmUrl) =>
          statement(
            "list versions",
            sql`SELECT ${columns} FROM realm_versions WHERE realm_url = ${realmUrl}
              ORDER BY realm_versions.generation DESC`
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
      const list = (realmUrl: RealmUrl) =>
        database.read((tables) =>
          Array.from(tables.versions.values())
            .filter((row) => row.realmUrl === realmUrl)
            .sort((a, b) => b.generation - a.generation)
        )
      return RealmVersionTable.of({
        add: (realmUrl, generation, directory) =>
          Effect.flatMap(Clock.currentTimeMillis, (createdAtMillis) =>
            database.write((tables) => {
              tables.versions.set(key(realmUrl, generation), { realmUrl, generation, directory, createdAtMillis })
            })),
        at: (realmUrl, generation) =>
          Effect.map(list(realmUrl), (rows) => Option.fromNullishOr(rows.find((row) => row.generation <= generation))),
        list,
        remove: (realmUrl, generation) =>
          database.write((tables) => {
            tables.versions.delete(key(realmUrl, generation))
          })
      })
    })
  )
}
