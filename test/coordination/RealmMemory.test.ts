import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Counters } from "../../src/coordination/Counters.ts"
import { RealmMemory, type RealmView } from "../../src/coordination/RealmMemory.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import type { RealmRow, RealmSnapshot } from "../../src/store/RealmTable.ts"
import { otherUrl, realmUrl, rowOf } from "./scriptedReplica.ts"

const freshCounters = () => Effect.runSync(Effect.provide(Counters, Layer.fresh(Counters.layer)))

const snapshotOf = (...realms: ReadonlyArray<RealmRow>): RealmSnapshot => ({ incarnation: "i", realms })

const memoryOf = (...rows: ReadonlyArray<RealmRow>) => {
  const memory = new RealmMemory(freshCounters())
  read(memory, rows.map((row) => row.realmUrl), ...rows)
  return memory
}

/** A query that began and ended with nothing in between. */
const read = (memory: RealmMemory, urls: ReadonlyArray<RealmUrl>, ...rows: ReadonlyArray<RealmRow>) =>
  memory.endReading(memory.beginReading(), urls, snapshotOf(...rows))

const viewOf = (memory: RealmMemory, url: RealmUrl): RealmView => {
  const [view] = memory.lookUp([url]) ?? []
  if (view === undefined) throw new Error(`${url} is not known to live`)
  return view
}

const gone = (url: RealmUrl, generation: number): RealmRow => ({ ...rowOf(url, generation), state: "gone" })
const urlOf = (index: number) => `http://test.example/${index}/` as RealmUrl

describe("looking up", () => {
  it("a URL never read is not known, and one that has no realm is known as such", () => {
    const memory = new RealmMemory(freshCounters())
    assert.isUndefined(memory.lookUp([realmUrl]))
    assert.deepStrictEqual(read(memory, [realmUrl]), new Map())
    assert.deepStrictEqual(memory.lookUp([realmUrl]), [])
  })

  it("the first live realm answers, if all URLs before it are known; what comes after it does not matter", () => {
    const memory = memoryOf(rowOf(realmUrl, 3))
    assert.isUndefined(memory.lookUp([otherUrl, realmUrl]))
    assert.strictEqual(memory.lookUp([realmUrl, otherUrl])?.[0]?.row.generation, 3)
    read(memory, [otherUrl])
    assert.deepStrictEqual(memory.lookUp([otherUrl, realmUrl])?.map((view) => view.row.realmUrl), [realmUrl])
  })

  it("a realm that is gone is known and does not answer", () => {
    const memory = memoryOf(gone(otherUrl, 2), rowOf(realmUrl, 1))
    assert.deepStrictEqual(memory.lookUp([otherUrl]), [])
    assert.deepStrictEqual(memory.lookUp([otherUrl, realmUrl])?.map((view) => view.row.realmUrl), [realmUrl])
  })

  it("a view has row, incarnation, fence and a token that holds, and two views share the realm's fence", () => {
    const memory = memoryOf(rowOf(realmUrl, 1))
    const view = viewOf(memory, realmUrl)
    assert.deepStrictEqual([view.row, view.incarnation], [rowOf(realmUrl, 1), "i"])
    assert.isTrue(view.fence.holds(view.token, "a.ts"))
    assert.strictEqual(viewOf(memory, realmUrl).fence, view.fence)
    assert.strictEqual(memory.fenceOf(realmUrl), view.fence)
  })

  it("a view that was handed out does not change with what is heard later", () => {
    const memory = memoryOf(rowOf(realmUrl, 1))
    const before = viewOf(memory, realmUrl)
    memory.apply({ realmUrl, generation: 2, paths: ["a.ts"] })
    assert.strictEqual(before.row.generation, 1)
    assert.strictEqual(viewOf(memory, realmUrl).row.generation, 2)
  })
})

