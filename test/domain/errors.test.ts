import { assert, describe, it } from "@effect/vitest"
import { DatabaseError } from "../../src/domain/errors.ts"

describe("DatabaseError", () => {
  it("says why, whatever was thrown", () => {
    const message = (cause: unknown) => new DatabaseError({ operation: "be read", cause }).message
    assert.strictEqual(message(new Error("it is away")), "PostgreSQL could not be read: it is away")
    assert.strictEqual(message("it is away"), "PostgreSQL could not be read: it is away")
    // No text can be made of it as such.
    const bare: Record<string, string> = Object.assign(Object.create(null), { kind: "failed" })
    assert.match(message(bare), /kind.*failed/)
  })
})
