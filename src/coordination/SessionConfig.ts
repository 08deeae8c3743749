import { PgClient, type PgConnection } from "@effect/sql-pg"
import { Context, Effect, Layer } from "effect"

/**
 * How to reach PostgreSQL for sessions that listen or hold locks. A pooler in transaction mode breaks both: hosts that
 * put one in front of their `PgClient` give the direct address here.
 */
export class SessionConfig extends Context.Service<SessionConfig, PgConnection.Config>()(
  "lockstep/coordination/SessionConfig"
) {
  /** The same address as the host's `PgClient`. */
  static readonly layer = Layer.effect(
    SessionConfig,
    Effect.map(PgClient.PgClient, ({ config }) => config)
  )

  static readonly layerOf = (config: PgConnection.Config) => Layer.succeed(SessionConfig, config)
}

/**
 * One session's own settings: its name in `pg_stat_activity`, and how long the server keeps it while it says nothing, so
 * that a frozen replica loses its locks.
 */
export const sessionConfig = (
  base: PgConnection.Config,
  purpose: string,
  parameters: Readonly<Record<string, string>> = {}
): PgConnection.Config => ({
  ...base,
  applicationName: `lockstep ${purpose}`,
  connectTimeout: "2 seconds",
  keepAlive: "5 seconds",
  multiplex: false,
  startupParameters: { ...base.startupParameters, ...parameters }
})
