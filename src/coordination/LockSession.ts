import { PgConnection } from "@effect/sql-pg"
import { Cause, Context, Deferred, Effect, Exit, Layer, Queue, Scope } from "effect"
import { DatabaseError } from "../domain/errors.ts"
import { freeLocks, heartbeat, releaseLocks, tryLocks } from "../store/sessionStatements.ts"
import { askSession } from "./askSession.ts"
import { SessionConfig, sessionConfig } from "./SessionConfig.ts"

/** The server ends a session that says nothing for this long, so that a frozen replica loses its locks. */
const idleSessionTimeout = "3000"

/** What the session says when it has nothing to ask, so often that its host may stand still for a while. */
const beat = "500 millis"

/** How long the session waits for an answer, in milliseconds. */
const patience = 2000

/**
 * Nothing is asked of a session for this long after one was lost: what ended it may have ended the other replicas', and
 * each takes its own locks again first.
 */
const grace = "200 millis"

interface TryLock {
  readonly _tag: "TryLock"
  readonly key: string
  readonly held: Deferred.Deferred<boolean, DatabaseError>
  /** A session was lost over it: the next one is asked, and no third. */
  readonly again?: boolean
}

interface Look {
  readonly _tag: "Look"
  readonly keys: ReadonlyArray<string>
  readonly free: Deferred.Deferred<ReadonlyArray<string>, DatabaseError>
}

interface Release {
  readonly _tag: "Release"
  readonly key: string
}

/** Keeps the session from being idle; a frozen replica does not send it. */
interface Beat {
  readonly _tag: "Beat"
}

type Request = TryLock | Look | Release | Beat

/** Locks tried and given back in one round trip. */
const requestsAPass = 64

/**
 * Session locks on one dedicated connection, however many keys are in work (S16). Requests are batched: what arrives
 * while a statement is under way goes out with the next one. Locks are for efficiency only: a session that is lost takes its
 * locks along, and the next one takes back those that nobody else has had meanwhile. The fences keep what holders write
 * correct.
 */
