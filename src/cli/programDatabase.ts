import { Option, type Redacted } from "effect"
import type { layerProgram, LockstepOptions } from "../Lockstep.ts"

/**
 * A replica or worker that is frozen or cut off in the middle of a statement or transaction must not hold its rows for
 * ever, and what collects tombstones counts on it.
 */
const limits = { statement_timeout: "5000", idle_in_transaction_session_timeout: "5000" }

/**
 * How the program reaches PostgreSQL: a pool, and where that goes through a pooler in transaction mode, the server itself
 * for sessions. Such a pooler knows neither these parameters nor a session's prepared statements; `checkPooled` then looks
 * whether the limits hold all the same.
 */
export const programDatabase = (
  url: Redacted.Redacted,
  sessionUrl: Option.Option<Redacted.Redacted>,
  pool: { readonly applicationName: string; readonly maxConnections: number }
): {
  readonly pool: Parameters<typeof layerProgram>[1]
  readonly sessions: Pick<LockstepOptions, "sessionDatabase">
} => {
  const common = { ...pool, url, connectTimeout: "5 seconds" } as const
  return Option.match(sessionUrl, {
    onNone: () => ({ pool: { ...common, startupParameters: limits }, sessions: {} }),
    onSome: (direct) => ({
      pool: { ...common, prepare: false },
      sessions: { sessionDatabase: { ...common, url: direct, startupParameters: limits } }
    })
  })
}
