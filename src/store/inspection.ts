import { PgConnection } from "@effect/sql-pg"
import type { Redacted } from "effect"

/** One session that nobody else uses. */
export type Session = PgConnection.PgConnection

/** Opens a session, as replicas open those that listen and lock, until the scope closes. */
export const open = (url: Redacted.Redacted) =>
  PgConnection.make({
    url,
    applicationName: "lockstep doctor",
    connectTimeout: "5 seconds",
    multiplex: false,
    startupParameters: { statement_timeout: "5000" }
  })

/**
 * Questions about a database that may be any: unreachable by half, not migrated, behind a pooler. They go over bare
 * connections and change nothing. Numbers travel as text or doubles.
 */

/** What the server is, and how it treats this role. One row. */
export const server = `SELECT current_setting('server_version') AS version,
    current_setting('server_version_num')::int AS number,
    current_database() AS database, current_user AS role, pg_is_in_recovery() AS recovering,
    has_schema_privilege(current_schema(), 'CREATE') AS may_create,
    has_function_privilege('pg_control_system()', 'EXECUTE') AS may_see_control,
    (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now`

/** Settings that what Lockstep promises rests on, as a new session of this role has them. */
export const settings = `SELECT name, setting, coalesce(unit, '') AS unit FROM pg_settings WHERE name IN (
    'synchronous_commit', 'fsync', 'full_page_writes', 'synchronous_standby_names', 'max_connections',
    'superuser_reserved_connections', 'reserved_connections', 'idle_session_timeout', 'transaction_timeout',
    'client_connection_check_interval', 'default_transaction_read_only', 'default_transaction_isolation')`

/** Standbys that stream from here, and how many of them commits wait for; zeros where this role may not see them. */
export const standbys = `SELECT count(*)::float8 AS standbys,
    count(*) FILTER (WHERE sync_state IN ('sync', 'quorum'))::float8 AS synchronous FROM pg_stat_replication`

/**
 * Connections that are not this fleet's: of the whole server, of this role and of this database, and the bounds that hold for
 * the latter; -1 is none. What kind of process another role's is, this role may not see: its parallel workers count as well.
 */
export const connections = `WITH others AS (
    SELECT usename, datname FROM pg_stat_activity
    WHERE usename IS NOT NULL AND datname IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
      AND NOT (datname = current_database() AND application_name LIKE 'lockstep %')
  )
  SELECT count(*)::float8 AS of_server,
    count(*) FILTER (WHERE usename = current_user)::float8 AS of_role,
    count(*) FILTER (WHERE datname = current_database())::float8 AS of_database,
    (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)::float8 AS role_limit,
    (SELECT datconnlimit FROM pg_database WHERE datname = current_database())::float8 AS database_limit FROM others`

/** Whether Lockstep has been here. */
export const hasMigrations = "SELECT to_regclass('lockstep_migrations') IS NOT NULL AS present"

/** The newest migration. */
export const newestMigration = "SELECT coalesce(max(migration_id), 0)::float8 AS id FROM lockstep_migrations"

/** The fleet, and for how long each member has not renewed, by the database's clock. */
export const members = `SELECT replica_id, advertise_url, lease_ms::float8 AS lease_ms,
    extract(epoch FROM clock_timestamp() - renewed_at)::float8 * 1000 AS silent_ms FROM replicas ORDER BY replica_id`

/** Jobs that need somebody. */
export const jobs = `SELECT count(*) FILTER (WHERE state = 'dead')::float8 AS dead,
    count(*) FILTER (WHERE state = 'waiting' AND available_at < now() - interval '1 minute')::float8 AS late FROM jobs`

/** Which server process answers. */
export const backend = "SELECT pg_backend_pid() AS pid"

/** Leaves traces in the session: a setting of its own, and an advisory lock on this key. */
export const mark =
  `SELECT set_config('lockstep.doctor', $1, false) AS value, pg_try_advisory_lock($1::text::bigint) AS held,
    pg_backend_pid() AS pid`

/** Whether this is still the session that was marked. */
export const marked = `SELECT coalesce(current_setting('lockstep.doctor', true), '') AS value, pg_backend_pid() AS pid,
    EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() AND granted
      AND ((classid::bigint << 32) | objid::bigint) = $1::text::bigint) AS held`

export const unmark = "SELECT pg_advisory_unlock($1::text::bigint)"

/** Takes a server process for as long as a transaction is open. */
export const begin = "BEGIN READ ONLY"
export const rollback = "ROLLBACK"

export const notify = "SELECT pg_notify($1, $2)"
