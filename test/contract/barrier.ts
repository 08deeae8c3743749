import { assert, layer } from "@effect/vitest"
import { Context, Effect, Exit, type Layer, Scope } from "effect"
import type { Barrier } from "../../src/coordination/Barrier.ts"
import type { Generations } from "../../src/coordination/Generations.ts"
import type { Lease } from "../../src/coordination/Lease.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { timedAwake } from "../support/awake.ts"
import { eventually } from "../support/eventually.ts"
import { freshRealm } from "./freshRealm.ts"

export interface LeasedReplica {
  readonly barrier: Barrier["Service"]
  readonly generations: Generations["Service"]
  readonly lease: Lease["Service"]
}

/** Starts replicas of one fleet, each until its scope closes. */
export class LeasedFleet extends Context.Service<LeasedFleet, {
  readonly start: (leaseMillis: number) => Effect.Effect<LeasedReplica, unknown, Scope.Scope>
}>()("lockstep/test/contract/LeasedFleet") {}

const leaseMillis = 3_000

/** A lease that lasts however long the machine stands still: it is acknowledgements that are looked at. */
const longLease = 60_000

/** What lease, memory and barrier promise together, whatever they are built on. */
export const barrier = <E>(name: string, fleet: Layer.Layer<LeasedFleet | RealmTable, E>) =>
  layer(fleet, { excludeTestServices: true })(`replicas with leases on ${name}`, (it) => {
    const mount = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
      const realms = yield* RealmTable
      yield* realms.mount({ realmUrl, kind: "source", directory: "d", sourceUrl: null }, 0)
    })

    const shown = (replica: LeasedReplica, realmUrl: RealmUrl) =>
      Effect.map(replica.generations.view([realmUrl]), ([view]) => view?.row.generation)

    // Other tests' replicas are members of the same fleet: each test has its own to look at.
    const alone = { concurrent: false }

    it.effect(
      "a change that was confirmed on one is what every other shows from memory, at once (I1)",
      () =>
        Effect.gen(function*() {
          const { start } = yield* LeasedFleet
          const realms = yield* RealmTable
          const replicas = yield* Effect.forEach([1, 2, 3], () => start(longLease))
          const realmUrl = freshRealm()
          yield* mount(realmUrl)
          for (const replica of replicas) assert.strictEqual(yield* shown(replica, realmUrl), 1)
          const [publisher, ...others] = replicas
          if (publisher === undefined) return yield* Effect.die("no replica")
          for (let generation = 2; generation <= 20; generation++) {
            const scope = generation % 2 === 0 ? "paths" as const : "realm" as const
            yield* realms.advance(realmUrl, generation - 1, scope)
            const change = { realmUrl, generation, paths: scope === "paths" ? ["a.ts"] : "*" as const }
            yield* publisher.generations.apply(change)
            assert.deepStrictEqual(yield* publisher.barrier.confirm(change), { live: 3, acked: 3 })
            for (const other of others) {
              assert.isTrue(other.lease.isHeld())
              assert.strictEqual(yield* shown(other, realmUrl), generation)
            }
          }
        }).pipe(Effect.scoped),
      alone
    )

    it.effect(
      "a realm that was created is seen by those that knew that there was none, and one that went is not (I1)",
      () =>
        Effect.gen(function*() {
          const { start } = yield* LeasedFleet
          const realms = yield* RealmTable
          const [here, there] = [yield* start(longLease), yield* start(longLease)]
          const realmUrl = freshRealm()
          assert.isUndefined(yield* shown(there, realmUrl))
          yield* mount(realmUrl)
          yield* here.barrier.confirm({ realmUrl, generation: 1, paths: "*" })
          assert.strictEqual(yield* shown(there, realmUrl), 1)
          yield* realms.retire(realmUrl, 1)
          yield* here.barrier.confirm({ realmUrl, generation: 2, paths: "*" })
          assert.isUndefined(yield* shown(there, realmUrl))
        }).pipe(Effect.scoped),
      alone
    )

    it.effect(
      "what nobody was told of is found by the next renewal, and acknowledged then (I2, I6)",
      () =>
        Effect.gen(function*() {
          const { start } = yield* LeasedFleet
          const realms = yield* RealmTable
          const there = yield* start(leaseMillis)
          const realmUrl = freshRealm()
          yield* mount(realmUrl)
          assert.strictEqual(yield* shown(there, realmUrl), 1)
          yield* realms.advance(realmUrl, 1, "realm")
          // From memory: without a lease it asks.
          const remembered = Effect.gen(function*() {
            const before = there.lease.isHeld()
            const generation = yield* shown(there, realmUrl)
            return before && there.lease.isHeld() ? generation : undefined
          })
          const [took] = yield* timedAwake(
            eventually("the change", remembered, (generation) => generation === 2)
          )
          // A renewal comes thrice a lease.
          assert.isBelow(took, 2 * leaseMillis)
        }).pipe(Effect.scoped),
      alone
    )

    it.effect("a replica that has stopped is not waited for", () =>
      Effect.gen(function*() {
        const { start } = yield* LeasedFleet
        const here = yield* start(longLease)
        const confirmed = Effect.gen(function*() {
          const scope = yield* Scope.make()
          const there = yield* Scope.provide(start(20_000), scope)
          yield* Scope.close(scope, Exit.void)
          assert.isFalse(there.lease.isHeld())
          const realmUrl = freshRealm()
          yield* mount(realmUrl)
          return yield* here.barrier.confirm({ realmUrl, generation: 1, paths: "*" })
        })
        // It has a second to leave in, which a standstill may take: then it is waited for, and forgotten.
        assert.deepStrictEqual(
          yield* Effect.repeat(confirmed, { until: ({ live }) => live === 1, times: 2 }),
          { live: 1, acked: 1 }
        )
      }).pipe(Effect.scoped), alone)
  })