describe("applying", () => {
  it("a change of paths in order moves the row's generation, voids its paths and their aliases, and keeps others", () => {
    const counters = freshCounters()
    const memory = new RealmMemory(counters)
    read(memory, [realmUrl], rowOf(realmUrl, 4))
    const before = viewOf(memory, realmUrl)
    memory.apply({ realmUrl, generation: 5, paths: ["cards/person.gts", "data.json"] })
    assert.deepStrictEqual(viewOf(memory, realmUrl).row, { ...rowOf(realmUrl, 4), generation: 5 })
    assert.deepStrictEqual(
      ["cards/person.gts", "cards/person", "data.json", "cards/pet.gts", "person"].map((path) =>
        before.fence.holds(before.token, path)
      ),
      [false, false, false, true, true]
    )
    assert.strictEqual(counters.gapsRepaired, 0)
    assert.deepStrictEqual(memory.applied(), [[realmUrl, 5]])
  })

  it("a change of everything voids the row: state, directory and floors may be other ones now", () => {
    const counters = freshCounters()
    const memory = new RealmMemory(counters)
    read(memory, [realmUrl], rowOf(realmUrl, 4))
    const before = viewOf(memory, realmUrl)
    memory.apply({ realmUrl, generation: 5, paths: "*" })
    assert.isUndefined(memory.lookUp([realmUrl]))
    assert.isFalse(before.fence.holds(before.token, "a.ts"))
    assert.strictEqual(counters.gapsRepaired, 0)
  })

  it("a gap voids the realm, row and all, and is counted, whatever paths it names (rule 5)", () => {
    const counters = freshCounters()
    const memory = new RealmMemory(counters)
    read(memory, [realmUrl], rowOf(realmUrl, 4))
    const before = viewOf(memory, realmUrl)
    memory.apply({ realmUrl, generation: 6, paths: ["b.ts"] })
    assert.isUndefined(memory.lookUp([realmUrl]))
    assert.isFalse(before.fence.holds(before.token, "a.ts"))
    assert.strictEqual(counters.gapsRepaired, 1)
  })

  it("a change of paths while the row is not known leaves it unknown", () => {
    const memory = memoryOf(rowOf(realmUrl, 4))
    memory.apply({ realmUrl, generation: 5, paths: "*" })
    memory.apply({ realmUrl, generation: 6, paths: ["a.ts"] })
    assert.isUndefined(memory.lookUp([realmUrl]))
    assert.deepStrictEqual(memory.applied(), [[realmUrl, 6]])
  })

  it("what was applied already voids nothing, and generations never go back (I3)", () => {
    const memory = memoryOf(rowOf(realmUrl, 4))
    const view = viewOf(memory, realmUrl)
    for (const generation of [4, 3, 0]) {
      memory.apply({ realmUrl, generation, paths: "*" })
      memory.apply({ realmUrl, generation, paths: ["a.ts"] })
    }
    assert.strictEqual(viewOf(memory, realmUrl).row.generation, 4)
    assert.isTrue(view.fence.holds(view.token, "a.ts"))
    assert.deepStrictEqual(memory.applied(), [[realmUrl, 4]])
  })

  it("a realm that comes to be where there was none is not known to be absent any more", () => {
    const memory = memoryOf()
    read(memory, [realmUrl, otherUrl])
    memory.apply({ realmUrl, generation: 1, paths: "*" })
    assert.isUndefined(memory.lookUp([realmUrl]))
    assert.deepStrictEqual(memory.lookUp([otherUrl]), [])
  })

  it("a realm touches no other realm's row or fence", () => {
    const memory = memoryOf(rowOf(realmUrl, 1), rowOf(otherUrl, 1))
    const other = viewOf(memory, otherUrl)
    memory.apply({ realmUrl, generation: 2, paths: "*" })
    assert.isTrue(other.fence.holds(other.token, "a.ts"))
    assert.strictEqual(viewOf(memory, otherUrl).row.generation, 1)
  })
})

