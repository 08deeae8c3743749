import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { randomUUID } from "node:crypto"
import { type ReplicaRow, ReplicaTable } from "../../src/store/ReplicaTable.ts"

const member = (replicaId: string, leaseMillis = 60_000): ReplicaRow => ({
  replicaId,
  bootId: randomUUID(),
  advertiseUrl: `http://${replicaId}/`,
  leaseMillis
})

/** What every ReplicaTable promises. */
export const replicaTable = <E>(name: string, table: Layer.Layer<ReplicaTable, E>) =>
  layer(table, { excludeTestServices: true })(`ReplicaTable on ${name}`, (it) => {
    it.effect("a member lives from its first renewal until it leaves", () =>
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        const self = member("comes-and-goes")
        yield* replicas.renew(self)
        yield* replicas.renew(self)
        assert.deepStrictEqual((yield* replicas.live).filter((each) => each.bootId === self.bootId), [self])
        yield* replicas.leave(self)
        assert.notInclude((yield* replicas.live).map((each) => each.bootId), self.bootId)
      }))

    it.effect("twins that were started with one id are two members", () =>
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        const [one, other] = [member("twin"), member("twin")]
        yield* replicas.renew(one)
        yield* replicas.renew(other)
        yield* replicas.leave(one)
        assert.deepStrictEqual((yield* replicas.live).filter((each) => each.replicaId === "twin"), [other])
      }))

    it.effect("a member that was silent for three of its leases is forgotten", () =>
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        const silent = member("silent", 1)
        yield* replicas.renew(silent)
        // The table's own clock has to pass 3 ms; the condition is what is waited for.
        while ((yield* replicas.live).some((each) => each.bootId === silent.bootId)) yield* Effect.sleep("1 millis")
      }))
  })
