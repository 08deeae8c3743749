import { PgConnection } from "@effect/sql-pg"
import { Cause, Context, Deferred, Effect, Exit, Fiber, Layer, Queue, Scope } from "effect"
import { DatabaseError } from "../domain/errors.ts"
import { freeLocks, heartbeat, releaseLocks, tryLocks } from "../store/sessionStatements.ts"
import { SessionConfig, sessionConfig } from "./SessionConfig.ts"

/** The server ends a session that says nothing for this long, so that a frozen replica loses its locks. */
const idleSessionTimeout = "3000"

interface TryLock {
  readonly _tag: "TryLock"
  readonly key: string
  readonly held: Deferred.Deferred<boolean, DatabaseError>
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
 * while a statement is under way goes out with the next one. Locks are for efficiency only; when the session is lost its
 * locks are lost with it, and the fences keep what their holders write correct.
 */
export class LockSession extends Context.Service<LockSession, {
  /** Tries to take the lock; never waits for a holder. The caller must not hold it already: session locks re-enter. */
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
      let connected = 0

      const open = Effect.gen(function*() {
        const connection = yield* PgConnection.make(
          sessionConfig(config, "locks", { idle_session_timeout: idleSessionTimeout })
        )
        connected = 1
        yield* Effect.addFinalizer(() => Effect.sync(() => connected = 0))
        // Statements are never interrupted: a cancel request could hit a later one of this session.
        const query = (text: string, keys: ReadonlyArray<string>) =>
          Effect.flatMap(
            Effect.forkDetach(connection.query(text, keys.length === 0 ? [] : [keys])),
            (sent) => Effect.timeout(Fiber.join(sent), "2 seconds")
          )
        return { query }
      })

      const fail = (batch: ReadonlyArray<Request>, cause: Cause.Cause<unknown>) =>
        Effect.sync(() => {
          const error = new DatabaseError({ operation: "take a coalescing lock", cause: Cause.squash(cause) })
          for (const request of batch) {
            if (request._tag === "TryLock") Deferred.doneUnsafe(request.held, Exit.fail(error))
            else if (request._tag === "Look") Deferred.doneUnsafe(request.free, Exit.fail(error))
          }
        })

      // One pass: what has arrived, a part at a time, so that its waiters do not all go on in one turn of the event loop.
      const serve = Effect.fnUntraced(function*(
        session: {
          readonly query: (text: string, keys: ReadonlyArray<string>) => Effect.Effect<PgConnection.Result, unknown>
        }
      ) {
        const batch = yield* Queue.takeBetween(inbox, 1, requestsAPass)
        const released = batch.filter((request) => request._tag === "Release").map((request) => request.key)
        const wanted = batch.filter((request) => request._tag === "TryLock")
        const looks = batch.filter((request) => request._tag === "Look")
        yield* Effect.gen(function*() {
          if (released.length > 0) yield* session.query(releaseLocks, released)
          if (wanted.length > 0) {
            const { rows } = yield* session.query(tryLocks, wanted.map((request) => request.key))
            const held = new Map(rows.map((row) => [row["key"], row["held"] === true]))
            for (const request of wanted) {
              Deferred.doneUnsafe(request.held, Exit.succeed(held.get(request.key) ?? false))
            }
          }
          for (const { free, keys } of looks) {
            const { rows } = yield* session.query(freeLocks, keys)
            Deferred.doneUnsafe(free, Exit.succeed(rows.map((row) => String(row["key"]))))
          }
          if (released.length + wanted.length + looks.length === 0) yield* session.query(heartbeat, [])
        }).pipe(Effect.tapCause((cause) => fail(batch, cause)))
      })

      // The session is opened by the first request after a loss, so that a database that is away costs nothing.
      const run = Effect.gen(function*() {
        yield* Effect.scoped(Effect.gen(function*() {
          const first = yield* Queue.peek(inbox)
          const scope = yield* Scope.make()
          yield* Effect.addFinalizer((exit) => Effect.forkDetach(Scope.close(scope, exit)))
          const session = yield* Scope.provide(open, scope).pipe(
            Effect.tapCause((cause) => Effect.flatMap(Queue.takeAll(inbox), (batch) => fail([first, ...batch], cause)))
          )
          yield* Effect.forkScoped(Effect.forever(
            Effect.andThen(Effect.sleep("1 second"), Queue.offer(inbox, { _tag: "Beat" }))
          ))
          return yield* Effect.forever(serve(session))
        })).pipe(Effect.catchCause((cause) => Effect.logWarning("The lock session was lost; its locks with it", cause)))
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
