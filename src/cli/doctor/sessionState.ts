import { randomInt, randomUUID } from "node:crypto"
import { Clock, Effect, Option, Queue, Schema, type Scope } from "effect"
import * as inspection from "../../store/inspection.ts"
import { fail, ok } from "./Finding.ts"

type Open = Effect.Effect<inspection.Session, unknown, Scope.Scope>

/** Transactions that take server processes away, so that a pooler has to give another one. */
const occupants = 6
const rounds = 4

/** How long a notification may take: as long as it is worth anything to anybody. */
const patience = "3 seconds"

const Marked = Schema.Struct({ value: Schema.String, pid: Schema.Finite, held: Schema.Boolean })
const decode = Schema.decodeUnknownSync(Schema.NonEmptyArray(Marked))

const advice =
  "a pooler in transaction mode is in the way: it breaks the listening session and the locks of every replica, and with " +
  "them each promise about staleness. Give Lockstep a direct connection, or a pool in session mode"

/**
 * Whether a session keeps what belongs to it from one statement to the next: its server process, its settings, and its
 * advisory locks. A pooler in transaction mode takes all three away, when somebody else needs the process; so somebody does.
 */
export const keepsState = (open: Open) =>
  Effect.scoped(Effect.gen(function*() {
    const connection = yield* open
    const mine = yield* connection.pin
    const key = String(randomInt(2 ** 40))
    const [marked] = decode((yield* mine.query(inspection.mark, [key])).rows)
    // Where the server process changes, the lock stays behind with whoever has that one next: it is given back, as far as that goes.
    yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(mine.query(inspection.unmark, [key]), "1 second")))
    const others = yield* Effect.forEach(Array.from({ length: occupants }), () => open, { concurrency: occupants })
    for (let round = 0; round < rounds; round++) {
      yield* Effect.forEach(others, (other) => other.query(inspection.begin, []), { concurrency: occupants })
      const [now] = decode((yield* mine.query(inspection.marked, [key])).rows)
      yield* Effect.forEach(others, (other) => other.query(inspection.rollback, []), { concurrency: occupants })
      const lost = [
        ...(now.pid === marked.pid ? [] : [`its server process (${marked.pid}, then ${now.pid})`]),
        ...(now.value === key ? [] : ["its settings"]),
        ...(now.held ? [] : ["its advisory lock"])
      ]
      if (lost.length > 0) {
        return fail("postgres.session", `a session loses ${lost.join(", ")} between two statements`, advice)
      }
    }
    return ok("postgres.session", "a session keeps its server process, its settings and its locks")
  })).pipe(
    Effect.timeout("15 seconds"),
    Effect.catch((error) =>
      Effect.succeed(fail("postgres.session", `sessions cannot be had side by side (${describe(error)})`, advice))
    )
  )

/** How long a notification takes from one session to another. */
export const hears = (open: Open) =>
  Effect.scoped(Effect.gen(function*() {
    const channel = `lockstep_doctor_${randomUUID().replaceAll("-", "")}`
    const listening = yield* (yield* open).pin
    const heard = yield* listening.listen(channel)
    // Whoever listens is idle for most of the time, and others are not.
    const others = yield* Effect.forEach(Array.from({ length: occupants }), () => open, { concurrency: occupants })
    yield* Effect.forEach(others, (other) => other.query(inspection.begin, []), { concurrency: occupants })
    const speaking = yield* open
    const began = yield* Clock.monotonicTimeNanos
    yield* speaking.query(inspection.notify, [channel, "here"])
    const arrived = yield* Effect.timeoutOption(Queue.take(heard), patience)
    const millis = Number((yield* Clock.monotonicTimeNanos) - began) / 1e6
    return Option.isSome(arrived)
      ? ok("postgres.notify", `a notification arrives within ${millis.toFixed(1)} ms`)
      : fail("postgres.notify", `a notification did not arrive within ${patience}`, advice)
  })).pipe(
    Effect.timeout("15 seconds"),
    Effect.catch((error) =>
      Effect.succeed(fail("postgres.notify", `nothing can be listened to (${describe(error)})`, advice))
    )
  )

const describe = (error: unknown): string => {
  let innermost = error
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause
  return innermost instanceof Error ? innermost.message.replace(/\s+/g, " ") : String(innermost)
}
