import { Cause, Effect, Layer, Queue } from "effect"
import { type CatchUp, type Message, type Session, Sessions } from "../../src/coordination/Sessions.ts"
import { DatabaseError } from "../../src/domain/errors.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import type { MemoryTables } from "../../src/store/MemoryDatabase.ts"
import { type Link, sessionPurpose } from "./Link.ts"
import type { Channels } from "./notifications.ts"
import type { Postgres } from "./Postgres.ts"

/** The pinned session of the lease, statement by statement as `store/sessionStatements` has them. */
export const layerSessions = (link: Link, postgres: Postgres, channels: Channels) =>
  Layer.succeed(
    Sessions,
    Sessions.of({
      open: Effect.fnUntraced(function*(member) {
        const lost = (cause: string) => new DatabaseError({ operation: sessionPurpose, cause: new Error(cause) })
        const connection = yield* Effect.acquireRelease(
          link.connect(sessionPurpose),
          (opened) => Effect.sync(() => opened.end())
        )
        const inbox = yield* Queue.unbounded<Message, DatabaseError>()
        connection.onClient(() => {
          Queue.failCauseUnsafe(inbox, Cause.fail(lost("the connection ended")))
        })
        // LISTEN is a statement too: what is sent before it arrives is not heard.
        yield* connection.call<void>("listen", (answer) => {
          channels.listen(connection, member.bootId, (message) => {
            Queue.offerUnsafe(inbox, message)
          })
          answer(undefined)
        })
        const patience = Math.max(500, member.leaseMillis / 3)
        const query = <A>(operation: string, execute: (answer: (value: A) => void) => void) =>
          Effect.timeoutOrElse(connection.call(operation, execute), {
            duration: patience,
            orElse: () => Effect.fail(lost("no answer in time"))
          })
        const write = <A>(operation: string, statement: (tables: MemoryTables) => A) =>
          query<A>(operation, (answer) => postgres.write(link.process, undefined, statement, answer))

        // Counted on over memberships of this boot: one that was forgotten is not taken for the next.
        const renewed = (tables: MemoryTables) => {
          const renewals = (tables.renewals.get(member.bootId) ?? 0) + 1
          tables.renewals.set(member.bootId, renewals)
          tables.replicas.set(member.bootId, { ...member, renewals })
        }

        return {
          inbox,
          renew: Effect.tap(
            write("renew", (tables) => {
              const known = tables.replicas.has(member.bootId)
              if (known) renewed(tables)
              return known
            }),
            (known) => Effect.sync(() => known ? postgres.onRenewal(member.bootId) : undefined)
          ),
          register: write("register", (tables) => {
            if (!tables.replicas.has(member.bootId)) renewed(tables)
          }),
          catchUp: (cursor) =>
            query<CatchUp>("catch up", (answer) => {
              postgres.caughtUp.set(link.process, link.simulation.now)
              postgres.onCatchUp(link.process, postgres.committed.get("replicas")?.has(member.bootId) === true)
              answer({
                identity: postgres.incarnation,
                cursor: String(postgres.xmin),
                realms: changedSince(postgres, cursor)
              })
            }).pipe(
              Effect.tap(() => Effect.sync(() => link.process.after(1, () => postgres.onCaughtUp(link.process))))
            ),
          beginEpoch: () => query<boolean>("begin an epoch", (answer) => answer(false)),
          acknowledge: (payload, to) =>
            query<void>("acknowledge", (answer) => {
              channels.send(
                { channel: "lockstep_acks", payload, sender: link.process.index * 10 + 9 },
                link.process,
                to
              )
              answer(undefined)
            })
        } satisfies Session
      })
    })
  )

const changedSince = (postgres: Postgres, cursor: string | undefined): CatchUp["realms"] => {
  if (cursor === undefined) return []
  return postgres.read(undefined, (tables) =>
    Array.from(tables.realms.values())
      .filter(({ realmUrl }) => (postgres.changedBy.get(realmUrl) ?? 0) >= Number(cursor))
      .map(({ generation, realmUrl }): { realmUrl: RealmUrl; generation: number } => ({ realmUrl, generation })))
}
