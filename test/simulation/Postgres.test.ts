import { assert, describe, it } from "vitest"
import type { MemoryTables } from "../../src/store/MemoryDatabase.ts"
import type { RealmRow } from "../../src/store/RealmTable.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { Postgres } from "./Postgres.ts"
import { Simulation } from "./Simulation.ts"

const realmUrl = "http://sim.test/realm/" as RealmUrl
const otherUrl = "http://sim.test/other/" as RealmUrl

const row = (url: RealmUrl, generation: number): RealmRow => ({
  realmUrl: url,
  generation,
  state: "live",
  directory: "d",
  wipeFloor: 0,
  definitionFloor: 0,
  kind: "source",
  sourceUrl: null,
  lastPublishedAt: null,
  isPrivate: false
})

const advance = (url: RealmUrl) => (tables: MemoryTables) => {
  const generation = (tables.realms.get(url)?.generation ?? 0) + 1
  tables.realms.set(url, row(url, generation))
  tables.moves.set(url, generation)
  return generation
}

const generation = (url: RealmUrl) => (tables: MemoryTables) => tables.realms.get(url)?.generation

const setUp = () => {
  const simulation = new Simulation(1)
  const postgres = new Postgres(simulation)
  const client = simulation.process("client")
  const done: Array<unknown> = []
  const tell = (value: unknown) => void done.push(value)
  return { simulation, postgres, client, done, tell }
}

describe("the simulated PostgreSQL", () => {
  it("shows what a transaction has written to itself, and to others from its commit on", () => {
    const { client, postgres, tell } = setUp()
    const transaction = postgres.begin(client)
    postgres.write(client, transaction, advance(realmUrl), tell)
    assert.strictEqual(postgres.read(transaction, generation(realmUrl)), 1)
    assert.isUndefined(postgres.read(undefined, generation(realmUrl)))
    postgres.commit(transaction)
    assert.strictEqual(postgres.read(undefined, generation(realmUrl)), 1)
  })

  it("makes a writer wait for a locked row, then look at the row anew and at the rest through its old snapshot", () => {
    const { client, done, postgres, tell } = setUp()
    const transaction = postgres.begin(client)
    postgres.write(client, transaction, advance(realmUrl), tell)
    postgres.write(client, undefined, (tables) => {
      tables.realms.set(realmUrl, row(realmUrl, 9))
      return [tables.realms.get(realmUrl)?.generation, tables.copies.size]
    }, tell)
    postgres.write(client, undefined, advance(otherUrl), tell)
    postgres.write(client, undefined, (tables) => {
      tables.copies.set("late", { realmUrl, directory: "late", startedAtMillis: 0 })
    }, tell)
    assert.deepStrictEqual(done, [1, 1, undefined])
    postgres.commit(transaction)
    assert.deepStrictEqual(done, [1, 1, undefined, [9, 0]])
  })

  it("lets a rolled back transaction leave nothing, and its waiters go on", () => {
    const { client, done, postgres, tell } = setUp()
    const transaction = postgres.begin(client)
    postgres.write(client, transaction, advance(realmUrl), tell)
    postgres.write(client, undefined, advance(realmUrl), tell)
    postgres.rollBack(transaction)
    assert.deepStrictEqual(done, [1, 1])
    assert.isFalse(postgres.commit(transaction))
  })

  it("lets a slow write see the floors of its snapshot and the rows of its end", () => {
    const { client, done, postgres, simulation, tell } = setUp()
    const rows = (tables: MemoryTables) => tables.caches.get("modules") ?? new Map<string, never>()
    postgres.write(
      client,
      undefined,
      (tables) => {
        const seen = [generation(realmUrl)(tables), rows(tables).has("tombstone")]
        rows(tables).set("row", { generation: 1, contentKey: "", values: {} })
        return seen
      },
      tell,
      10
    )
    postgres.write(client, undefined, advance(realmUrl), () => {})
    postgres.write(client, undefined, (tables) => {
      rows(tables).set("tombstone", { generation: 1, contentKey: null, values: null })
    }, () => {})
    simulation.run(20)
    assert.deepStrictEqual(done, [[undefined, true]])
  })

  it("has a catch-up start at the oldest transaction that is open, not at the newest", () => {
    const { client, postgres, tell } = setUp()
    const open = postgres.begin(client)
    postgres.write(client, open, advance(realmUrl), tell)
    postgres.write(client, undefined, advance(otherUrl), tell)
    const cursor = postgres.xmin
    postgres.commit(open)
    assert.isAtLeast(postgres.changedBy.get(realmUrl) ?? 0, cursor)
    assert.isAbove(postgres.xmin, cursor)
  })

  it("loses in a crash what is UNLOGGED and what was not committed, and gives unlogged numbers out again", () => {
    const { client, postgres, tell } = setUp()
    postgres.write(client, undefined, advance(realmUrl), tell)
    const logged = postgres.xmin
    postgres.write(client, undefined, (tables) => {
      tables.caches.get("modules")?.set("row", { generation: 1, contentKey: "", values: {} })
    }, tell)
    const open = postgres.begin(client)
    postgres.write(client, open, advance(otherUrl), tell)
    const { incarnation } = postgres
    postgres.crash()
    assert.notStrictEqual(postgres.incarnation, incarnation)
    assert.strictEqual(postgres.xmin, logged)
    assert.isFalse(postgres.commit(open))
    assert.strictEqual(postgres.read(undefined, (tables) => tables.caches.get("modules")?.size), 0)
    assert.deepStrictEqual(postgres.read(undefined, generation(realmUrl)), 1)
    assert.isUndefined(postgres.read(undefined, generation(otherUrl)))
  })
})
