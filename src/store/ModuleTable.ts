import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { type CacheTable, makeMemory, makeSql, type Shape } from "./CacheTable.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"

/** One export of a module: its name (`default` for the default export, `*` for `export *`) and what it is. */
export const ExportDefinition = Schema.Struct({
  name: Schema.String,
  kind: Schema.Literals(["class", "function", "constant", "variable", "enum", "type", "namespace", "re-export"]),
  from: Schema.optionalKey(Schema.String)
})
export type ExportDefinition = typeof ExportDefinition.Type

/** What the analysis of one module found, or why it could not be analysed. */
export const DefinitionsRow = Schema.Struct({
  definitions: Schema.Array(ExportDefinition),
  dependency_keys: Schema.Array(Schema.String),
  error: Schema.NullOr(Schema.Struct({
    detail: Schema.String,
    line: Schema.NullOr(Schema.Finite),
    column: Schema.NullOr(Schema.Finite)
  }))
})
export type DefinitionsRow = typeof DefinitionsRow.Type

const shape: Shape = {
  table: "modules",
  floor: "definitionFloor",
  columns: [
    { name: "definitions", type: "jsonb" },
    { name: "dependency_keys", type: "jsonb" },
    { name: "error", type: "jsonb" }
  ]
}

/** Table `modules`: definitions of modules' exports, shared by all replicas. */
export class ModuleTable extends Context.Service<ModuleTable, CacheTable<DefinitionsRow>>()(
  "lockstep/store/ModuleTable"
) {
  static readonly layer = Layer.effect(
    ModuleTable,
    Effect.map(SqlClient.SqlClient, (sql) => makeSql(sql, shape, Schema.decodeUnknownSync(DefinitionsRow)))
  )
  static readonly layerMemory = Layer.effect(
    ModuleTable,
    Effect.map(MemoryDatabase, (database) => makeMemory<DefinitionsRow>(database, shape))
  )
}
