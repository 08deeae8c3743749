import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { DatabaseError } from "../../src/domain/errors.ts"
import { reservePort } from "../../src/cli/reservePort.ts"
import { databaseFailure, httpFailure, startupFailure } from "../../src/cli/startupFailure.ts"

const coded = (code: string, message: string) => Object.assign(new Error(message), { code })

describe("a replica that cannot start", () => {
  const url = Redacted.make("postgres://me:secret@db.example:5433/modules")

  it("names the database, the reason and the way out, and never the password", () => {
    const cause = new Error("wrapped", { cause: coded("28P01", "password authentication failed for user \"me\"") })
    const { message } = databaseFailure(url)(new DatabaseError({ operation: "be migrated", cause }))
    assert.include(message, "db.example:5433/modules (password authentication failed for user \"me\")")
    assert.include(message, "DATABASE_URL")
    assert.notInclude(message, "secret")
    assert.notInclude(message, "\n")
  })

  it("finds the reason among the addresses that were tried", () => {
    const cause = new AggregateError([coded("ECONNREFUSED", "connect ECONNREFUSED ::1:5433")])
    const { message } = databaseFailure(url)(new DatabaseError({ operation: "be migrated", cause }))
    assert.include(message, "(connection refused)")
  })

  it("does not blame the database for other failures", () => {
    assert.strictEqual(databaseFailure(url)(new Error("no worker starts")).message, "no worker starts")
    assert.strictEqual(startupFailure(coded("EIO", "")).message, "EIO")
  })

  it("tells a taken port from a forbidden one and from an address that is not this machine's", () => {
    const message = (code: string) => httpFailure("127.0.0.1", 80)(new Error("x", { cause: coded(code, "") })).message
    assert.match(message("EADDRINUSE"), /^127\.0\.0\.1:80 is in use: .*--port/)
    assert.match(message("EACCES"), /not permitted.*--port/)
    assert.match(message("EADDRNOTAVAIL"), /^127\.0\.0\.1 is no address of this machine.*--host/)
  })
})

describe("reservePort", () => {
  // Anybody may take a port that is free for a moment.
  const unlessTaken = Effect.retry({ times: 4 })

  it.live("keeps everybody else off the port until it is released", () =>
    Effect.scoped(Effect.gen(function*() {
      const mine = yield* reservePort("127.0.0.1", 0)
      assert.isAbove(mine.port, 0)
      const refused = yield* Effect.flip(reservePort("127.0.0.1", mine.port))
      assert.include(refused.message, `127.0.0.1:${mine.port} is in use`)
      yield* mine.release
      const next = yield* reservePort("127.0.0.1", mine.port)
      assert.strictEqual(next.port, mine.port)
    })).pipe(unlessTaken))

  it.live("gives the port back with its scope", () =>
    Effect.gen(function*() {
      const { port } = yield* Effect.scoped(reservePort("127.0.0.1", 0))
      yield* Effect.scoped(reservePort("127.0.0.1", port))
    }).pipe(unlessTaken))
})
