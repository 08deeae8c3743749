import { assert, describe, it } from "@effect/vitest"
import { makeReceiver } from "../../src/coordination/changeMessages.ts"
import { Counters } from "../../src/coordination/Counters.ts"
import { readDefinitionMessage } from "../../src/coordination/definitionMessages.ts"
import type { Event } from "../../src/coordination/Lease.ts"
import { RealmMemory } from "../../src/coordination/RealmMemory.ts"
import { Effect } from "effect"

const realm = "http://realms.test/live/"

const heard = (payload: unknown) =>
  Effect.map(Counters, (counters) => {
    const applied: Array<readonly [string, number, string | undefined]> = []
    const receive = makeReceiver(
      new RealmMemory(counters),
      counters,
      (url, generation, publisher) => void applied.push([url, generation, publisher])
    )
    const message = { channel: "lockstep_generations", payload: JSON.stringify(payload), sender: 1 } as const
    receive({ _tag: "Message", message } satisfies Event)
    return { applied, malformed: counters.malformedPayloads }
  }).pipe(Effect.provide(Counters.layer))

describe("what another version sends", () => {
  it.effect("is understood with fields that this one does not know", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* heard({ r: realm, g: 7, p: ["a.ts"], b: "boot", why: "later", n: { e: [1] } }), {
        applied: [[realm, 7, "boot"]],
        malformed: 0
      })
      // From before publishers named themselves.
      assert.deepStrictEqual(yield* heard({ r: realm, g: 7, p: "*" }), {
        applied: [[realm, 7, undefined]],
        malformed: 0
      })
    }))

  it.effect("is counted and passed over where its form is another: the lease's catch-up finds the row", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* heard({ version: 2, realms: [[realm, 7]] }), { applied: [], malformed: 1 })
    }))

  it("speaks of definitions with more fields, or of kinds that this one has no word for", () => {
    assert.deepStrictEqual(
      readDefinitionMessage(JSON.stringify({ k: "module", r: realm, m: [`${realm}a.ts`], because: "of more" })),
      { k: "module", r: realm, m: [`${realm}a.ts`] }
    )
    assert.isUndefined(readDefinitionMessage(JSON.stringify({ k: "everything-but", r: realm })))
  })
})
