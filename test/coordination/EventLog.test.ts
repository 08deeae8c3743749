import { assert, describe, it } from "@effect/vitest"
import { concerns, type Happening, makeLog, type Recorded } from "../../src/coordination/EventLog.ts"

const realmUrl = "http://realms.test/notes/"

const transpile = (path: string): Happening => ({ kind: "transpile", realmUrl, path, via: "own" })

describe("the log of a replica", () => {
  it("counts from 1, says when by its clock, and names the replica as the author of what it did itself", () => {
    let now = 5
    const log = makeLog(() => now++, "one")
    log.record(transpile("a.ts"))
    log.record({ kind: "invalidation", realmUrl, paths: "*", via: "notification", by: "two" })
    assert.deepStrictEqual(log.since(0), [
      { ...transpile("a.ts"), id: 1, at: 5, by: "one" },
      { kind: "invalidation", realmUrl, paths: "*", via: "notification", by: "two", id: 2, at: 6 }
    ])
    assert.deepStrictEqual(log.since(1).map(({ id }) => id), [2])
    assert.deepStrictEqual(log.since(2), [])
    assert.strictEqual(log.newest(), 2)
  })

  it("is bounded, and a flood of transpiles does not push out the publish that they are due to", () => {
    const log = makeLog(() => 0, "one")
    log.record({ kind: "publish", realmUrl, generation: 7 })
    for (let index = 0; index < 50_000; index++) log.record(transpile(`${index}.ts`))
    const remembered = log.since(0)
    assert.isBelow(remembered.length, 10_001)
    assert.strictEqual(remembered[0]?.kind, "publish")
    assert.strictEqual(remembered.at(-1)?.path, "49999.ts")
    assert.deepStrictEqual(remembered.map(({ id }) => id), remembered.map(({ id }) => id).toSorted((a, b) => a - b))
  })

  it("keeps a hundred paths of a change, with the count of all, and half a thousand characters of a detail", () => {
    const log = makeLog(() => 0, "one")
    const paths = Array.from({ length: 5_000 }, (_, index) => `${index}.ts`)
    log.record({ kind: "invalidation", realmUrl, paths })
    log.record({ kind: "failure", realmUrl, detail: "x".repeat(10_000) })
    const [change, failure] = log.since(0)
    assert.deepStrictEqual(change?.paths, paths.slice(0, 100))
    assert.strictEqual(change?.detail, "5000 paths")
    assert.isBelow(failure?.detail?.length ?? 0, 510)
  })

  it("tells listeners of each, until they stop", () => {
    const log = makeLog(() => 0, "one")
    const heard: Array<number> = []
    const stop = log.listen(({ id }) => heard.push(id))
    log.record(transpile("a.ts"))
    log.record(transpile("b.ts"))
    stop()
    log.record(transpile("c.ts"))
    assert.deepStrictEqual(heard, [1, 2])
  })

  it("takes a version's URL for its realm's", () => {
    const log = makeLog(() => 0, "one")
    log.record({ ...transpile("a.ts"), realmUrl: `${realmUrl}@12/` })
    assert.strictEqual(log.since(0)[0]?.realmUrl, realmUrl)
  })

  it("says of each happening whether it concerns a module", () => {
    const names = new Set(["a.ts", "a"])
    const about = (happening: Happening): boolean => {
      const recorded: Recorded = { ...happening, id: 1, at: 0 }
      return concerns(recorded, realmUrl, names)
    }
    assert.isTrue(about(transpile("a.ts")))
    assert.isFalse(about(transpile("b.ts")))
    assert.isFalse(about({ ...transpile("a.ts"), realmUrl: "http://realms.test/other/" }))
    assert.isTrue(about({ kind: "invalidation", realmUrl, paths: ["b.ts", "a"] }))
    assert.isFalse(about({ kind: "invalidation", realmUrl, paths: ["b.ts"] }))
    assert.isTrue(about({ kind: "invalidation", realmUrl, paths: "*" }))
    assert.isTrue(about({ kind: "publish", realmUrl }))
    assert.isFalse(about({ kind: "lease", detail: "ended" }))
  })
})
