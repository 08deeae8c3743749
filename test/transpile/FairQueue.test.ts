import { assert, describe, it } from "@effect/vitest"
import * as FairQueue from "../../src/transpile/FairQueue.ts"

const drain = <A>(queue: FairQueue.FairQueue<A>) => {
  const items: Array<A> = []
  for (let item = queue.poll(); item !== undefined; item = queue.poll()) items.push(item)
  return items
}

describe("FairQueue", () => {
  it("serves groups in turn, and each in its own order", () => {
    const queue = FairQueue.make<string>(10)
    for (const item of ["a1", "a2", "a3", "a4", "b1", "c1", "c2"]) queue.offer(item[0]!, item)
    assert.deepStrictEqual(drain(queue), ["a1", "b1", "c1", "a2", "c2", "a3", "a4"])
    assert.strictEqual(queue.size(), 0)
  })

  it("gives a group that comes late its turn after one round at most", () => {
    const queue = FairQueue.make<string>(10)
    for (const item of ["a1", "a2", "a3", "b1", "b2"]) queue.offer(item[0]!, item)
    assert.strictEqual(queue.poll(), "a1")
    queue.offer("c", "c1")
    assert.deepStrictEqual(drain(queue), ["b1", "a2", "c1", "b2", "a3"])
  })

  it("refuses what is beyond its limit, until there is room", () => {
    const queue = FairQueue.make<string>(2)
    assert.deepStrictEqual(["a1", "a2", "a3"].map((item) => queue.offer("a", item)), [true, true, false])
    queue.poll()
    assert.isTrue(queue.offer("b", "b1"))
    assert.deepStrictEqual(drain(queue), ["a2", "b1"])
  })

  it("lets an item be taken back once", () => {
    const queue = FairQueue.make<string>(3)
    for (const item of ["a1", "a2", "b1"]) queue.offer(item[0]!, item)
    assert.isTrue(queue.remove("a", "a1"))
    assert.isFalse(queue.remove("a", "a1"))
    assert.isTrue(queue.remove("b", "b1"))
    assert.strictEqual(queue.size(), 1)
    assert.deepStrictEqual(drain(queue), ["a2"])
    assert.isFalse(queue.remove("a", "a2"))
  })
})
