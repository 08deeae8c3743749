/**
 * Statements of the two pinned sessions. They go over a bare connection, whose parameters are numbered; keys are signed
 * 64-bit integers in decimal text.
 */

/** Answers only if the session is alive in both directions. */
export const heartbeat = "SELECT 1"

/** Tries all keys at once and says which were had. A try never blocks the session. */
export const tryLocks = `SELECT key::text AS key, pg_try_advisory_lock(key) AS held
  FROM unnest($1::text[]::bigint[]) AS key`

/** Tells the losers that the winner is done, whose row is committed by now, and gives the locks back. */
export const releaseLocks = `SELECT pg_notify('module_cache_populated', key::text), pg_advisory_unlock(key)
  FROM unnest($1::text[]::bigint[]) AS key`

/** Waits for the lock, as its own statement, so that what is read next is not older than the lock. */
export const lock = "SELECT pg_advisory_lock($1::text::bigint)"

/** Gives back every lock of the session, also one granted while its caller was being interrupted. */
export const unlockAll = "SELECT pg_advisory_unlock_all()"
