import { Effect, Schedule } from "effect"
import { Migrator, SqlClient, SqlError } from "effect/sql"
import { DatabaseError } from "../domain/errors.ts"
import { presentTables } from "./presentTables.ts"

/**
 * Every change of the schema since the beginning, in order.
 *
 * While a fleet is upgraded, replicas of two versions run on one database, and an older one may start again on a schema
 * that a newer one made. So a migration only adds: tables, columns that are nullable or have a default, indexes. What the
 * version before reads or writes stays as it was; a test holds it to that. What nobody reads any more goes in a later
 * release, by a migration whose name begins with `contract_`: a version that does not know it refuses to start.
 */
export const migrations: Readonly<Record<string, Effect.Effect<void, SqlError.SqlError, SqlClient.SqlClient>>> = {
  "0001_realms": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // LOGGED, and never deleted from: generations outlive the registry row (I3).
    yield* sql`CREATE TABLE realm_generations (
      realm_url text PRIMARY KEY,
      generation bigint NOT NULL,
      state text NOT NULL CHECK (state IN ('live', 'gone')),
      directory text NOT NULL,
      wipe_floor bigint NOT NULL,
      definition_floor bigint NOT NULL,
      insert_floor bigint NOT NULL DEFAULT 0,
      changed_xid xid8 NOT NULL
    )`
    // What a catch-up asks for: rows changed by transactions that an earlier snapshot had not seen the end of.
    yield* sql`CREATE INDEX realm_generations_changed ON realm_generations (changed_xid)`
    // Which database, on which timeline, the generations were counted on, and how often they were raised since.
    yield* sql`CREATE TABLE database_identity (
      only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
      system_identifier text NOT NULL,
      timeline text NOT NULL,
      epoch int NOT NULL DEFAULT 0
    )`
    yield* sql`CREATE TABLE realm_registry (
      realm_url text PRIMARY KEY REFERENCES realm_generations,
      kind text NOT NULL CHECK (kind IN ('source', 'published')),
      source_url text,
      last_published_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now()
    )`
    // Every published version whose files may still be on disk, for <realm>@<generation>/ and for the sweeper.
    yield* sql`CREATE TABLE realm_versions (
      realm_url text NOT NULL REFERENCES realm_generations,
      generation bigint NOT NULL,
      directory text NOT NULL UNIQUE,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (realm_url, generation)
    )`
    // A copy under way. Its publish commits only while this row is there; the sweeper takes the row before the files.
    yield* sql`CREATE TABLE version_copies (
      directory text PRIMARY KEY,
      realm_url text NOT NULL,
      started_at timestamptz NOT NULL DEFAULT now()
    )`
  }),
  "0002_caches": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // A PostgreSQL crash empties UNLOGGED tables, tombstones included. The incarnation goes with them, so a writer
    // that captured it before the crash is refused after it.
    yield* sql`CREATE UNLOGGED TABLE cache_incarnation (
      only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
      id uuid NOT NULL DEFAULT gen_random_uuid()
    )`
    yield* sql`CREATE UNLOGGED TABLE module_transpile_cache (
      realm_url text NOT NULL,
      canonical_path text NOT NULL,
      body text,
      headers jsonb,
      dependency_keys jsonb,
      content_key text,
      generation bigint NOT NULL DEFAULT 0,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (realm_url, canonical_path)
    )`
    // Transpiled text is read far more often than written: out of line and not recompressed, reads need no inflating.
    yield* sql`ALTER TABLE module_transpile_cache ALTER COLUMN body SET STORAGE EXTERNAL`
    yield* sql`CREATE UNLOGGED TABLE modules (
      realm_url text NOT NULL,
      canonical_path text NOT NULL,
      definitions jsonb,
      dependency_keys jsonb,
      error jsonb,
      content_key text,
      generation bigint NOT NULL DEFAULT 0,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (realm_url, canonical_path)
    )`
  }),
  "0003_reindex": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`CREATE TABLE jobs (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      kind text NOT NULL,
      realm_url text NOT NULL,
      generation bigint NOT NULL,
      state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'superseded', 'dead')),
      attempts int NOT NULL DEFAULT 0,
      available_at timestamptz NOT NULL DEFAULT now(),
      created_at timestamptz NOT NULL DEFAULT now(),
      finished_at timestamptz,
      error text
    )`
    // At most one job of a realm waits: a newer one replaces it.
    yield* sql`CREATE UNIQUE INDEX jobs_one_waiting ON jobs (kind, realm_url) WHERE state = 'waiting'`
    yield* sql`CREATE TABLE realm_index (
      url text PRIMARY KEY,
      realm_url text NOT NULL,
      isolated_html text,
      dependencies jsonb NOT NULL DEFAULT '[]',
      error text,
      generation bigint NOT NULL,
      indexed_at timestamptz NOT NULL DEFAULT now()
    )`
    yield* sql`CREATE INDEX realm_index_realm ON realm_index (realm_url)`
  }),
  "0004_replicas": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // LOGGED: a member that PostgreSQL forgot in a crash could answer from before a publish.
    yield* sql`CREATE TABLE replicas (
      replica_id text NOT NULL,
      boot_id uuid NOT NULL,
      advertise_url text NOT NULL,
      lease_ms int NOT NULL,
      renewals bigint NOT NULL DEFAULT 0,
      started_at timestamptz NOT NULL DEFAULT now(),
      renewed_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (replica_id, boot_id)
    )`
  }),
  "0005_definitions": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // Rows from before have another content key: nobody reads them again.
    yield* sql`ALTER TABLE modules
      ADD COLUMN dependencies jsonb,
      ADD COLUMN depends_on jsonb,
      ADD COLUMN depends_on_realms jsonb,
      ADD COLUMN expires_at jsonb,
      ADD COLUMN scope text`
    // Who was made from these modules: what an invalidation asks.
    yield* sql`CREATE INDEX modules_depends_on ON modules USING gin (depends_on)`
    yield* sql`CREATE INDEX modules_depends_on_realms ON modules USING gin (depends_on_realms)`
  }),
  "0006_writes": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // LOGGED: this row is what decides between none and all of a batch of edits. One a realm: writers take turns.
    yield* sql`CREATE TABLE write_intents (
      realm_url text PRIMARY KEY REFERENCES realm_generations,
      batch text NOT NULL,
      edits jsonb NOT NULL,
      started_at timestamptz NOT NULL DEFAULT now()
    )`
    // Written before its realm is live. Paths in byte order, so that what lies below a directory is a range.
    yield* sql`CREATE TABLE realm_files (
      realm_url text NOT NULL,
      path text COLLATE "C" NOT NULL,
      hash text NOT NULL,
      stamp text NOT NULL,
      PRIMARY KEY (realm_url, path)
    )`
  }),
  "0007_reindex_worker": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`ALTER TABLE jobs
      ADD COLUMN worker text,
      ADD COLUMN leased_until timestamptz,
      ADD COLUMN indexed int,
      ADD COLUMN total int`
    // At most one job of a realm runs, whatever two workers see of each other.
    yield* sql`CREATE UNIQUE INDEX jobs_one_running ON jobs (kind, realm_url) WHERE state = 'running'`
    yield* sql`CREATE INDEX jobs_available ON jobs (available_at) WHERE state = 'waiting'`
    // LOGGED, as made: the job behind these rows is done and would not run again after a crash had emptied them.
    yield* sql`ALTER TABLE realm_index
      ADD COLUMN path text NOT NULL,
      ADD COLUMN hash text NOT NULL,
      ADD COLUMN renderer text NOT NULL`
    yield* sql`ALTER TABLE realm_index ALTER COLUMN isolated_html SET STORAGE EXTERNAL`
    yield* sql`DROP INDEX realm_index_realm`
    yield* sql`CREATE UNIQUE INDEX realm_index_realm ON realm_index (realm_url, path)`
  }),
  "0008_encodings": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // Compressed bodies, by the tag of what they were made from. Compressed already: PostgreSQL need not try again.
    yield* sql`CREATE UNLOGGED TABLE encodings (
      etag text NOT NULL,
      coding text NOT NULL CHECK (coding IN ('br', 'gzip')),
      body bytea NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (etag, coding)
    )`
    yield* sql`ALTER TABLE encodings ALTER COLUMN body SET STORAGE EXTERNAL`
    yield* sql`CREATE INDEX encodings_age ON encodings (created_at)`
  }),
  "0009_contents": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // What transpiled modules were made into, by what they were made from, in whatever realm.
    yield* sql`CREATE UNLOGGED TABLE transpiled_contents (
      content_key text NOT NULL,
      salt text NOT NULL,
      body text NOT NULL,
      headers jsonb NOT NULL,
      dependency_keys jsonb NOT NULL,
      used_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (content_key, salt)
    )`
    yield* sql`ALTER TABLE transpiled_contents ALTER COLUMN body SET STORAGE EXTERNAL`
    yield* sql`CREATE INDEX transpiled_contents_age ON transpiled_contents (used_at)`
    // A realm whose contents must not be reused by others, or not those of before an explicit invalidation.
    yield* sql`ALTER TABLE realm_generations ADD COLUMN reuse_salt text NOT NULL DEFAULT ''`
  }),
  "0010_renderings_anew": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // What was rendered before each rendering had a thread of its own may hold what another one left.
    yield* sql`INSERT INTO jobs (kind, realm_url, generation)
      SELECT 'reindex', realm_url, generation FROM realm_generations g
      WHERE state = 'live' AND EXISTS (SELECT FROM realm_index i WHERE i.realm_url = g.realm_url)
      ON CONFLICT (kind, realm_url) WHERE state = 'waiting' DO NOTHING`
    yield* sql`DELETE FROM realm_index`
  }),
  "0011_artifacts": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // What hosts derive from files, by what it was made from. JSON text, read whole.
    yield* sql`CREATE UNLOGGED TABLE artifacts (
      content_key text NOT NULL,
      salt text NOT NULL,
      value text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (content_key, salt)
    )`
    yield* sql`CREATE INDEX artifacts_age ON artifacts (created_at)`
  }),
  "0012_job_traces": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // Whose trace a job continues. Replicas of the version before neither write nor read it.
    yield* sql`ALTER TABLE jobs ADD COLUMN trace_context text`
  }),
  "0013_access": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    yield* sql`ALTER TABLE realm_registry ADD COLUMN is_private boolean NOT NULL DEFAULT false`
    // LOGGED: who may do what outlives every crash. No reference to the registry: permission may be given for a URL
    // before there is a realm.
    yield* sql`CREATE TABLE realm_permissions (
      realm_url text NOT NULL,
      user_name text NOT NULL,
      permission text NOT NULL CHECK (permission IN ('read', 'write', 'owner')),
      granted_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (realm_url, user_name)
    )`
    yield* sql`CREATE INDEX realm_permissions_user ON realm_permissions (user_name)`
    // Of files that were recorded before, from their next change on.
    yield* sql`ALTER TABLE realm_files ADD COLUMN size bigint NOT NULL DEFAULT 0`
    // What replicas and workers prove to each other that they belong to this database with.
    yield* sql`CREATE TABLE fleet_secret (
      only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
      secret text NOT NULL DEFAULT gen_random_uuid()::text || gen_random_uuid()::text,
      created_at timestamptz NOT NULL DEFAULT now()
    )`
  }),
  "0014_epochs": Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // A dump that is restored into the same server has its identifier and timeline, but not the same tables.
    yield* sql`ALTER TABLE database_identity ADD COLUMN tables text`
    yield* sql`UPDATE database_identity SET tables = ${sql.literal(presentTables)}`
    // How far a realm had come, as far as is known, when its generations were raised. What lies between that and the next
    // epoch was lost, and the URLs that named it must not name something else.
    yield* sql`CREATE TABLE realm_epochs (
      realm_url text NOT NULL,
      last_generation bigint NOT NULL,
      PRIMARY KEY (realm_url, last_generation)
    )`
  })
}

