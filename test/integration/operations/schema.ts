import { Effect } from "effect"
import { Migrator, SqlClient, type SqlError } from "effect/sql"

/** What statements of a version that is already out depend on. */
export interface Shape {
  /** By `table.column`. */
  readonly columns: ReadonlyMap<string, { readonly type: string; readonly nullable: boolean; readonly filled: boolean }>
  /** Constraints and unique indexes: what refuses rows, and what `ON CONFLICT` names. By name and definition. */
  readonly rules: ReadonlyMap<string, string>
}

export const shape: Effect.Effect<Shape, SqlError.SqlError, SqlClient.SqlClient> = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const columns = yield* sql<{ name: string; type: string; nullable: boolean; filled: boolean }>`
    SELECT c.relname || '.' || a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
      NOT a.attnotnull AS nullable, a.atthasdef OR a.attidentity <> '' AS filled
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped`
  const rules = yield* sql<{ name: string; definition: string }>`
    SELECT conrelid::regclass || '.' || conname AS name, pg_get_constraintdef(oid) AS definition
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype <> 'n'
    UNION SELECT indrelid::regclass || '.' || indexrelid::regclass, pg_get_indexdef(indexrelid)
    FROM pg_index WHERE indisunique AND indexrelid::regclass::text NOT LIKE 'pg_%'`
  return {
    columns: new Map(columns.map(({ name, ...column }) => [name, column])),
    rules: new Map(rules.map(({ definition, name }) => [name, definition]))
  }
})

const tableOf = (name: string) => name.slice(0, name.indexOf("."))

/** What of a newer schema a version that knows only the older one would stumble over; nothing if it only adds. */
export const breaks = (before: Shape, after: Shape): ReadonlyArray<string> => {
  const tables = new Set(Array.from(before.columns.keys(), tableOf))
  return [
    ...Array.from(before.columns).flatMap(([name, old]) => {
      const now = after.columns.get(name)
      if (now === undefined) return [`${name} is gone`]
      return [
        ...now.type === old.type ? [] : [`${name} was ${old.type} and is ${now.type}`],
        ...old.nullable && !now.nullable ? [`${name} must not be null any more`] : [],
        ...old.filled && !now.filled ? [`${name} has no default any more`] : []
      ]
    }),
    ...Array.from(after.columns).flatMap(([name, { filled, nullable }]) =>
      tables.has(tableOf(name)) && !before.columns.has(name) && !nullable && !filled
        ? [`${name} is new, not null and has no default`]
        : []
    ),
    ...Array.from(before.rules).flatMap(([name, definition]) =>
      after.rules.get(name) === definition ? [] : [`${name} is not ${definition} any more`]
    ),
    ...Array.from(after.rules).flatMap(([name, definition]) =>
      tables.has(tableOf(name)) && !before.rules.has(name) ? [`${name} is new: ${definition}`] : []
    )
  ]
}

type Migrations = Readonly<Record<string, Effect.Effect<void, SqlError.SqlError, SqlClient.SqlClient>>>

/** Brings a database to the schema of these migrations, as the version that had no later ones would. */
export const migrateTo = (migrations: Migrations) =>
  Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: "lockstep_migrations" })
