import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"

/** Makes a realm's versions and copies older than they are, in memory. */
export const olderInMemory = (realmUrl: RealmUrl, millis: number) =>
  Effect.flatMap(MemoryDatabase, (database) =>
    database.write(({ copies, versions }) => {
      for (const [key, row] of copies) {
        if (row.realmUrl === realmUrl) copies.set(key, { ...row, startedAtMillis: row.startedAtMillis - millis })
      }
      for (const [key, row] of versions) {
        if (row.realmUrl === realmUrl) versions.set(key, { ...row, createdAtMillis: row.createdAtMillis - millis })
      }
    }))

/** The same in PostgreSQL. */
export const olderInPostgres = (realmUrl: RealmUrl, millis: number) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) =>
    Effect.all([
      sql`UPDATE realm_versions SET created_at = created_at - ${millis} * interval '1 millisecond'
        WHERE realm_url = ${realmUrl}`,
      sql`UPDATE version_copies SET started_at = started_at - ${millis} * interval '1 millisecond'
        WHERE realm_url = ${realmUrl}`
    ], { discard: true }))
