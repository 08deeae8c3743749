import { Clock, Effect, Schema } from "effect"
import { latestMigration } from "../../store/migrations.ts"
import * as inspection from "../../store/inspection.ts"
import { fail, type Finding, ok, warn } from "./Finding.ts"

/** Connections that one replica may open: its pool, its write locks, its listening session, its coalescing locks. */
const perReplica = 10 + 16 + 1 + 1

/** Beyond this the wall clocks of two machines tell different stories, in milliseconds. */
const skewBound = 1000

const ask = <A>(connection: inspection.Session, statement: string, schema: Schema.Codec<A, unknown>) =>
  Effect.flatMap(
    connection.query(statement, []),
    ({ rows }) => Schema.decodeEffect(Schema.Array(schema))(rows)
  )

const one = <A>(connection: inspection.Session, statement: string, schema: Schema.Codec<A, unknown>) =>
  Effect.flatMap(
    ask(connection, statement, schema),
    ([row]) => row === undefined ? Effect.die("PostgreSQL answered without a row") : Effect.succeed(row)
  )

const Server = Schema.Struct({
  version: Schema.String,
  number: Schema.Finite,
  database: Schema.String,
  role: Schema.String,
  recovering: Schema.Boolean,
  may_create: Schema.NullOr(Schema.Boolean),
  may_see_control: Schema.Boolean,
  now: Schema.Finite
})
const Setting = Schema.Struct({ name: Schema.String, setting: Schema.String, unit: Schema.String })
const Standbys = Schema.Struct({ standbys: Schema.Finite, synchronous: Schema.Finite })
const Connections = Schema.Struct({
  of_server: Schema.Finite,
  of_role: Schema.Finite,
  of_database: Schema.Finite,
  role_limit: Schema.NullOr(Schema.Finite),
  database_limit: Schema.NullOr(Schema.Finite)
})
const HasMigrations = Schema.Struct({ present: Schema.Boolean })
const NewestMigration = Schema.Struct({ id: Schema.Finite })
const Jobs = Schema.Struct({ dead: Schema.Finite, late: Schema.Finite })

/** A member of the fleet, as the database knows it. */
export const MemberRow = Schema.Struct({
  replica_id: Schema.String,
  advertise_url: Schema.String,
  lease_ms: Schema.Finite,
  silent_ms: Schema.Finite
})
export type MemberRow = typeof MemberRow.Type

/** What one connection can tell of the server, its settings and its schema, and who the members are. */
export const examineDatabase = Effect.fnUntraced(function*(connection: inspection.Session) {
  const findings: Array<Finding> = []
  const asked = yield* Clock.currentTimeMillis
  const server = yield* one(connection, inspection.server, Server)
  const answered = yield* Clock.currentTimeMillis
  findings.push(
    server.number >= 150_000
      ? ok(
        "postgres.version",
        `PostgreSQL ${server.version}, database ${server.database}, role ${server.role}, answers in ${
          answered - asked
        } ms`
      )
      : fail("postgres.version", `PostgreSQL ${server.version}`, "Lockstep needs PostgreSQL 15 or later: upgrade it")
  )
  findings.push(clockSkew("this machine", server.now, asked, answered))
  if (server.recovering) {
    findings.push(
      fail("postgres.primary", "this PostgreSQL is a standby", "name the primary in DATABASE_URL: replicas write")
    )
  }
  if (!server.may_see_control) {
    findings.push(fail(
      "postgres.rights",
      `${server.role} may not call pg_control_system()`,
      `a replica tells by it that PostgreSQL failed over: GRANT EXECUTE ON FUNCTION pg_control_system() TO ${server.role}`
    ))
  }
  const settings = new Map((yield* ask(connection, inspection.settings, Setting)).map((row) => [row.name, row]))
  const valueOf = (name: string) => settings.get(name)?.setting ?? ""
  const standbys = yield* one(connection, inspection.standbys, Standbys)
  findings.push(...durability(valueOf, standbys), ...sessions(settings))

  const { present } = yield* one(connection, inspection.hasMigrations, HasMigrations)
  const migrated = present ? (yield* one(connection, inspection.newestMigration, NewestMigration)).id : 0
  findings.push(schema(migrated, server.may_create === true, server.role))
  const members = migrated >= 4 ? yield* ask(connection, inspection.members, MemberRow) : []
  findings.push(capacity(valueOf, yield* one(connection, inspection.connections, Connections), members.length))
  if (migrated >= 7) findings.push(...backlog(yield* one(connection, inspection.jobs, Jobs)))
  return { findings, members, now: server.now }
})

/** The difference of two wall clocks, one of which was read at some time between `before` and `after` of the other. */
export const clockSkew = (whose: string, theirs: number, before: number, after: number, resolution = 0): Finding => {
  const ahead = before - theirs - resolution
  const behind = theirs - after
  const skew = Math.max(0, ahead, behind)
  const check = whose === "this machine" ? "clock" : `clock.${whose}`
  return skew <= skewBound
    ? ok(
      check,
      `the clocks of ${whose} and PostgreSQL agree within ${
        skew <= 0 ? `${Math.round(after - before)} ms` : `${Math.round(skew)} ms`
      }`
    )
    : warn(
      check,
      `the clocks of ${whose} and PostgreSQL differ by ${(skew / 1000).toFixed(1)} s`,
      "leases run on monotonic clocks and hold all the same, but times in answers, logs and lockstep_staleness_seconds mislead, " +
        "and a clock that is set while a replica runs ends its lease: run an NTP client"
    )
}

