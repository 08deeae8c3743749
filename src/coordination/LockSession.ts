import { PgConnection } from "@effect/sql-pg"
import { Cause, Context, Deferred, Effect, Exit, Layer, Queue, Scope } from "effect"
import { DatabaseError } from "../domain/errors.ts"
import { freeLocks, heartbeat, releaseLocks, tryLocks } from "../store/sessionStatements.ts"
import { askSession } from "./askSession.ts"
import { SessionConfig, sessionConfig } from "./SessionConfig.ts"

/** The server ends a session that says nothing for this long, so that a frozen replica loses its locks. */
const idleSessionTimeout = "3000"

/** While anything is in work, the session is asked this often whether it is still there; otherwise a fifth as often. */
const beat = "100 millis"
const beatsWhileIdle = 5

/** How long the session waits for an answer, in milliseconds. */
const patience = 2500

/**
 * What ended a session may have ended the other replicas', and each takes its own locks again first: nothing else is asked of
 * the next one for this long. Others find out with a beat, wait for `pause` and connect.
 */
const grace = "300 millis"
const pause = "50 millis"

/** How long locks of what is in work wait for a server that has refused a session. */
const retry = "1 second"

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
      // Keys whose locks this process has been given, and not given back.
      const held = new Set<string>()
      let connected = 0
      let openedBefore = false
      let refused = false

      const open = Effect.gen(function*() {
        const connection = yield* PgConnection.make(
          sessionConfig(config, "locks", { idle_session_timeout: idleSessionTimeout })
        )
        connected = 1
        yield* Effect.addFinalizer(() => Effect.sync(() => connected = 0))
        const query = (text: string, keys: ReadonlyArray<string>) =>
          askSession(connection.query(text, keys.length === 0 ? [] : [keys]), patience)
        // I5: what is in work here goes on, so it is taken again before others find it free. What another has is let go.
        if (held.size > 0) {
          const { rows } = yield* query(tryLocks, Array.from(held))
          for (const row of rows) if (row["held"] !== true) held.delete(String(row["key"]))
        }
        return query
      })

      const fail = (requests: ReadonlyArray<Request>, cause: Cause.Cause<unknown>) =>
        Effect.sync(() => {
          const error = Exit.fail(
            new DatabaseError({ operation: "take a coalescing lock", cause: Cause.squash(cause) })
          )
          for (const request of requests) {
            if (request._tag === "TryLock") Deferred.doneUnsafe(request.held, error)
            else if (request._tag === "Look") Deferred.doneUnsafe(request.free, error)
          }
        })

      // I5: who is told that there is no coordination works for itself, and one lost session does not mean that.
      const askAgain = (request: Request) =>
        request._tag === "TryLock" && request.again !== true && !Deferred.isDoneUnsafe(request.held) &&
        Queue.offerUnsafe(inbox, { ...request, again: true })

      // One pass: what has arrived, a part at a time, so that its waiters do not all go on in one turn of the event loop.
      const serve = Effect.fnUntraced(function*(
        query: (text: string, keys: ReadonlyArray<string>) => Effect.Effect<PgConnection.Result, unknown>
      ) {
        const batch = yield* Queue.takeBetween(inbox, 1, requestsAPass)
        const released = batch.filter((request) => request._tag === "Release").map((request) => request.key)
        const wanted = batch.filter((request) => request._tag === "TryLock")
        const looks = batch.filter((request) => request._tag === "Look")
        yield* Effect.gen(function*() {
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
        }).pipe(Effect.onError((cause) => fail(batch.filter((request) => !askAgain(request)), cause)))
      })

      // A request opens the session, or what is in work: a database that is away costs an idle replica nothing.
      const reason = Effect.suspend(() => {
        if (held.size === 0) return Queue.peek(inbox)
        return refused ? Effect.timeoutOption(Queue.peek(inbox), retry) : Effect.void
      })

      const beats = Effect.gen(function*() {
        for (let beats = 1;; beats++) {
          yield* Effect.sleep(beat)
          if (held.size > 0 || beats % beatsWhileIdle === 0) yield* Queue.offer(inbox, { _tag: "Beat" })
        }
      })

      const run = Effect.gen(function*() {
        yield* reason
        yield* Effect.scoped(Effect.gen(function*() {
          const scope = yield* Scope.make()
          yield* Effect.addFinalizer((exit) => Effect.forkDetach(Scope.close(scope, exit)))
          const session = yield* Scope.provide(open, scope).pipe(
            Effect.onExit((exit) => Effect.sync(() => refused = Exit.isFailure(exit))),
            Effect.tapCause((cause) => Effect.flatMap(Queue.clear(inbox), (requests) => fail(requests, cause)))
          )
          if (openedBefore) yield* Effect.sleep(grace)
          openedBefore = true
          yield* Effect.forkScoped(beats)
          return yield* Effect.forever(serve(session))
        })).pipe(
          Effect.catchCause((cause) => Effect.logWarning("The lock session was lost, or could not be opened", cause))
        )
        yield* Effect.sleep(pause)
      })

      const closed = new Error("this replica is being closed")
      // Added before the fiber, so that it runs when that one has ended: nobody is left waiting.
      yield* Effect.addFinalizer(() =>
        Queue.clear(inbox).pipe(
          Effect.flatMap((requests) => fail(requests, Cause.die(closed))),
          Effect.andThen(Queue.shutdown(inbox))
        )
      )
      yield* Effect.forkScoped(Effect.forever(run))

      const ask = <A>(request: Request, answer: Deferred.Deferred<A, DatabaseError>) =>
        Effect.flatMap(Queue.offer(inbox, request), (isTaken) =>
          isTaken
            ? Deferred.await(answer)
            : Effect.fail(new DatabaseError({ operation: "take a coalescing lock", cause: closed })))

      return LockSession.of({
        tryLock: (key) =>
          Effect.suspend(() => {
            const held = Deferred.makeUnsafe<boolean, DatabaseError>()
            return ask({ _tag: "TryLock", key, held }, held)
          }),
        free: (keys) =>
          Effect.suspend(() => {
            const free = Deferred.makeUnsafe<ReadonlyArray<string>, DatabaseError>()
            return ask({ _tag: "Look", keys, free }, free)
          }),
        release: (key) =>
          Effect.suspend(() => {
            // At once: a session that is opened before this is served does not take it again.
            held.delete(key)
            return Effect.asVoid(Queue.offer(inbox, { _tag: "Release", key }))
          }),
        connections: Effect.sync(() => connected)
      })
    })
  )
}
