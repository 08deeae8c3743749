import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Option, Random, Scope } from "effect"
import { inspect } from "node:util"
import { Counters } from "../../src/coordination/Counters.ts"
import { Generations } from "../../src/coordination/Generations.ts"
import { MemoryBus } from "../../src/coordination/MemoryBus.ts"
import { Notifications } from "../../src/coordination/Notifications.ts"
import { PopulateCoordinator } from "../../src/coordination/PopulateCoordinator.ts"
import { RealmWriteLock } from "../../src/coordination/RealmWriteLock.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { MemoryDatabase } from "../../src/store/MemoryDatabase.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { runSeeded } from "../support/seededScheduler.ts"
import { neverHeld } from "./leases.ts"

const realmUrl = "http://test.example/realm/" as RealmUrl

const tables = Layer.mergeAll(RealmTable.layerMemory, Transaction.layerMemory).pipe(
  Layer.provide(MemoryDatabase.layer)
)

const services = Layer.mergeAll(Generations.layer(), RealmWriteLock.layerMemory, PopulateCoordinator.layerMemory).pipe(
  Layer.provideMerge(Notifications.layerMemory),
  Layer.provideMerge(Layer.mergeAll(tables, neverHeld, Counters.layer)),
  Layer.provideMerge(MemoryBus.layer)
)

type Services = Layer.Success<typeof services>

/**
 * Interrupts the victim before any of its operations, as a seed picks, and then asks for the same again. Yields what went
 * wrong, by seed.
 */
const interruptedAnywhere = <A, E, E1>(
  victim: Effect.Effect<A, E, Services>,
  next: Effect.Effect<void, E1, Services>
) => {
  const program = Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(victim)
    const turns = yield* Random.nextIntBetween(0, 25)
    for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow
    yield* Fiber.interrupt(fiber)
    yield* Effect.timeout(next, "1 second")
  })
  const stuck: Array<string> = []
  for (let seed = 1; seed <= 200; seed++) {
    // Built outside the run: only the victim is to be interrupted, and only its operations count.
    const scope = Scope.makeUnsafe()
    const context = Effect.runSync(Layer.buildWithScope(Layer.fresh(services), scope))
    const { exit, steps } = runSeeded(seed, Effect.provideContext(program, context), { preempt: 0.9 })
    if (exit === undefined) stuck.push(`seed ${seed} hangs after ${steps} steps`)
    else if (Exit.isFailure(exit)) stuck.push(`seed ${seed}: ${inspect(exit)}`)
  }
  return stuck
}

describe("whoever is interrupted, wherever that is, leaves the next one free to go on:", () => {
  it("a question about generations", () => {
    const view = Effect.flatMap(Generations, ({ view }) => view([realmUrl]))
    assert.deepStrictEqual(interruptedAnywhere(view, Effect.asVoid(view)), [])
  })

  it("an election", () => {
    const elected = Effect.flatMap(
      PopulateCoordinator,
      (coordinator) => coordinator.tryAcquireAndRun("key", Effect.yieldNow)
    )
    const won = Effect.flatMap(
      elected,
      (run) => Option.isSome(run) ? Effect.void : Effect.fail("the key is taken for ever")
    )
    assert.deepStrictEqual(interruptedAnywhere(elected, won), [])
  })

  it("a writer that holds a realm, or waits for it", () => {
    const write = Effect.flatMap(RealmWriteLock, (lock) => lock.withLock(realmUrl)(Effect.yieldNow))
    const three = Effect.all([write, write, write], { concurrency: "unbounded" })
    assert.deepStrictEqual(interruptedAnywhere(three, write), [])
  })

  it("a transaction", () => {
    const mount = Effect.flatMap(
      RealmTable,
      (realms) => realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
    )
    const write = Effect.flatMap(Transaction, ({ run }) => run(Effect.andThen(mount, Effect.yieldNow)))
    assert.deepStrictEqual(interruptedAnywhere(write, write), [])
  })
})
