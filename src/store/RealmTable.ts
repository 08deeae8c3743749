import { Clock, Context, Effect, Layer, Option, Schema } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { MemoryDatabase, type MemoryTables } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/**
 * What is known of a realm, from one row of `realm_generations` and, while the realm lives, one of `realm_registry`.
 * `directory` names the source realm's directory or the published version's. Rows of transpiled modules below
 * `wipeFloor` are void, and so are definitions below `definitionFloor`.
 */
export interface RealmRow {
  readonly realmUrl: RealmUrl
  readonly generation: number
  readonly state: "live" | "gone"
  readonly directory: string
  readonly wipeFloor: number
  readonly definitionFloor: number
  readonly kind: "source" | "published"
  readonly sourceUrl: RealmUrl | null
  readonly lastPublishedAt: Date | null
  /** Only who was given permission may read it. A change of this moves the generation, so it is known with the row. */
  readonly isPrivate: boolean
}

/** Rows read by one statement, with the incarnation of the UNLOGGED tables at that moment. */
export interface RealmSnapshot {
  readonly incarnation: string
  readonly realms: ReadonlyArray<RealmRow>
}

const SqlRow = Schema.Struct({
  incarnation: Schema.String,
  realm_url: Schema.NullOr(Schema.String),
  generation: Schema.NullOr(Schema.Finite),
  state: Schema.NullOr(Schema.Literals(["live", "gone"])),
  directory: Schema.NullOr(Schema.String),
  wipe_floor: Schema.NullOr(Schema.Finite),
  definition_floor: Schema.NullOr(Schema.Finite),
  kind: Schema.NullOr(Schema.Literals(["source", "published"])),
  source_url: Schema.NullOr(Schema.String),
  last_published_at: Schema.NullOr(Schema.Date),
  is_private: Schema.NullOr(Schema.Boolean)
})

interface InsertFloorRow {
  readonly realm_url: RealmUrl
  readonly insert_floor: number
}

const decode = Schema.decodeUnknownSync(Schema.Array(SqlRow))

const toSnapshot = (rows: ReadonlyArray<typeof SqlRow.Type>): RealmSnapshot => ({
  incarnation: rows[0]?.incarnation ?? "",
  realms: rows.flatMap((row) =>
    row.realm_url === null ? [] : [{
      realmUrl: row.realm_url as RealmUrl,
      generation: row.generation ?? 0,
      state: row.state ?? "gone",
      directory: row.directory ?? "",
      wipeFloor: row.wipe_floor ?? 0,
      definitionFloor: row.definition_floor ?? 0,
      kind: row.kind ?? "source",
      sourceUrl: row.source_url as RealmUrl | null,
      lastPublishedAt: row.last_published_at,
      // What is not registered any more is shown to nobody.
      isPrivate: row.is_private ?? true
    }]
  )
})

/** What a new generation voids: named paths (by tombstones), everything of the realm, or its definitions. */
export type Scope = "paths" | "realm" | "definitions"

/** From now on, rows of the realm that were made below this generation are not inserted where there is none. */
export interface InsertFloor {
  readonly realmUrl: RealmUrl
  readonly generation: number
}

