import { PgClient } from "@effect/sql-pg"
import { Effect, Layer } from "effect"
import { SessionConfig } from "../../../src/coordination/SessionConfig.ts"
import { migrate } from "../../../src/store/migrations.ts"
import { temporaryDatabase } from "../../support/database.ts"

/** A migrated database of one's own, on a pool of `maxConnections`. */
export const postgres = (maxConnections = 5) =>
  Layer.effectDiscard(migrate).pipe(
    Layer.provideMerge(Layer.unwrap(Effect.map(temporaryDatabase, (url) => PgClient.layer({ url, maxConnections }))))
  )

/** The same, with what sessions of their own need. */
export const postgresWithSessions = (maxConnections = 5) =>
  SessionConfig.layer.pipe(Layer.provideMerge(postgres(maxConnections)))