/** What an acknowledged publish survives (I4), and what a failover may lose (I3). */
const durability = (
  valueOf: (name: string) => string,
  { standbys, synchronous }: typeof Standbys.Type
): ReadonlyArray<Finding> => {
  const commit = valueOf("synchronous_commit")
  const off = (name: string, what: string) =>
    valueOf(name) === "on"
      ? ok(`postgres.${name}`, `${name} is on`)
      : fail(`postgres.${name}`, `${name} is off`, `${what}: set it to on`)
  return [
    commit === "off"
      ? fail(
        "postgres.synchronous_commit",
        "synchronous_commit is off",
        "a publish that was acknowledged may be lost in a crash, and a deposed primary may renew leases: set it to on (ALTER " +
          "DATABASE, ALTER ROLE or postgresql.conf)"
      )
      : ok("postgres.synchronous_commit", `synchronous_commit is ${commit}`),
    off("fsync", "a crash of the machine may destroy the database, and what was published with it"),
    off("full_page_writes", "a crash of the machine may leave torn pages, which nothing repairs"),
    standbys > 0 && synchronous === 0
      ? warn(
        "postgres.standbys",
        `${standbys} standbys stream, and commits wait for none of them`,
        "a failover may lose publishes that were acknowledged; replicas notice and drop everything, but the publishes are " +
          "gone: set synchronous_standby_names"
      )
      : ok(
        "postgres.standbys",
        standbys === 0 ? "no standby streams from here" : `commits wait for ${synchronous} of ${standbys} standbys`
      )
  ]
}

/** Settings that end sessions or transactions under Lockstep. In milliseconds; 0 is never. */
const sessions = (settings: ReadonlyMap<string, typeof Setting.Type>): ReadonlyArray<Finding> => {
  const millis = (name: string) => {
    const { setting = "0", unit = "ms" } = settings.get(name) ?? {}
    return Number(setting) * (unit === "s" ? 1000 : unit === "min" ? 60_000 : 1)
  }
  const short = (name: string, least: number, why: string) => {
    const value = millis(name)
    return value === 0 || value >= least
      ? ok(`postgres.${name}`, `${name} is ${value === 0 ? "not set" : `${value / 1000} s`}`)
      : warn(`postgres.${name}`, `${name} is ${value / 1000} s`, why)
  }
  return [
    short(
      "idle_session_timeout",
      60_000,
      "the pool's connections end between requests and are opened again, and the listening session " +
        "with them if it is below a third of --lease: set it to 0 or to minutes for this role"
    ),
    short(
      "transaction_timeout",
      10_000,
      "a transaction that commits a large publish may be ended: set it to 0 or to ten seconds and more for this role"
    ),
    settings.get("default_transaction_read_only")?.setting === "on"
      ? fail(
        "postgres.read_only",
        "transactions are read only",
        "replicas write: set default_transaction_read_only to off for this role"
      )
      : ok("postgres.read_only", "transactions may write")
  ]
}

const schema = (migrated: number, mayCreate: boolean, role: string): Finding => {
  if (migrated === latestMigration) {
    return ok("postgres.schema", `the schema is at migration ${migrated}, this version's`)
  }
  if (migrated > latestMigration) {
    return warn(
      "postgres.schema",
      `the schema is at migration ${migrated}, and this version knows ${latestMigration}`,
      "a newer Lockstep has been here: run doctor of that version, and finish the roll-out"
    )
  }
  const advice = "the first lockstep serve of this version migrates it"
  return mayCreate
    ? warn(
      "postgres.schema",
      migrated === 0
        ? "the database is not migrated yet"
        : `the schema is at migration ${migrated} of ${latestMigration}`,
      advice
    )
    : fail(
      "postgres.schema",
      `the schema is at migration ${migrated} of ${latestMigration}, and ${role} may not create tables`,
      `${advice}: GRANT CREATE ON SCHEMA public TO ${role}`
    )
}

const capacity = (
  valueOf: (name: string) => string,
  { database_limit, of_database, of_role, of_server, role_limit }: typeof Connections.Type,
  members: number
): Finding => {
  const reserved = Number(valueOf("superuser_reserved_connections")) + Number(valueOf("reserved_connections") || 0)
  const server = { name: "max_connections", bound: Number(valueOf("max_connections")), others: of_server + reserved }
  const bounds = [
    server,
    { name: "the role's CONNECTION LIMIT", bound: role_limit ?? -1, others: of_role },
    { name: "the database's CONNECTION LIMIT", bound: database_limit ?? -1, others: of_database }
  ].filter(({ bound }) => bound >= 0).sort((a, b) => (a.bound - a.others) - (b.bound - b.others))
  const { bound, name, others } = bounds[0] ?? server
  const replicas = Math.max(1, members)
  const needed = replicas * perReplica
  const free = bound - others
  const said = `${
    replicas === 1 ? "1 replica" : `${replicas} replicas`
  } may open ${needed} connections, of ${free} that others leave (${bound} in all)`
  return needed <= free
    ? ok("postgres.connections", said)
    : warn(
      "postgres.connections",
      said,
      `raise ${name} to ${
        bound + needed - free
      } or more, or run fewer replicas: at the bound, requests that need PostgreSQL wait and fail`
    )
}

const backlog = ({ dead, late }: typeof Jobs.Type): ReadonlyArray<Finding> => [
  dead > 0
    ? warn(
      "jobs.dead",
      `${dead} reindex jobs failed too often`,
      "lockstep status tells why; lockstep reindex URL tries again"
    )
    : ok("jobs.dead", "no reindex job is dead"),
  ...(late > 0
    ? [
      warn(
        "jobs.late",
        `${late} reindex jobs have waited for more than a minute`,
        "no worker takes them: does any replica run without --no-worker, or lockstep worker?"
      )
    ]
    : [])
]