/** The realms themselves. Only the lifecycle programs write, under the realm's write lock. */
export class RealmTable extends Context.Service<RealmTable, {
  /** The rows of these URLs that exist, live or gone, and the incarnation, from one statement. */
  readonly read: (urls: ReadonlyArray<RealmUrl>) => Effect.Effect<RealmSnapshot, DatabaseError>
  /** Every live realm, by URL. */
  readonly list: Effect.Effect<ReadonlyArray<RealmRow>, DatabaseError>
  /** Whether a live realm's URL begins with this origin, `scheme://host:port`. */
  readonly hasOrigin: (origin: string) => Effect.Effect<boolean, DatabaseError>
  /** Live realms whose URL begins with `url`, or that `url` lies in, itself excepted. */
  readonly overlapping: (url: RealmUrl) => Effect.Effect<ReadonlyArray<RealmUrl>, DatabaseError>
  /** Within a transaction: nobody else mounts a realm at a new URL until it ends. What others mounted is seen after it. */
  readonly holdRegistry: Effect.Effect<void, DatabaseError>
  /**
   * Moves a live realm from `expected` to the next generation and returns it; none when the realm is elsewhere by now
   * (I3: the lock orders writers, this comparison protects against one that lost its lock unknowingly).
   */
  readonly advance: (
    url: RealmUrl,
    expected: number,
    scope: Scope
  ) => Effect.Effect<Option.Option<number>, DatabaseError>
  /**
   * Within the transaction of an explicit invalidation: contents of before are reused neither by the realm nor by what is
   * published of it from now on.
   */
  readonly salt: (url: RealmUrl) => Effect.Effect<void, DatabaseError>
  /**
   * Makes the realm live with this content, at the next generation; `expected` is 0 for a URL never seen, which begins at
   * the first generation of the present epoch. Without a word on privacy a live realm stays as private as it is, and
   * another is public. What is transpiled of a private realm is reused by nobody but what is published of it.
   */
  readonly mount: (
    realm: Pick<RealmRow, "realmUrl" | "kind" | "directory" | "sourceUrl"> & {
      readonly isPrivate?: boolean | undefined
    },
    expected: number
  ) => Effect.Effect<Option.Option<number>, DatabaseError>
  /**
   * Refuses, from now on, new rows from writers older than the present, in realms with more than `tombstones` of them:
   * the first step of collecting those. Returns the floors that it raised.
   */
  readonly raiseInsertFloors: (tombstones: number) => Effect.Effect<ReadonlyArray<InsertFloor>, DatabaseError>
  /** Ends the realm at the next generation. Its generation lives on. */
  readonly retire: (url: RealmUrl, expected: number) => Effect.Effect<Option.Option<number>, DatabaseError>
  /**
   * Within the transaction that advances the realm: who hears of the generation forgets the row, and reads the new one.
   */
  readonly setPrivate: (url: RealmUrl, isPrivate: boolean) => Effect.Effect<void, DatabaseError>
}>()("lockstep/store/RealmTable") {
  static readonly layer = Layer.effect(
    RealmTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient

      const columns = sql.literal(`r.realm_url, r.generation::float8 AS generation, r.state, r.directory,
        r.wipe_floor::float8 AS wipe_floor, r.definition_floor::float8 AS definition_floor, g.kind, g.source_url, g.last_published_at, g.is_private`)

      const select = (urls: ReadonlyArray<RealmUrl>) =>
        sql`SELECT i.id::text AS incarnation, ${columns}
          FROM cache_incarnation i
          LEFT JOIN realm_generations r ON r.realm_url = ANY(${urls}::text[])
          LEFT JOIN realm_registry g ON g.realm_url = r.realm_url`

      const read = Effect.fnUntraced(function*(urls: ReadonlyArray<RealmUrl>) {
        const rows = yield* statement("read realms", select(urls))
        if (rows.length > 0) return toSnapshot(decode(rows))
        // A new database, or one whose UNLOGGED tables a crash has emptied: whoever comes first names the incarnation.
        yield* statement(
          "begin a cache incarnation",
          sql`INSERT INTO cache_incarnation DEFAULT VALUES ON CONFLICT DO NOTHING`
        )
        return toSnapshot(decode(yield* statement("read realms", select(urls))))
      })

      const generation = (rows: ReadonlyArray<unknown>): Option.Option<number> => {
        const row = rows[0] as { readonly generation: number } | undefined
        return row === undefined ? Option.none() : Option.some(row.generation)
      }

      return RealmTable.of({
        read,
        list: statement(
          "list realms",
          sql`SELECT '' AS incarnation, ${columns} FROM realm_registry g JOIN realm_generations r USING (realm_url)
            ORDER BY r.realm_url`
        ).pipe(Effect.map((rows) => toSnapshot(decode(rows)).realms)),
        hasOrigin: (origin) =>
          statement(
            "look for a host's realms",
            sql`SELECT 1 FROM realm_registry WHERE realm_url ^@ ${origin + "/"} LIMIT 1`
          ).pipe(Effect.map((rows) => rows.length > 0)),
        overlapping: (url) =>
          statement(
            "look for overlapping realms",
            sql<{ realm_url: RealmUrl }>`SELECT realm_url FROM realm_registry
              WHERE realm_url <> ${url} AND (starts_with(realm_url, ${url}) OR starts_with(${url}, realm_url))`
          ).pipe(Effect.map((rows) => rows.map((row) => row.realm_url))),
        // Its own statement, so that the next one's snapshot is not older than the lock.
        holdRegistry: Effect.asVoid(statement(
          "hold the registry",
          sql`SELECT pg_advisory_xact_lock(hashtextextended('lockstep|registry', 0))`
        )),
        advance: (url, expected, scope) =>
          statement(
            "advance a generation",
            // -- I3: compare and set
            sql`UPDATE realm_generations SET generation = generation + 1, changed_xid = pg_current_xact_id(),
                wipe_floor = CASE WHEN ${scope === "realm"} THEN generation + 1 ELSE wipe_floor END,
                definition_floor = CASE WHEN ${scope === "paths"} THEN definition_floor ELSE generation + 1 END
              WHERE realm_url = ${url} AND generation = ${expected} AND state = 'live'
              RETURNING generation::float8 AS generation`
          ).pipe(Effect.map(generation)),
        salt: (url) =>
          Effect.asVoid(statement(
            "salt a realm",
            sql`UPDATE realm_generations SET reuse_salt = realm_url || '@' || generation WHERE realm_url = ${url}`
          )),
        mount: Effect.fnUntraced(function*(realm, expected) {
          const isPrivate = sql`coalesce(${realm.isPrivate ?? null}::boolean,
            (SELECT p.is_private FROM realm_registry p WHERE p.realm_url = ${realm.realmUrl}), false)`
          // A salt that is not empty is shared by a source and its publications alone.
          const salt = sql`coalesce(
            (SELECT s.reuse_salt FROM realm_generations s WHERE s.realm_url = ${realm.sourceUrl} AND s.reuse_salt <> ''),
            CASE WHEN ${isPrivate} THEN 'private ' || ${realm.realmUrl}::text ELSE '' END)`
          // -- I3: compare and set; a URL seen before goes on counting
          const mounted = generation(
            yield* statement(
              "mount a realm",
              expected === 0
                // A realm whose making was lost in a failover does not begin again at the same number.
                ? sql`INSERT INTO realm_generations (realm_url, generation, state, directory, wipe_floor, definition_floor,
                      changed_xid, reuse_salt)
                    SELECT ${realm.realmUrl}, first, 'live', ${realm.directory}, first, first, pg_current_xact_id(), ${salt}
                    FROM (SELECT (coalesce(max(epoch), 0)::bigint << 36) + 1 AS first FROM database_identity) AS counted
                    ON CONFLICT (realm_url) DO NOTHING RETURNING generation::float8 AS generation`
                : sql`UPDATE realm_generations SET generation = generation + 1, changed_xid = pg_current_xact_id(), wipe_floor = generation + 1,
                      definition_floor = generation + 1, state = 'live', directory = ${realm.directory},
                      reuse_salt = ${salt}
                    WHERE realm_url = ${realm.realmUrl} AND generation = ${expected}
                    RETURNING generation::float8 AS generation`
            )
          )
          if (Option.isSome(mounted)) {
            yield* statement(
              "register a realm",
              sql`INSERT INTO realm_registry (realm_url, kind, source_url, last_published_at, is_private)
                VALUES (${realm.realmUrl}, ${realm.kind}, ${realm.sourceUrl},
                  CASE WHEN ${realm.kind === "published"} THEN now() END, ${isPrivate})
                ON CONFLICT (realm_url) DO UPDATE SET source_url = EXCLUDED.source_url,
                  last_published_at = EXCLUDED.last_published_at, is_private = EXCLUDED.is_private`
            )
          }
          return mounted
        }),
        raiseInsertFloors: (tombstones) =>
          statement(
            "raise insert floors",
            sql<InsertFloorRow>`UPDATE realm_generations SET insert_floor = generation
              WHERE realm_url IN (
                SELECT realm_url FROM module_transpile_cache WHERE body IS NULL
                GROUP BY realm_url HAVING count(*) > ${tombstones}
              ) RETURNING realm_url, insert_floor::float8 AS insert_floor`
          ).pipe(Effect.map((rows) => rows.map((row) => ({ realmUrl: row.realm_url, generation: row.insert_floor })))),
        retire: Effect.fnUntraced(function*(url, expected) {
          const retired = generation(
            yield* statement(
              "retire a realm",
              sql`UPDATE realm_generations SET generation = generation + 1, changed_xid = pg_current_xact_id(), wipe_floor = generation + 1,
                  definition_floor = generation + 1, state = 'gone'
                WHERE realm_url = ${url} AND generation = ${expected} AND state = 'live'
                RETURNING generation::float8 AS generation`
            )
          )
          if (Option.isSome(retired)) {
            yield* statement("unregister a realm", sql`DELETE FROM realm_registry WHERE realm_url = ${url}`)
          }
          return retired
        }),
        setPrivate: (url, isPrivate) =>
          Effect.andThen(
            statement(
              "set a realm's privacy",
              sql`UPDATE realm_registry SET is_private = ${isPrivate} WHERE realm_url = ${url}`
            ),
            isPrivate
              ? Effect.asVoid(statement(
                "salt a realm",
                sql`UPDATE realm_generations SET reuse_salt = 'private ' || realm_url || '@' || generation
                  WHERE realm_url = ${url} AND reuse_salt = ''`
              ))
              : Effect.void
          )
      })
    })
  )

  static readonly layerMemory = Layer.effect(
    RealmTable,
    Effect.map(MemoryDatabase, (database) => {
      const move = (
        url: RealmUrl,
        expected: number,
        change: (row: RealmRow, generation: number) => Partial<RealmRow>
      ) =>
        database.write((tables) => {
          const row = tables.realms.get(url)
          if (row === undefined || row.generation !== expected || row.state !== "live") return Option.none<number>()
          const generation = row.generation + 1
          setRealm(tables, { ...row, ...change(row, generation), generation })
          return Option.some(generation)
        })
      return RealmTable.of({
        read: (urls) =>
          database.read((tables) => ({
            incarnation: tables.incarnation,
            realms: urls.flatMap((url) => tables.realms.get(url) ?? [])
          })),
        list: database.read((tables) =>
          Array.from(tables.realms.values())
            .filter((row) => row.state === "live")
            .sort((a, b) => a.realmUrl < b.realmUrl ? -1 : 1)
        ),
        hasOrigin: (origin) =>
          database.read((tables) =>
            Array.from(tables.realms.values()).some((row) =>
              row.state === "live" && row.realmUrl.startsWith(`${origin}/`)
            )
          ),
        overlapping: (url) =>
          database.read((tables) =>
            Array.from(tables.realms.values())
              .filter((row) => row.state === "live" && row.realmUrl !== url)
              .map((row) => row.realmUrl)
              .filter((other) => other.startsWith(url) || url.startsWith(other))
          ),
        // Transactions take turns here.
        holdRegistry: Effect.void,
        advance: (url, expected, scope) =>
          move(url, expected, (row, generation) => ({
            wipeFloor: scope === "realm" ? generation : row.wipeFloor,
            definitionFloor: scope === "paths" ? row.definitionFloor : generation
          })),
        salt: (url) =>
          database.write((tables) => {
            tables.salts.set(url, `${url}@${tables.realms.get(url)?.generation}`)
          }),
        mount: (realm, expected) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) =>
            database.write((tables) => {
              if ((tables.realms.get(realm.realmUrl)?.generation ?? 0) !== expected) return Option.none<number>()
              const generation = expected + 1
              const known = tables.realms.get(realm.realmUrl)
              const isPrivate = realm.isPrivate ?? (known?.state === "live" && known.isPrivate)
              const inherited = tables.salts.get(realm.sourceUrl ?? "") ?? ""
              tables.salts.set(
                realm.realmUrl,
                inherited === "" && isPrivate ? `private ${realm.realmUrl}` : inherited
              )
              setRealm(tables, {
                ...realm,
                isPrivate,
                generation,
                wipeFloor: generation,
                definitionFloor: generation,
                state: "live",
                lastPublishedAt: realm.kind === "published" ? new Date(now) : null
              })
              return Option.some(generation)
            })),
        raiseInsertFloors: (tombstones) =>
          database.write((tables) => {
            const counts = new Map<string, number>()
            for (const [key, row] of tables.caches.get("module_transpile_cache") ?? []) {
              const realmUrl = key.slice(0, key.indexOf("\0"))
              if (row.values === null) counts.set(realmUrl, (counts.get(realmUrl) ?? 0) + 1)
            }
            const floors = Array.from(counts).filter(([, count]) => count > tombstones).map(([url]) => ({
              realmUrl: url as RealmUrl,
              generation: tables.realms.get(url)?.generation ?? 0
            }))
            for (const { generation, realmUrl } of floors) tables.insertFloors.set(realmUrl, generation)
            return floors
          }),
        retire: (url, expected) =>
          move(url, expected, (_, floor) => ({
            state: "gone",
            wipeFloor: floor,
            definitionFloor: floor,
            isPrivate: true
          })),
        setPrivate: (url, isPrivate) =>
          database.write((tables) => {
            const row = tables.realms.get(url)
            if (row?.state !== "live") return
            tables.realms.set(url, { ...row, isPrivate })
            if (isPrivate && (tables.salts.get(url) ?? "") === "") {
              tables.salts.set(url, `private ${url}@${row.generation}`)
            }
          })
      })
    })
  )
}

const setRealm = (tables: MemoryTables, row: RealmRow) => {
  tables.realms.set(row.realmUrl, row)
  tables.moves.set(row.realmUrl, Math.max(0, ...tables.moves.values()) + 1)
}