export class LockSession extends Context.Service<LockSession, {
  /**
   * Tries to take the lock; never waits for a holder. The caller must not hold it already: session locks re-enter. Fails
   * when there is no session to be had, or two were lost over it.
   */
  readonly tryLock: (key: string) => Effect.Effect<boolean, DatabaseError>
  /** Which of these nobody holds, this replica included. One question, however many they are. */
  readonly free: (keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, DatabaseError>
  /** Gives the lock back and notifies `module_cache_populated` with its key. */
  readonly release: (key: string) => Effect.Effect<void>
  /** Connections that this service holds now: 0 or 1. */
  readonly connections: Effect.Effect<number>
}>()("lockstep/coordination/LockSession") {
  static readonly layer = Layer.effect(
    LockSession,
    Effect.gen(function*() {
      const config = yield* SessionConfig
      const inbox = yield* Queue.bounded<Request>(100_000)
      const held = new Set<string>()
      let connected = 0
      let refused = false
      let lost = false

      const open = Effect.gen(function*() {
        const connection = yield* PgConnection.make(
          sessionConfig(config, "locks", { idle_session_timeout: idleSessionTimeout })
        )
        connected = 1
        yield* Effect.addFinalizer(() => Effect.sync(() => connected = 0))
        const query = (text: string, keys: ReadonlyArray<string>) =>
          askSession(connection.query(text, keys.length === 0 ? [] : [keys]), patience)
        // I5: what is in work here goes on, so it is taken again before others find it free. What they have by now is theirs.
        if (held.size > 0) {
          const { rows } = yield* query(tryLocks, Array.from(held))
          for (const row of rows) if (row["held"] !== true) held.delete(String(row["key"]))
        }
        return query
      })

      const fail = (batch: ReadonlyArray<Request>, cause: Cause.Cause<unknown>) =>
        Effect.sync(() => {
          const error = new DatabaseError({ operation: "take a coalescing lock", cause: Cause.squash(cause) })
          for (const request of batch) {
            if (request._tag === "TryLock") Deferred.doneUnsafe(request.held, Exit.fail(error))
            else if (request._tag === "Look") Deferred.doneUnsafe(request.free, Exit.fail(error))
          }
        })

      // I5: who was told that there is no coordination works for itself, and a lost session does not mean that.
      const failOrAskAgain = (batch: ReadonlyArray<Request>, cause: Cause.Cause<unknown>) =>
        fail(
          Cause.hasInterruptsOnly(cause) ?
            batch :
            batch.filter((request) =>
              request._tag !== "TryLock" || request.again === true ||
              !Queue.offerUnsafe(inbox, { ...request, again: true })
            ),
          cause
        )

      // One pass: what has arrived, a part at a time, so that its waiters do not all go on in one turn of the event loop.
      const serve = Effect.fnUntraced(function*(
        query: (text: string, keys: ReadonlyArray<string>) => Effect.Effect<PgConnection.Result, unknown>
      ) {
        const batch = yield* Queue.takeBetween(inbox, 1, requestsAPass)
        const released = batch.filter((request) => request._tag === "Release").map((request) => request.key)
        const wanted = batch.filter((request) => request._tag === "TryLock")
        const looks = batch.filter((request) => request._tag === "Look")
        yield* Effect.gen(function*() {
          // Not to be taken again, also if this is the last that the session hears.
          for (const key of released) held.delete(key)
          if (released.length > 0) yield* query(releaseLocks, released)
          if (wanted.length > 0) {
            const { rows } = yield* query(tryLocks, wanted.map((request) => request.key))
            for (const row of rows) if (row["held"] === true) held.add(String(row["key"]))
            for (const request of wanted) Deferred.doneUnsafe(request.held, Exit.succeed(held.has(request.key)))
          }
          for (const { free, keys } of looks) {
            const { rows } = yield* query(freeLocks, keys)
            Deferred.doneUnsafe(free, Exit.succeed(rows.map((row) => String(row["key"]))))
          }
          if (released.length + wanted.length + looks.length === 0) yield* query(heartbeat, [])
        }).pipe(Effect.tapCause((cause) => failOrAskAgain(batch, cause)))
      })

      // Opened by the first request, or after a loss for the locks that were held: a database that is away costs nothing.
      const run = Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          if (held.size === 0 || refused) yield* Queue.peek(inbox)
          refused = true
          const scope = yield* Scope.make()
          yield* Effect.addFinalizer((exit) => Effect.forkDetach(Scope.close(scope, exit)))
          const session = yield* Scope.provide(open, scope).pipe(
            Effect.tapCause((cause) => Effect.flatMap(Queue.clear(inbox), (batch) => fail(batch, cause)))
          )
          refused = false
          if (lost) yield* Effect.sleep(grace)
          lost = true
          yield* Effect.forkScoped(Effect.forever(
            Effect.andThen(Effect.sleep(beat), Queue.offer(inbox, { _tag: "Beat" }))
          ))
          return yield* Effect.forever(serve(session))
        })).pipe(
          Effect.catchCause((cause) => Effect.logWarning("The lock session was lost and is being opened again", cause))
        )
        yield* Effect.sleep("50 millis")
      })
      yield* Effect.forkScoped(Effect.forever(run))

      return LockSession.of({
        tryLock: (key) =>
          Effect.suspend(() => {
            const held = Deferred.makeUnsafe<boolean, DatabaseError>()
            return Effect.andThen(Queue.offer(inbox, { _tag: "TryLock", key, held }), Deferred.await(held))
          }),
        free: (keys) =>
          Effect.suspend(() => {
            const free = Deferred.makeUnsafe<ReadonlyArray<string>, DatabaseError>()
            return Effect.andThen(Queue.offer(inbox, { _tag: "Look", keys, free }), Deferred.await(free))
          }),
        release: (key) => Effect.asVoid(Queue.offer(inbox, { _tag: "Release", key })),
        connections: Effect.sync(() => connected)
      })
    })
  )
}