describe("reading", () => {
  it("an answer of a newer generation is taken over and voids what was cached under the older one", () => {
    const counters = freshCounters()
    const memory = new RealmMemory(counters)
    read(memory, [realmUrl], rowOf(realmUrl, 1))
    const before = viewOf(memory, realmUrl)
    const views = read(memory, [realmUrl], rowOf(realmUrl, 2))
    assert.strictEqual(views?.get(realmUrl)?.row.directory, "v2")
    assert.isFalse(before.fence.holds(before.token, "a.ts"))
    assert.strictEqual(views?.get(realmUrl)?.fence, before.fence)
  })

  it("an answer of the same generation leaves the cached alone", () => {
    const memory = memoryOf(rowOf(realmUrl, 1))
    const before = viewOf(memory, realmUrl)
    read(memory, [realmUrl], rowOf(realmUrl, 1))
    assert.isTrue(before.fence.holds(before.token, "a.ts"))
  })

  it("an answer from before a change that was heard meanwhile is void, also of a realm never looked at", () => {
    for (const known of [true, false]) {
      for (const paths of ["*", ["a.ts"]] as const) {
        const memory = known ? memoryOf(rowOf(realmUrl, 1)) : memoryOf()
        const reading = memory.beginReading()
        memory.apply({ realmUrl, generation: 2, paths })
        assert.isUndefined(memory.endReading(reading, [realmUrl], snapshotOf(rowOf(realmUrl, 1))))
        // What it answered is not remembered either.
        assert.strictEqual(memory.lookUp([realmUrl])?.[0]?.row.generation, known && paths !== "*" ? 2 : undefined)
        assert.strictEqual(read(memory, [realmUrl], rowOf(realmUrl, 2))?.get(realmUrl)?.row.generation, 2)
      }
    }
  })

  it("an answer that there is no such realm is void when one was created meanwhile", () => {
    const memory = memoryOf()
    const reading = memory.beginReading()
    memory.apply({ realmUrl, generation: 1, paths: "*" })
    assert.isUndefined(memory.endReading(reading, [realmUrl], snapshotOf()))
    assert.isUndefined(memory.lookUp([realmUrl]))
  })

  it("an answer that has what was heard meanwhile, or more, is good", () => {
    for (const generation of [2, 3]) {
      const memory = memoryOf()
      const reading = memory.beginReading()
      memory.apply({ realmUrl, generation: 2, paths: ["a.ts"] })
      const views = memory.endReading(reading, [realmUrl], snapshotOf(rowOf(realmUrl, generation)))
      assert.strictEqual(views?.get(realmUrl)?.row.generation, generation)
    }
  })

  it("of several changes heard meanwhile the newest counts, in whatever order they came", () => {
    const memory = memoryOf()
    const reading = memory.beginReading()
    for (const generation of [3, 2]) memory.apply({ realmUrl, generation, paths: "*" })
    assert.isUndefined(memory.endReading(reading, [realmUrl], snapshotOf(rowOf(realmUrl, 2))))
  })

  it("what was heard before a query began does not void it, unless this replica has shown it (I3)", () => {
    const memory = memoryOf(rowOf(otherUrl, 1))
    memory.apply({ realmUrl, generation: 9, paths: "*" })
    memory.apply({ realmUrl: otherUrl, generation: 2, paths: "*" })
    assert.isDefined(read(memory, [realmUrl], rowOf(realmUrl, 1)))
    assert.isUndefined(read(memory, [otherUrl], rowOf(otherUrl, 1)))
  })

  it("a realm that has been seen and is not there any more is no answer: rows are never deleted (I3)", () => {
    const memory = memoryOf(rowOf(realmUrl, 1))
    assert.isUndefined(read(memory, [realmUrl]))
    assert.strictEqual(viewOf(memory, realmUrl).row.generation, 1)
  })

  it("each of several queries under way is told of what is heard", () => {
    const memory = memoryOf()
    const [one, two] = [memory.beginReading(), memory.beginReading()]
    memory.apply({ realmUrl, generation: 2, paths: "*" })
    for (const reading of [one, two]) {
      assert.isUndefined(memory.endReading(reading, [realmUrl], snapshotOf(rowOf(realmUrl, 1))))
    }
  })

  it("a query that is over, or was given up, is told of nothing more", () => {
    const memory = memoryOf()
    const [ended, abandoned] = [memory.beginReading(), memory.beginReading()]
    memory.endReading(ended, [realmUrl], snapshotOf())
    memory.abandonReading(abandoned)
    memory.apply({ realmUrl, generation: 2, paths: "*" })
    assert.deepStrictEqual([ended.heard.size, abandoned.heard.size], [0, 0])
  })

  it("an answer replaces the incarnation that writers of L2 are fenced by (rule 2)", () => {
    const memory = memoryOf(rowOf(realmUrl, 1))
    memory.endReading(memory.beginReading(), [realmUrl], {
      incarnation: "after the crash",
      realms: [rowOf(realmUrl, 1)]
    })
    assert.strictEqual(viewOf(memory, realmUrl).incarnation, "after the crash")
  })
})

