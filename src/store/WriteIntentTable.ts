import { Clock, Context, Duration, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/** One file of a batch: the SHA-256 of its new bytes in base64url, or null where the file is removed; and how many bytes. */
export const Edit = Schema.Struct({
  path: Schema.String,
  hash: Schema.NullOr(Schema.String),
  size: Schema.optionalKey(Schema.Int)
})
export type Edit = typeof Edit.Type

/** A batch of edits that was decided on, and whose staged bytes are durable: it will be done, whoever does it. */
export interface WriteIntent {
  readonly realmUrl: RealmUrl
  /** Names the staging directory. */
  readonly batch: string
  readonly edits: ReadonlyArray<Edit>
  readonly startedAtMillis: number
}

const SqlRow = Schema.Struct({
  realm_url: Schema.String,
  batch: Schema.String,
  edits: Schema.Array(Edit),
  started_at: Schema.Date
})

const decode = Schema.decodeUnknownSync(Schema.Array(SqlRow))

const toIntent = (row: typeof SqlRow.Type): WriteIntent => ({
  realmUrl: row.realm_url as RealmUrl,
  batch: row.batch,
  edits: row.edits,
  startedAtMillis: row.started_at.getTime()
})

/**
 * Table `write_intents`: at most one batch of edits a realm that has begun and has not been committed. A logged row is
 * what decides between none and all of a batch.
 */
export class WriteIntentTable extends Context.Service<WriteIntentTable, {
  /**
   * Decides on a batch; false if the realm is not at `expected` any more or another batch is open: whoever asks has lost
   * the realm's lock, and must not touch a file.
   */
  readonly begin: (
    realmUrl: RealmUrl,
    expected: number,
    batch: string,
    edits: ReadonlyArray<Edit>
  ) => Effect.Effect<boolean, DatabaseError>
  /** Ends a batch, within the transaction that moves the realm; false if somebody else has ended it. */
  readonly finish: (realmUrl: RealmUrl, batch: string) => Effect.Effect<boolean, DatabaseError>
  /** The open batch of a realm. */
  readonly find: (realmUrl: RealmUrl) => Effect.Effect<Option.Option<WriteIntent>, DatabaseError>
  /** Realms whose batch has been open for longer than this: nobody may be working at it. */
  readonly abandoned: (age: Duration.Input) => Effect.Effect<ReadonlyArray<RealmUrl>, DatabaseError>
  /** Gives up the batch of a realm that goes. */
  readonly withdraw: (realmUrl: RealmUrl) => Effect.Effect<void, DatabaseError>
}>()("lockstep/store/WriteIntentTable") {
  static readonly layer = Layer.effect(
    WriteIntentTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      return WriteIntentTable.of({
        begin: (realmUrl, expected, batch, edits) =>
          statement(
            "begin a batch of edits",
            // -- I4: the row's lock makes this wait for a commit under way, and compare with what it left.
            sql`INSERT INTO write_intents (realm_url, batch, edits)
              SELECT realm_url, ${batch}, ${JSON.stringify(edits)}::text::jsonb FROM realm_generations
              WHERE realm_url = ${realmUrl} AND generation = ${expected} AND state = 'live' FOR UPDATE
              ON CONFLICT DO NOTHING RETURNING 1`
          ).pipe(Effect.map((rows) => rows.length > 0)),
        finish: (realmUrl, batch) =>
          statement(
            "finish a batch of edits",
            sql`DELETE FROM write_intents WHERE realm_url = ${realmUrl} AND batch = ${batch} RETURNING 1`
          ).pipe(Effect.map((rows) => rows.length > 0)),
        find: (realmUrl) =>
          statement(
            "look for a batch of edits",
            sql`SELECT realm_url, batch, edits, started_at FROM write_intents WHERE realm_url = ${realmUrl}`
          ).pipe(Effect.map((rows) => Option.map(Option.fromNullishOr(decode(rows)[0]), toIntent))),
        abandoned: (age) =>
          statement(
            "look for abandoned batches",
            sql<{ realm_url: RealmUrl }>`SELECT realm_url FROM write_intents
              WHERE started_at <= now() - ${millisOf(age)} * interval '1 millisecond'`
          ).pipe(Effect.map((rows) => rows.map((row) => row.realm_url))),
        withdraw: (realmUrl) =>
          Effect.asVoid(statement(
            "withdraw a batch of edits",
            sql`DELETE FROM write_intents WHERE realm_url = ${realmUrl}`
          ))
      })
    })
  )

  static readonly layerMemory = Layer.effect(
    WriteIntentTable,
    Effect.map(MemoryDatabase, (database) =>
      WriteIntentTable.of({
        begin: (realmUrl, expected, batch, edits) =>
          Effect.flatMap(Clock.currentTimeMillis, (startedAtMillis) =>
            database.write((tables) => {
              // Written to be locked, as FOR UPDATE does: floors and generation are one row.
              tables.insertFloors.set(realmUrl, tables.insertFloors.get(realmUrl) ?? 0)
              const realm = tables.realms.get(realmUrl)
              if (realm?.generation !== expected || realm.state !== "live" || tables.intents.has(realmUrl)) {
                return false
              }
              tables.intents.set(realmUrl, { realmUrl, batch, edits, startedAtMillis })
              return true
            })),
        finish: (realmUrl, batch) =>
          database.write((tables) => tables.intents.get(realmUrl)?.batch === batch && tables.intents.delete(realmUrl)),
        find: (realmUrl) => database.read((tables) => Option.fromNullishOr(tables.intents.get(realmUrl))),
        abandoned: (age) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            database.read((tables) =>
              Array.from(tables.intents.values())
                .filter((intent) => intent.startedAtMillis <= now - millisOf(age))
                .map((intent) => intent.realmUrl)
            )),
        withdraw: (realmUrl) =>
          database.write((tables) => {
            tables.intents.delete(realmUrl)
          })
      }))
  )
}

const millisOf = (age: Duration.Input) => Duration.toMillis(Duration.fromInputUnsafe(age))
