import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { type CacheTable, makeMemory, makeSql, type Shape } from "./CacheTable.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"

/** The JavaScript of one module, its response headers, and the specifiers it imports. */
export const TranspiledRow = Schema.Struct({
  body: Schema.String,
  headers: Schema.Record(Schema.String, Schema.String),
  dependency_keys: Schema.Array(Schema.String)
})
export type TranspiledRow = typeof TranspiledRow.Type

const shape: Shape = {
  table: "module_transpile_cache",
  floor: "wipeFloor",
  columns: [
    { name: "body", type: "text" },
    { name: "headers", type: "jsonb" },
    { name: "dependency_keys", type: "jsonb" }
  ]
}

/** Table `module_transpile_cache`: transpiled modules shared by all replicas. */
export class ModuleTranspileTable extends Context.Service<ModuleTranspileTable, CacheTable<TranspiledRow>>()(
  "lockstep/store/ModuleTranspileTable"
) {
  static readonly layer = Layer.effect(
    ModuleTranspileTable,
    Effect.map(SqlClient.SqlClient, (sql) => makeSql(sql, shape, Schema.decodeUnknownSync(TranspiledRow)))
  )
  static readonly layerMemory = Layer.effect(
    ModuleTranspileTable,
    Effect.map(MemoryDatabase, (database) => makeMemory<TranspiledRow>(database, shape))
  )
}
