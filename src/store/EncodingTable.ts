import { Clock, Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { LRUCache } from "lru-cache"
import type { DatabaseError } from "../domain/errors.ts"
import { countDeleted, statement } from "./statement.ts"

/**
 * Table `encodings`: compressed bodies, by the tag of the bytes that they were made from. They are what they are whatever
 * is published or edited, so nothing here is ever voided; what was not used for long is collected.
 */
export class EncodingTable extends Context.Service<EncodingTable, {
  readonly read: (etag: string, coding: string) => Effect.Effect<Option.Option<Uint8Array>, DatabaseError>
  readonly write: (etag: string, coding: string, body: Uint8Array) => Effect.Effect<void, DatabaseError>
  /** Deletes what was made longer ago than this many days. Whoever still needs it makes it again. */
  readonly collect: (days: number) => Effect.Effect<number, DatabaseError>
}>()("lockstep/store/EncodingTable") {
  static readonly layer = Layer.effect(
    EncodingTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      return EncodingTable.of({
        read: (etag, coding) =>
          statement(
            "read a compressed body",
            sql<{ body: Uint8Array }>`SELECT body FROM encodings WHERE etag = ${etag} AND coding = ${coding}`
          ).pipe(Effect.map((rows) => Option.map(Option.fromNullishOr(rows[0]), (row) => row.body))),
        write: (etag, coding, body) =>
          Effect.asVoid(statement(
            "write a compressed body",
            sql`INSERT INTO encodings (etag, coding, body) VALUES (${etag}, ${coding}, ${body})
              ON CONFLICT (etag, coding) DO NOTHING`
          )),
        collect: (days) =>
          countDeleted(
            sql,
            "collect compressed bodies",
            "DELETE FROM encodings WHERE created_at < now() - $1::float8 * interval '1 day'",
            [days]
          )
      })
    })
  )

  /** In this process only, and bounded: what is pushed out is made again. */
  static readonly layerMemory = Layer.sync(EncodingTable, () => {
    const rows = new LRUCache<string, { readonly body: Uint8Array; readonly madeAt: number }>({
      maxSize: 16 * 2 ** 20,
      sizeCalculation: ({ body }, key) => body.length + 2 * key.length + 64
    })
    return EncodingTable.of({
      read: (etag, coding) => Effect.sync(() => Option.fromNullishOr(rows.get(`${coding} ${etag}`)?.body)),
      write: (etag, coding, body) =>
        Effect.map(Clock.currentTimeMillis, (madeAt) => void rows.set(`${coding} ${etag}`, { body, madeAt })),
      collect: (days) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          const before = rows.size
          for (const [key, { madeAt }] of rows.entries()) if (madeAt < now - days * 86_400_000) rows.delete(key)
          return before - rows.size
        })
    })
  })
}
