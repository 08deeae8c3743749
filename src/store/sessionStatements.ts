import { presentTables } from "./presentTables.ts"

/**
 * Statements of the pinned sessions. They go over a bare connection, whose parameters are numbered; 64-bit integers
 * travel as decimal text.
 */

/** Answers only if the session is alive in both directions. */
export const heartbeat = "SELECT 1"

/** Tries all keys at once and says which were had. A try never blocks the session. */
export const tryLocks = `SELECT key::text AS key, pg_try_advisory_lock(key) AS held
  FROM unnest($1::text[]::bigint[]) AS key`

/** Which of these keys no session holds: whoever held them is done, or dead. */
export const freeLocks = `SELECT key::text AS key FROM unnest($1::text[]::bigint[]) AS key
  EXCEPT SELECT ((classid::bigint << 32) | objid::bigint)::text FROM pg_locks
  WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

/** Tells the losers that the winner is done, whose row is committed by now, and gives the locks back. */
export const releaseLocks = `SELECT pg_notify('module_cache_populated', key::text), pg_advisory_unlock(key)
  FROM unnest($1::text[]::bigint[]) AS key`

/** Waits for the lock, as its own statement, so that what is read next is not older than the lock. */
export const lock = "SELECT pg_advisory_lock($1::text::bigint)"

/** Gives back every lock of the session, also one granted while its caller was being interrupted. */
export const unlockAll = "SELECT pg_advisory_unlock_all()"

/**
 * Renews a membership, or finds that there is none (no row). A synchronously committed write, so that a primary that was
 * deposed cannot renew; `renewals` lets a publisher see that a member has renewed since.
 */
export const renewMembership = `UPDATE replicas SET renewed_at = now(), renewals = renewals + 1
  WHERE replica_id = $1 AND boot_id = $2::text::uuid RETURNING 1 AS renewed`

/**
 * Makes a membership. Committed before the statement that reads generations starts (I1). Its renewals are counted from
 * the transaction's number, past those of any earlier membership of this boot, so that a publisher which read that one
 * does not forget this one.
 */
export const registerMembership = `INSERT INTO replicas (replica_id, boot_id, advertise_url, lease_ms, renewals)
  VALUES ($1, $2::text::uuid, $3, $4::text::int, pg_current_xact_id()::text::bigint)
  ON CONFLICT (replica_id, boot_id) DO NOTHING`

/** Names the incarnation of the UNLOGGED tables where a crash, or nobody yet, has left none. */
export const beginIncarnation = "INSERT INTO cache_incarnation DEFAULT VALUES ON CONFLICT DO NOTHING"

/**
 * What changed since an earlier snapshot: every row of a transaction that had not ended then (its `xmin`), so that commit
 * order leaves no gap. `identity` names the database, its tables, its timeline and the incarnation of its caches: a cursor is
 * valid within one of them only. Without a cursor ($1 is null) there is nothing to compare, and no row is changed.
 */
export const catchUp = `SELECT
    s.system_identifier::text || '/' || ${presentTables} || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '/' || i.id::text
      AS identity,
    pg_snapshot_xmin(pg_current_snapshot())::text AS cursor,
    r.realm_url, r.generation::float8 AS generation
  FROM pg_control_system() s CROSS JOIN cache_incarnation i
  LEFT JOIN realm_generations r ON r.changed_xid >= $1::text::xid8`

/** Tells the publisher, or every member where it is not known, which generations this member has applied. */
export const acknowledge = "SELECT pg_notify($1, $2)"

/**
 * Begins a new epoch of generations where another timeline, database or set of tables answers than the one they were
 * counted on, or, with $1, where this one is known to have gone back. Commits may have been lost, and with them
 * generations that were issued, after the last that is known: all are raised to the next multiple of 2^36, past any of those (I3), and everything cached
 * is void. The row's lock lets one session do so; the others find it done.
 */
export const beginEpoch = `WITH present AS (
    SELECT system_identifier::text AS system_identifier, left(pg_walfile_name(pg_current_wal_lsn()), 8) AS timeline,
      ${presentTables} AS tables
    FROM pg_control_system()
  ), changed AS (
    INSERT INTO database_identity AS known (system_identifier, timeline, tables)
    SELECT system_identifier, timeline, tables FROM present
    ON CONFLICT (only_row) DO UPDATE
      SET system_identifier = EXCLUDED.system_identifier, timeline = EXCLUDED.timeline, tables = EXCLUDED.tables,
        epoch = known.epoch + 1
      WHERE $1::text::boolean OR known.system_identifier <> EXCLUDED.system_identifier
        OR known.timeline <> EXCLUDED.timeline OR known.tables IS DISTINCT FROM EXCLUDED.tables
    RETURNING epoch
  ), ended AS (
    INSERT INTO realm_epochs (realm_url, last_generation)
    SELECT realm_url, generation FROM realm_generations WHERE EXISTS (SELECT FROM changed WHERE epoch > 0)
    ON CONFLICT DO NOTHING
  ), raised AS (
    UPDATE realm_generations SET
      generation = next, wipe_floor = next, definition_floor = next, insert_floor = next,
      changed_xid = pg_current_xact_id()
    FROM (SELECT realm_url AS url, ((generation >> 36) + 1) << 36 AS next FROM realm_generations) AS following
    WHERE realm_url = url AND EXISTS (SELECT FROM changed WHERE epoch > 0)
    RETURNING 1
  )
  SELECT epoch, (SELECT count(*)::float8 FROM raised) AS realms FROM changed WHERE epoch > 0`