const unreachable = new Set(["ConnectionError", "AuthenticationError", "AuthorizationError"])

/** Lockstep's sessions, snapshots and prefix searches need PostgreSQL 15. */
const checkVersion = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const [server] = yield* sql<{ number: number; version: string }>`SELECT
    current_setting('server_version_num')::int AS number, current_setting('server_version') AS version`
  if (server !== undefined && server.number < 150000) {
    return yield* new DatabaseError({
      operation: "be used",
      cause: `this is PostgreSQL ${server.version}; Lockstep needs 15 or later`
    })
  }
})

const numberOf = (name: string) => Number(name.slice(0, name.indexOf("_")))

/** The schema that this version works on. */
export const latestMigration = Math.max(...Object.keys(migrations).map(numberOf))

/** What a newer version has done to this database: nothing that this one minds, unless it took something away. */
const checkNewer = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const newer = yield* sql<{ name: string }>`SELECT lpad(migration_id::text, 4, '0') || '_' || name AS name
    FROM lockstep_migrations WHERE migration_id > ${latestMigration} ORDER BY migration_id`
  const names = newer.map(({ name }) => name)
  const contracting = names.filter((name) => name.includes("_contract_"))
  if (contracting.length > 0) {
    return yield* new DatabaseError({
      operation: "be used by this version of Lockstep",
      cause: `a newer version has taken away what this one needs (${
        contracting.join(", ")
      }): start that version instead`
    })
  }
  if (names.length > 0) {
    yield* Effect.logWarning(
      `The database was migrated by a newer version of Lockstep (${
        names.join(", ")
      }), which only added to it: this one ` +
        "serves on it until it is upgraded"
    )
  }
})

/**
 * Brings the database to this version's schema. Safe when many replicas start at once: the migrator serialises them on
 * its table's lock, and whoever loses a race on creating that table tries again.
 */
export const migrate = Effect.gen(function*() {
  yield* checkVersion
  yield* Migrator.make({})({ loader: Migrator.fromRecord(migrations), table: "lockstep_migrations" }).pipe(
    Effect.retry({
      schedule: Schedule.jittered(Schedule.spaced("100 millis")),
      times: 20,
      // Whoever cannot be reached, or does not let us in, will not do so the twentieth time either.
      while: (error) => !SqlError.isSqlError(error) || !unreachable.has(error.reason._tag)
    })
  )
  yield* checkNewer
}).pipe(
  Effect.mapError((cause) =>
    cause._tag === "DatabaseError" ? cause : new DatabaseError({ operation: "be migrated", cause })
  )
)
