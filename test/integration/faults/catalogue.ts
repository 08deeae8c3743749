/**
 * Every test of the fault suite, and the name of the fault that it puts the fleet through under load, if it does: what
 * `npm run chaos -- --only` looks through. A unit test holds it against the test files.
 */
export const catalogue = [
  {
    file: "clock.test.ts",
    title: "forward and back: the lease counts on the monotonic clock, and on the wall clock only to doubt",
    fault: "the wall clock of one replica an hour forward, then two back, then right"
  },
  {
    file: "clock.test.ts",
    title: "by less than a lease, again and again",
    fault: "the wall clock of one replica steps by 0.9 leases, ten times"
  },
  {
    file: "clock.test.ts",
    title: "back, while it hears nothing: its lease still ends when it must",
    fault: "the wall clock of one replica an hour back, in a black hole for three leases"
  },
  {
    file: "disk.test.ts",
    title: "under the published versions: publishes fail and say why, reads go on",
    fault: "a full disk under the published versions"
  },
  {
    file: "disk.test.ts",
    title: "for one replica, by a limit on what it may write",
    fault: "one replica may write 64 KB a file"
  },
  {
    file: "killed.test.ts",
    title: "costs its own connections only: no answer is stale, nothing acknowledged is lost",
    fault: "kill -9 of a replica, and a new one in its place"
  },
  {
    file: "killed.test.ts",
    title: "in the middle of a publish leaves the realm to the others",
    fault: "kill -9 of a replica in the middle of a publish"
  },
  {
    file: "network.test.ts",
    title: "a replica in a black hole refuses rather than answers from before a publish",
    fault: "one replica in a black hole, until long after its lease"
  },
  {
    file: "network.test.ts",
    title: "a listening session in a black hole costs no answer and lets nothing old through",
    fault: "one listening session in a black hole for three leases"
  },
  {
    file: "network.test.ts",
    title: "a replica that is cut off in the middle of a transaction does not hold the realm for ever",
    fault: undefined
  },
  {
    file: "network.test.ts",
    title: "every replica in a black hole at once",
    fault: "all replicas in a black hole, until long after their leases"
  },
  {
    file: "network.test.ts",
    title: "answers that take 200 to 500 ms",
    fault: "200 to 500 ms more to PostgreSQL and back for one replica, for five leases"
  },
  {
    file: "network.test.ts",
    title: "connections that are cut again and again",
    fault: "connections of one replica cut every 300 ms for three leases"
  },
  {
    file: "network.test.ts",
    title: "black holes that come and go faster than a lease",
    fault: "black holes of half a lease, six times, at one replica and another"
  },
  {
    file: "network.test.ts",
    title: "warns of every answer of which nothing is promised",
    fault: "one replica in a black hole, with --on-partition serve"
  },
  {
    file: "paused.test.ts",
    title: "for longer than its lease: what it answers when it goes on is not stale",
    fault: "SIGSTOP of a replica for two leases"
  },
  {
    file: "paused.test.ts",
    title: "its very first answer is from after the publish that waited it out",
    fault: undefined
  },
  { file: "paused.test.ts", title: "while it transpiles: another replica takes the module over", fault: undefined },
  {
    file: "paused.test.ts",
    title: "in the middle of a publish: another's publish goes on, and stands",
    fault: "SIGSTOP of a replica in the middle of a publish"
  },
  {
    file: "paused.test.ts",
    title: "in the middle of a publish: it never publishes a mixture of two states of its source",
    fault: undefined
  },
  {
    file: "paused.test.ts",
    title: "while it invalidates and creates realms: the others' management goes on",
    fault: undefined
  },
  {
    file: "postgres.test.ts",
    title: "kill -9 of one of its processes empties the caches and nothing else",
    fault: "kill -9 of a PostgreSQL backend (UNLOGGED tables emptied)"
  },
  {
    file: "postgres.test.ts",
    title: "a listening session that is terminated is opened again, and what it missed is caught up",
    fault: "pg_terminate_backend of every listening session, three times"
  },
  {
    file: "postgres.test.ts",
    title: "an immediate stop and a start later: refusals meanwhile, then all as before",
    fault: "PostgreSQL stopped (immediate) for two leases, and started"
  },
  {
    file: "postgres.test.ts",
    title: "sessions that hold coalescing locks are terminated: nobody waits for them",
    fault: "pg_terminate_backend of every lock session, ten times"
  },
  {
    file: "postgres.test.ts",
    title: "sessions that hold realms are terminated: the comparison keeps writers apart",
    fault: "pg_terminate_backend of every write lock session, twenty times"
  },
  {
    file: "postgres.test.ts",
    title: "every session at once is terminated, again and again",
    fault: "pg_terminate_backend of everything, ten times"
  }
] as const

export type FaultTest = (typeof catalogue)[number]

/** A fault as the table of `npm run chaos` prints it. */
export type FaultName = NonNullable<FaultTest["fault"]>
