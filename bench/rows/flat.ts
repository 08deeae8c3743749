import { Effect } from "effect"
import { alternate } from "../harness/alternate.ts"
import { onDatabase } from "../harness/database.ts"
import { smallFleet, smallPublished, smallRealm, startEmbedded } from "../harness/embedded.ts"
import { millis } from "../harness/format.ts"
import { median, p99, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Line, Row } from "../Row.ts"

/** Publishes and invalidations of one round. */
const times = 20

/** A host with one realm, and its publication, of so many modules in each of the two caches. */
const hostWith = Effect.fnUntraced(function*(rows: number) {
  const fleet = yield* smallFleet
  // The rows have no files: a warm-up would look for each of them, beside the next publish.
  const host = yield* startEmbedded(fleet, `host of ${rows}`, { cacheBytes: 2 ** 20, warmUp: false })
  const { attempt, client: sql } = yield* onDatabase(fleet.databaseUrl)
  const publish = host.ask({ task: "publish", source: smallRealm, published: smallPublished, times }, 60_000)
  const invalidate = host.ask({ task: "wipe", realm: smallRealm, times }, 60_000)
  // As large as they come: 2 KB of JavaScript each, and a few exports.
  const fill = (realm: string) =>
    attempt(
      "fill the caches",
      Effect.all([
        sql`INSERT INTO module_transpile_cache
            (realm_url, canonical_path, body, headers, dependency_keys, content_key, generation)
          SELECT r.realm_url, 'module-' || number || '.ts', repeat('x', 2000), '{}', '[]', 'key', r.generation
          FROM generate_series(1, ${rows}::int) AS number, realm_generations r WHERE r.realm_url = ${realm}
          ON CONFLICT (realm_url, canonical_path) DO UPDATE
            SET generation = EXCLUDED.generation, body = EXCLUDED.body`,
        sql`INSERT INTO modules (realm_url, canonical_path, definitions, dependency_keys, content_key, generation)
          SELECT r.realm_url, 'module-' || number || '.ts', '[]', '[]', 'key', r.generation
          FROM generate_series(1, ${rows}::int) AS number, realm_generations r WHERE r.realm_url = ${realm}
          ON CONFLICT (realm_url, canonical_path) DO UPDATE SET generation = EXCLUDED.generation`,
        // What is left of the filling itself, dirty pages and dead rows, is not the next statement's to write.
        sql`VACUUM (ANALYZE) module_transpile_cache, modules`,
        sql`CHECKPOINT`
      ], { discard: true })
    )
  yield* Effect.replicateEffect(publish, 5)
  yield* Effect.replicateEffect(invalidate, 5)
  const filled = <A, E, R>(realm: string, work: Effect.Effect<{ readonly millis: A }, E, R>) =>
    Effect.andThen(fill(realm), Effect.map(work, (answered) => answered.millis))
  return { publish: filled(smallPublished, publish), invalidate: filled(smallRealm, invalidate) }
})

const run = Effect.gen(function*() {
  const { scale } = yield* Workbench
  const [few = 0, ...more] = scale.cachedModules
  const hosts = yield* Effect.forEach(
    scale.cachedModules,
    (rows) => Effect.map(hostWith(rows), (host) => ({ rows, host }))
  )
  const measured = yield* alternate(
    scale.slowRounds,
    Object.fromEntries(hosts.flatMap(({ host, rows }) => [
      [`publish ${rows}`, host.publish] as const,
      [`invalidate ${rows}`, host.invalidate] as const
    ]))
  )
  const show = (rounds: ReadonlyArray<ReadonlyArray<number>>) =>
    `p50 ${millis(median(rounds.flat()))}, p99 ${millis(p99(rounds.flat()))}`
  return (["publish", "invalidate"] as const).flatMap((what) =>
    more.map((rows): Line => {
      const ours = measured[`${what} ${rows}`] ?? []
      const least = measured[`${what} ${few}`] ?? []
      return {
        name: `${what}, ${rows.toLocaleString("en-US")} cached modules`,
        lockstep: show(ours),
        peer: { name: `with ${few}`, figure: show(least) },
        ratio: ratios(least.map(median), ours.map(median)),
        // Flat, and room for what a table of any size costs to keep.
        bar: 0.67,
        also: { "in each of": "the two caches, filled anew before each round" }
      }
    })
  )
})

export const flat: Row = {
  name: "flat",
  title: "A publish, and an invalidation of a whole realm, over ever more cached modules of it",
  run
}
