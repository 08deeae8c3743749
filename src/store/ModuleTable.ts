import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { DefinitionFault, Dependency, ExportResult } from "../domain/Definition.ts"
import type { DatabaseError } from "../domain/errors.ts"
import { type CacheTable, makeMemory, makeSql, type RowKey, type Shape } from "./CacheTable.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/** What the analysis of one module found, put together with the modules that it depends on, or why there is none. */
export const DefinitionsRow = Schema.Struct({
  /** One result an export, by name. */
  definitions: Schema.Array(ExportResult),
  /** Import specifiers, as written. */
  dependency_keys: Schema.Array(Schema.String),
  /** Other modules that the results were made from, and what they were then: the row holds only while they are that. */
  dependencies: Schema.Array(Dependency),
  /** The same as URLs, under every name that they were asked for and found by: what an invalidation follows. */
  depends_on: Schema.Array(Schema.String),
  /** Realms of those modules. */
  depends_on_realms: Schema.Array(Schema.String),
  /** Why the module as a whole has no definitions. */
  error: Schema.NullOr(DefinitionFault),
  /** When a row with errors stops to count, in milliseconds since 1970; null for one without. */
  expires_at: Schema.NullOr(Schema.Finite),
  /** Whose view of the realms it was made under. */
  scope: Schema.String
})
export type DefinitionsRow = typeof DefinitionsRow.Type

/** A row that says nothing: what others are made from. */
export const emptyRow: DefinitionsRow = {
  definitions: [],
  dependency_keys: [],
  dependencies: [],
  depends_on: [],
  depends_on_realms: [],
  error: null,
  expires_at: null,
  scope: "public"
}

/** What has changed: modules by any URL that an import may have for them, or everything of a realm. */
export type Changed =
  | { readonly urls: ReadonlyArray<string> }
  | { readonly realmUrl: string }

export interface DefinitionsTable extends CacheTable<DefinitionsRow> {
  /**
   * Blanks the rows that were made from what changed, in any realm, and says which. Rows of the realm itself are spared
   * from the generation of the change on: they know of it. Correctness does not need it (rule 12), so rows that somebody
   * writes at this moment are passed over, and it waits for nobody.
   */
  readonly voidDependents: (
    changed: Changed,
    since: { readonly realmUrl: string; readonly generation: number }
  ) => Effect.Effect<ReadonlyArray<Pick<RowKey, "realmUrl" | "path">>, DatabaseError>
}

const shape: Shape = {
  table: "modules",
  floor: "definitionFloor",
  columns: [
    { name: "definitions", type: "jsonb" },
    { name: "dependency_keys", type: "jsonb" },
    { name: "dependencies", type: "jsonb" },
    { name: "depends_on", type: "jsonb" },
    { name: "depends_on_realms", type: "jsonb" },
    { name: "error", type: "jsonb" },
    { name: "expires_at", type: "jsonb" },
    { name: "scope", type: "text" }
  ]
}

const columns = shape.columns.map(({ name }) => name)
const decode = Schema.decodeUnknownSync(DefinitionsRow)

// Rows locked by a writer are skipped: waiting for them could end in a deadlock with the commit of a write.
const voidDependents = `WITH void AS (
    SELECT realm_url, canonical_path FROM modules
    WHERE definitions IS NOT NULL AND (depends_on ?| $1::text[] OR depends_on_realms ?| $2::text[])
      AND NOT (realm_url = $3 AND generation >= $4::text::bigint)
    FOR UPDATE SKIP LOCKED
  )
  UPDATE modules m SET ${[...columns, "content_key"].map((name) => `${name} = NULL`).join(", ")}
  FROM void WHERE m.realm_url = void.realm_url AND m.canonical_path = void.canonical_path
  RETURNING m.realm_url AS "realmUrl", m.canonical_path AS path`

/** Table `modules`: definitions of modules' exports, shared by all replicas. */
export class ModuleTable extends Context.Service<ModuleTable, DefinitionsTable>()("lockstep/store/ModuleTable") {
  static readonly layer = Layer.effect(
    ModuleTable,
    Effect.map(SqlClient.SqlClient, (sql) =>
      ModuleTable.of({
        ...makeSql(sql, shape, decode),
        voidDependents: (changed, since) =>
          statement(
            "void dependents",
            sql.unsafe<Pick<RowKey, "realmUrl" | "path">>(voidDependents, [
              "urls" in changed ? changed.urls : [],
              "urls" in changed ? [] : [changed.realmUrl],
              since.realmUrl,
              String(since.generation)
            ])
          )
      }))
  )
  static readonly layerMemory = Layer.effect(
    ModuleTable,
    Effect.map(MemoryDatabase, (database) => {
      const table = makeMemory<DefinitionsRow>(database, shape)
      return ModuleTable.of({
        ...table,
        voidDependents: (changed, since) =>
          database.write(({ caches }) => {
            const rows = caches.get("modules")
            const voided: Array<Pick<RowKey, "realmUrl" | "path">> = []
            for (const [key, row] of rows ?? []) {
              const [realmUrl = "", path = ""] = key.split("\0")
              const value = row.values as DefinitionsRow | null
              if (value === null || (realmUrl === since.realmUrl && row.generation >= since.generation)) continue
              const affected = "urls" in changed
                ? changed.urls.some((url) => value.depends_on.includes(url))
                : value.depends_on_realms.includes(changed.realmUrl)
              if (!affected) continue
              rows?.set(key, { generation: row.generation, contentKey: null, values: null })
              voided.push({ realmUrl, path })
            }
            return voided
          })
      })
    })
  )
}
