import { Effect } from "effect"
import { alternate } from "../harness/alternate.ts"
import { onDatabase } from "../harness/database.ts"
import { smallFleet, startEmbedded } from "../harness/embedded.ts"
import { median, ratios } from "../harness/statistics.ts"
import { Workbench } from "../harness/Workbench.ts"
import type { Row } from "../Row.ts"

const realms = Array.from({ length: 32 }, (_, index) => `http://localhost:4201/many-${index}/`)

const run = Effect.gen(function*() {
  const { scale } = yield* Workbench
  const fleet = yield* smallFleet
  const host = yield* startEmbedded(fleet, "host")
  yield* startEmbedded(fleet, "other")
  const sql = yield* onDatabase(fleet.databaseUrl, realms.length)
  yield* sql.attempt(
    "make realms",
    sql.client`INSERT INTO realm_generations
      (realm_url, generation, state, directory, wipe_floor, definition_floor, changed_xid)
      SELECT url, 1, 'live', 'small', 1, 1, pg_current_xact_id() FROM unnest(${realms}::text[]) AS url`
  )
  yield* sql.attempt(
    "register realms",
    sql.client`INSERT INTO realm_registry (realm_url, kind) SELECT url, 'source' FROM unnest(${realms}::text[]) AS url`
  )

  const invalidate = (of: ReadonlyArray<string>) =>
    Effect.map(
      host.ask({ task: "invalidate", realms: of, millis: scale.roundMillis }, 60_000),
      ({ count }) => count / scale.roundMillis * 1000
    )
  // What no invalidation can do without: a durable update of one row, and a notification after it.
  const bare = (of: ReadonlyArray<string>) => {
    const once = (url: string) =>
      Effect.andThen(
        sql.client`UPDATE realm_generations SET generation = generation WHERE realm_url = ${url}`,
        sql.client`SELECT pg_notify('bench', ${url})`
      )
    return sql.attempt(
      "update and notify",
      Effect.suspend(() => {
        const until = performance.now() + scale.roundMillis
        let count = 0
        const again = (url: string): Effect.Effect<void, unknown> =>
          performance.now() >= until
            ? Effect.void
            : Effect.andThen(once(url), Effect.suspend(() => (count++, again(url))))
        return Effect.as(
          Effect.forEach(of, again, { concurrency: "unbounded", discard: true }),
          undefined
        ).pipe(Effect.map(() => count / scale.roundMillis * 1000))
      })
    )
  }
  const line = Effect.fnUntraced(function*(name: string, of: ReadonlyArray<string>) {
    yield* invalidate(of)
    yield* bare(of)
    const measured = yield* alternate(scale.rounds, { lockstep: invalidate(of), bare: bare(of) })
    const rate = (rates: ReadonlyArray<number>) => `${Math.round(median(rates)).toLocaleString("en-US")}/s`
    return {
      name,
      lockstep: rate(measured.lockstep),
      peer: { name: "UPDATE and NOTIFY", figure: rate(measured.bare) },
      ratio: ratios(measured.lockstep, measured.bare),
      also: { "each waits for": "the other replica's acknowledgement" }
    }
  })
  return [
    yield* line("one realm, one after the other", realms.slice(0, 1)),
    yield* line(`${realms.length} realms at once`, realms)
  ]
})

export const invalidations: Row = {
  name: "invalidations",
  title: `Invalidations of whole realms, with two replicas; the peer does a durable UPDATE and a NOTIFY each`,
  run
}
