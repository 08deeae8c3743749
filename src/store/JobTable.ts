import { Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import type { DatabaseError } from "../domain/errors.ts"
import type { RealmUrl } from "../domain/RealmUrl.ts"
import { MemoryDatabase } from "./MemoryDatabase.ts"
import { statement } from "./statement.ts"

/** A unit of durable background work for one realm. */
export interface JobRow {
  readonly id: number
  readonly kind: "reindex"
  readonly realmUrl: RealmUrl
  readonly generation: number
  readonly state: "waiting" | "running" | "done" | "superseded" | "dead"
}

/** Table `jobs`. */
export class JobTable extends Context.Service<JobTable, {
  /** Enqueues work for this generation; a job of the same realm that still waits is superseded. */
  readonly enqueue: (
    kind: JobRow["kind"],
    realmUrl: RealmUrl,
    generation: number
  ) => Effect.Effect<void, DatabaseError>
  /** Ends whatever waits for this realm. */
  readonly cancel: (realmUrl: RealmUrl) => Effect.Effect<void, DatabaseError>
  /** The newest job of this realm that is not superseded. */
  readonly latest: (realmUrl: RealmUrl) => Effect.Effect<Option.Option<JobRow>, DatabaseError>
}>()("lockstep/store/JobTable") {
  static readonly layer = Layer.effect(
    JobTable,
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      return JobTable.of({
        enqueue: (kind, realmUrl, generation) =>
          // One statement for both steps would meet its own unique index: the update must be visible to the insert.
          statement(
            "supersede a waiting job",
            sql`UPDATE jobs SET state = 'superseded', finished_at = now()
              WHERE kind = ${kind} AND realm_url = ${realmUrl} AND state = 'waiting'`
          ).pipe(
            Effect.andThen(statement(
              "enqueue a job",
              sql`INSERT INTO jobs (kind, realm_url, generation) VALUES (${kind}, ${realmUrl}, ${generation})`
            )),
            Effect.asVoid
          ),
        cancel: (realmUrl) =>
          Effect.asVoid(statement(
            "cancel waiting jobs",
            sql`UPDATE jobs SET state = 'superseded', finished_at = now()
              WHERE realm_url = ${realmUrl} AND state = 'waiting'`
          )),
        latest: (realmUrl) =>
          statement(
            "read the latest job",
            sql<JobRow>`SELECT id::float8 AS id, kind, realm_url AS "realmUrl", generation::float8 AS generation, state
              FROM jobs WHERE realm_url = ${realmUrl} AND state <> 'superseded' ORDER BY jobs.id DESC LIMIT 1`
          ).pipe(Effect.map((rows) => Option.fromNullishOr(rows[0])))
      })
    })
  )

  static readonly layerMemory = Layer.effect(
    JobTable,
    Effect.map(MemoryDatabase, (database) => {
      const cancel = (realmUrl: RealmUrl) =>
        database.write((tables) => {
          for (const job of tables.jobs.values()) {
            if (job.realmUrl === realmUrl && job.state === "waiting") {
              tables.jobs.set(job.id, { ...job, state: "superseded" })
            }
          }
        })
      return JobTable.of({
        enqueue: (kind, realmUrl, generation) =>
          Effect.andThen(
            cancel(realmUrl),
            database.write((tables) => {
              const id = tables.jobs.size + 1
              tables.jobs.set(id, { id, kind, realmUrl, generation, state: "waiting" })
            })
          ),
        cancel,
        latest: (realmUrl) =>
          database.read((tables) =>
            Option.fromNullishOr(
              Array.from(tables.jobs.values())
                .filter((job) => job.realmUrl === realmUrl && job.state !== "superseded")
                .at(-1)
            )
          )
      })
    })
  )
}
