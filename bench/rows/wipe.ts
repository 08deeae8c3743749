import { Effect } from "effect"
import { alternate } from "../harness/alternate.ts"
import { onDatabase } from "../harness/database.ts"
import { smallFleet, smallPublished, smallRealm, startEmbedded } from "../harness/embedded.ts"
import { millis } from "../harness/format.ts"
import { median, p99, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Row } from "../Row.ts"

const withRows = Effect.fnUntraced(function*(rows: number) {
  const { scale } = yield* Workbench
  const fleet = yield* smallFleet
  const host = yield* startEmbedded(fleet, "host")
  const { attempt, client: sql } = yield* onDatabase(fleet.databaseUrl)
  const publish = host.ask({ task: "publish", source: smallRealm, published: smallPublished, times: 1 }, 60_000)
  yield* publish
  // As large as they come: 2 KB of JavaScript each, and a few exports.
  const fill = (realm: string) =>
    attempt(
      "fill the caches",
      Effect.andThen(
        sql`INSERT INTO module_transpile_cache
            (realm_url, canonical_path, body, headers, dependency_keys, content_key, generation)
          SELECT r.realm_url, 'module-' || number || '.ts', repeat('x', 2000), '{}', '[]', 'key', r.generation
          FROM generate_series(1, ${rows}::int) AS number, realm_generations r WHERE r.realm_url = ${realm}
          ON CONFLICT (realm_url, canonical_path) DO UPDATE
            SET generation = EXCLUDED.generation, body = EXCLUDED.body`,
        sql`INSERT INTO modules (realm_url, canonical_path, definitions, dependency_keys, content_key, generation)
          SELECT r.realm_url, 'module-' || number || '.ts', '[]', '[]', 'key', r.generation
          FROM generate_series(1, ${rows}::int) AS number, realm_generations r WHERE r.realm_url = ${realm}
          ON CONFLICT (realm_url, canonical_path) DO UPDATE SET generation = EXCLUDED.generation`
      )
    )
  const wipe = Effect.andThen(
    fill(smallRealm),
    Effect.map(host.ask({ task: "wipe", realm: smallRealm, times: 1 }, 60_000), ({ millis }) => millis)
  )
  const publishing = Effect.andThen(fill(smallPublished), Effect.map(publish, ({ millis }) => millis))
  const bare = attempt(
    "update one row",
    Effect.suspend(() => {
      const from = performance.now()
      return Effect.map(
        sql`UPDATE realm_generations SET wipe_floor = wipe_floor WHERE realm_url = ${smallRealm}`,
        () => [performance.now() - from]
      )
    })
  )
  yield* wipe
  yield* publishing
  const measured = yield* alternate(scale.rounds, { wipe, publishing, bare })
  const both = (rounds: ReadonlyArray<ReadonlyArray<number>>) =>
    `p50 ${millis(median(rounds.flat()))}, p99 ${millis(p99(rounds.flat()))}`
  return {
    name: `${rows.toLocaleString("en-US")} rows in each of the two caches`,
    lockstep: both(measured.wipe),
    peer: { name: "a durable UPDATE of one row", figure: both(measured.bare) },
    ratio: ratios(measured.bare.map(median), measured.wipe.map(median)),
    also: { "a publish over them": both(measured.publishing) }
  }
}, Effect.scoped)

export const wipe: Row = {
  name: "wipe",
  title: "A bulk wipe of a realm, and a publish, over ever more cached rows",
  run: Effect.forEach([10, 1000, 100_000], withRows)
}