describe("forgetting", () => {
  it("a reset voids rows, absences, all that is cached, and queries under way (rule 2)", () => {
    const memory = memoryOf(rowOf(realmUrl, 1))
    read(memory, [otherUrl])
    const before = viewOf(memory, realmUrl)
    const reading = memory.beginReading()
    memory.reset()
    assert.isUndefined(memory.lookUp([realmUrl]))
    assert.isUndefined(memory.lookUp([otherUrl]))
    assert.isFalse(before.fence.holds(before.token, "a.ts"))
    assert.isUndefined(memory.endReading(reading, [realmUrl], snapshotOf(rowOf(realmUrl, 1))))
    assert.isUndefined(memory.lookUp([realmUrl]))
    assert.isDefined(read(memory, [realmUrl], rowOf(realmUrl, 1)))
  })

  it("a realm whose making was lost is not there after a reset, and what was known of it does not stand in the way", () => {
    const memory = memoryOf(rowOf(realmUrl, 5))
    memory.reset()
    assert.deepStrictEqual(read(memory, [realmUrl, otherUrl], rowOf(otherUrl, 1))?.size, 1)
    assert.deepStrictEqual(memory.lookUp([realmUrl]), [])
    assert.deepStrictEqual(memory.applied(), [[otherUrl, 1]])
  })

  it("dropping everything that is cached leaves rows as they are", () => {
    const memory = memoryOf(rowOf(realmUrl, 1), rowOf(otherUrl, 1))
    const views = [realmUrl, otherUrl].map((url) => viewOf(memory, url))
    memory.dropAll()
    for (const view of views) assert.isFalse(view.fence.holds(view.token, "a.ts"))
    assert.isDefined(memory.lookUp([realmUrl]))
  })

  it("realms and absences are bounded, and the ones read last are kept (I7)", () => {
    const memory = new RealmMemory(freshCounters(), 10)
    for (let index = 0; index < 100; index++) {
      read(memory, [urlOf(index)], rowOf(urlOf(index), 1))
      read(memory, [urlOf(1_000 + index)])
      // Read again and again, so it stays.
      read(memory, [realmUrl], rowOf(realmUrl, 1))
    }
    assert.strictEqual(memory.applied().length, 10)
    assert.isDefined(memory.lookUp([realmUrl]))
    assert.isDefined(memory.lookUp([urlOf(99)]))
    assert.isUndefined(memory.lookUp([urlOf(0)]))
    const absent = Array.from({ length: 100 }, (_, index) => memory.lookUp([urlOf(1_000 + index)]))
    assert.strictEqual(absent.filter((found) => found !== undefined).length, 10)
    assert.isDefined(memory.lookUp([urlOf(1_099)]))
  })

  it("a realm that was forgotten comes back with another fence: nothing cached before can be a hit", () => {
    const memory = new RealmMemory(freshCounters(), 1)
    read(memory, [realmUrl], rowOf(realmUrl, 1))
    const before = viewOf(memory, realmUrl)
    read(memory, [otherUrl], rowOf(otherUrl, 1))
    memory.apply({ realmUrl, generation: 2, paths: "*" })
    read(memory, [realmUrl], rowOf(realmUrl, 2))
    assert.notStrictEqual(viewOf(memory, realmUrl).fence, before.fence)
  })

  it("changes of realms that nobody here has looked at take no room (I7)", () => {
    const memory = memoryOf()
    for (let index = 0; index < 100; index++) memory.apply({ realmUrl: urlOf(index), generation: 1, paths: "*" })
    assert.deepStrictEqual(memory.applied(), [])
  })
})
