/**
 * Which tables these are, in SQL: a dump that was restored into the same server, over them or beside them, made others.
 * Those of a database that was copied as a whole keep their numbers, and the database has another.
 */
export const presentTables = `(SELECT d.oid::text || '.' || 'realm_generations'::regclass::oid::text
  FROM pg_database d WHERE d.datname = current_database())`
