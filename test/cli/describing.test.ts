import { assert, describe, it } from "@effect/vitest"
import { acknowledged } from "../../src/cli/acknowledged.ts"
import { describeDefinitions } from "../../src/cli/definitions.ts"
import { describeProblem } from "../../src/cli/problem.ts"
import { describeRealms } from "../../src/cli/realms.ts"
import { describeStatus } from "../../src/cli/status.ts"
import { table } from "../../src/cli/table.ts"
import { describeRealms as describeOpen, reachable } from "../../src/cli/whatToOpen.ts"
import { parse } from "../../src/domain/RealmUrl.ts"
import { Result } from "effect"

describe("what people read", () => {
  it("aligns columns by what is seen, and leaves no blanks at line ends", () => {
    assert.strictEqual(
      table(["A", "LONG HEADER"], [["日本", "x"], ["é", "y"], ["longer"]]),
      "A       LONG HEADER\n日本    x\né       y\nlonger"
    )
  })

  it("tells a problem by its title and detail, and anything else by its status and beginning", () => {
    assert.strictEqual(describeProblem(404, "{\"title\":\"No\",\"detail\":\"gone\",\"path\":\"x\"}"), "No: gone")
    assert.strictEqual(describeProblem(404, "{\"title\":\"No\"}"), "No")
    assert.strictEqual(
      describeProblem(502, " <h1>Bad\n gateway</h1> "),
      "the server answered 502: <h1>Bad gateway</h1>"
    )
    assert.strictEqual(describeProblem(500, ""), "the server answered 500")
    assert.isBelow(describeProblem(500, "x".repeat(10_000)).length, 300)
  })

  it("says how many replicas a change has reached", () => {
    assert.strictEqual(acknowledged({ live: 1, acked: 1 }), "(on the only replica)")
    assert.strictEqual(acknowledged({ live: 3, acked: 3 }), "(on all 3 replicas)")
    assert.include(acknowledged({ live: 3, acked: 2 }), "2 of 3 replicas")
  })

  it("lists realms, and says how to make one when there is none", () => {
    const list = describeRealms({
      realms: [
        { url: "http://a/draft/", kind: "source", generation: 3 },
        {
          url: "http://a/live/",
          kind: "published",
          generation: 12,
          sourceURL: "http://a/draft/",
          lastPublishedAt: "2026-11-21T00:00:00.000Z"
        }
      ]
    }).split("\n")
    assert.lengthOf(list, 3)
    assert.match(list[1] ?? "", /^http:\/\/a\/draft\/ +source +3 +- +-$/)
    assert.match(list[2] ?? "", /^http:\/\/a\/live\/ +published +12 +http:\/\/a\/draft\/ +2026-11-21T00:00:00.000Z$/)
    assert.include(describeRealms({ realms: [] }), "lockstep create")
  })

  it("shows a replica's counters, its realms, and the fleet it belongs to", () => {
    const counters = {
      transpiles: 5,
      l1Hits: 1,
      finishedHits: 0,
      l2Hits: 0,
      joined: 0,
      l2WriteRejected: 2,
      l2Errors: 0,
      invalidationsReceived: 0,
      listenerReconnects: 0,
      gapsRepaired: 0,
      leaseExpiries: 0,
      takeovers: 0,
      malformedPayloads: 0,
      definitionHits: 0,
      definitionsComputed: 0,
      definitionsInvalidated: 0,
      definitionsCascaded: 0,
      failovers: 0,
      editsNoticed: 0,
      batchesFinished: 0,
      renderings: 7,
      renderingsKept: 0,
      jobsDone: 0,
      jobsFailed: 0,
      jobTakeovers: 0,
      poolConnections: 0,
      lockConnections: 0,
      leaseHeld: true,
      l1Bytes: 0
    }
    const replica = (replicaId: string) => ({
      replicaId,
      bootId: "b",
      advertiseUrl: `http://${replicaId}:1`,
      leaseMillis: 3000
    })
    const text = describeStatus({
      replicaId: "one",
      uptimeSeconds: 61.7,
      ...counters,
      applied: { "http://a/draft/": 9 },
      mounted: ["http://a/draft/"],
      jobs: [{
        id: 1,
        kind: "reindex",
        realmUrl: "http://a/live/",
        generation: 3,
        state: "dead",
        attempts: 8,
        indexed: 2,
        total: 10,
        error: "no replica could be asked"
      }],
      replicas: [
        { ...replica("one"), leaseHeld: true, applied: { "http://a/draft/": 9 } },
        { ...replica("two"), leaseHeld: null, applied: null }
      ]
    })
    assert.match(text, /^replica one, up 1m 1s$/m)
    assert.match(text, /^transpiles +5$/m)
    assert.match(text, /^l2 write rejected +2$/m)
    assert.match(text, /^http:\/\/a\/draft\/ +9$/m)
    assert.match(text, /^one \(asked\) +http:\/\/one:1 +3s +holds its lease, realms looked at: 1$/m)
    assert.match(text, /^http:\/\/a\/live\/ +3 +dead +8 +2 of 10 +no replica could be asked$/m)
    assert.match(text, /^two +http:\/\/two:1 +3s +does not answer$/m)
  })

  it("shows a class with its members and where each comes from, and an error in place of a definition", () => {
    const module = "http://a/b/sub.ts"
    const from = { module, name: "Sub" }
    const base = { module: "http://a/b/base.ts", name: "Base" }
    const answer = { module, canonicalPath: "sub.ts", imports: [], dependencies: [base.module], error: null }
    const text = describeDefinitions({
      ...answer,
      definitions: [{
        name: "Sub",
        kind: "class",
        declared: from,
        line: 3,
        summary: "A sub.",
        ancestors: [base],
        beyond: "mixin()",
        members: [
          {
            name: "b",
            kind: "field",
            static: false,
            line: 4,
            decorators: [{ name: "field" }],
            call: { name: "contains", argument: { specifier: "./s", module: "http://a/b/s", name: "StringField" } },
            from
          },
          { name: "make", kind: "method", static: true, line: 1, from: base }
        ]
      }]
    })
    assert.match(text, /^Sub +class +line 3 +A sub\.$/m)
    assert.match(text, /^inherits from Base, then mixin\(\) \(not followed\)$/m)
    assert.match(text, /^@field b +field +contains\(StringField\) +Sub, line 4$/m)
    assert.match(text, /^make +static method +Base, http:\/\/a\/b\/base\.ts:1$/m)
    const error = { detail: "http://a/b/gone does not exist", line: 2, column: null }
    assert.match(
      describeDefinitions({ ...answer, definitions: [{ name: "x", error }] }),
      /^x +error +- +http:.* exist$/m
    )
  })

  it("shows realms where this replica answers them", () => {
    const publicUrl = Result.getOrThrow(parse("http://localhost:4201/"))
    const open = (realm: string, listening: string) => reachable(realm, publicUrl, listening)
    assert.strictEqual(open("http://localhost:4201/a/", "http://127.0.0.1:4201"), "http://localhost:4201/a/")
    assert.strictEqual(open("http://localhost:4201/a/", "http://127.0.0.1:5000"), "http://127.0.0.1:5000/a/")
    assert.strictEqual(open("http://other.example/a/", "http://127.0.0.1:5000"), "http://other.example/a/")
  })

  it("does not flood the terminal with a thousand realms", () => {
    const urls = Array.from({ length: 1000 }, (_, index) => `http://a/${index}/`)
    const text = describeOpen(urls)
    assert.lengthOf(text.split("\n"), 22)
    assert.include(text, "and 980 more")
  })
})
