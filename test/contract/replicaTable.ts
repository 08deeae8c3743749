import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { randomUUID } from "node:crypto"
import { Sessions } from "../../src/coordination/Sessions.ts"
import { type ReplicaRow, ReplicaTable } from "../../src/store/ReplicaTable.ts"

/**
 * A member that no other test of a shared database has. Its session waits for a third of the lease for each answer: longer
 * than a machine stands still.
 */
export const freshMember = (replicaId: string, leaseMillis = 60_000): ReplicaRow => ({
  replicaId,
  bootId: randomUUID(),
  advertiseUrl: `http://${replicaId}/`,
  leaseMillis
})

/** What every ReplicaTable promises, of members that register and renew on their own sessions. */
export const replicaTable = <E>(name: string, table: Layer.Layer<ReplicaTable | Sessions, E>) =>
  layer(table, { excludeTestServices: true })(`ReplicaTable on ${name}`, (it) => {
    const joined = Effect.fnUntraced(function*(self: ReplicaRow) {
      const sessions = yield* Sessions
      const session = yield* sessions.open(self)
      yield* session.register
      return session
    })

    const found = Effect.fnUntraced(function*(replicaId: string) {
      const replicas = yield* ReplicaTable
      return (yield* replicas.members).filter((each) => each.replicaId === replicaId)
    })

    it.effect("a member is there from its registration, with its address and lease, until it leaves", () =>
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        const self = freshMember("comes-and-goes", 31_234)
        yield* joined(self)
        const [member, ...others] = yield* found(self.replicaId)
        assert.deepStrictEqual(others, [])
        assert.deepStrictEqual(member, { ...self, renewals: member?.renewals ?? -1 })
        yield* replicas.leave(self)
        assert.deepStrictEqual(yield* found(self.replicaId), [])
      }))

    it.effect("twins that were started with one id are two members, each with its own lease", () =>
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        const [one, other] = [freshMember("twin", 31_000), freshMember("twin", 39_000)]
        yield* joined(one)
        yield* joined(other)
        assert.deepStrictEqual(
          new Map((yield* found("twin")).map((each) => [each.bootId, each.leaseMillis])),
          new Map([[one.bootId, 31_000], [other.bootId, 39_000]])
        )
        yield* replicas.leave(one)
        assert.deepStrictEqual((yield* found("twin")).map((each) => each.bootId), [other.bootId])
      }))

    it.effect("a member stays, however long it has been silent, until somebody forgets it", () =>
      Effect.gen(function*() {
        const silent = freshMember("silent", 1)
        // So short a lease gives its session half a second for an answer: another one is asked again.
        yield* Effect.retry(joined(silent), { times: 5 })
        // Its lease is over many times by then, but only a publisher that waited for it may say so.
        yield* Effect.sleep("10 millis")
        assert.strictEqual((yield* found("silent")).length, 1)
      }))

    it.effect("a member that has not renewed since it was read is forgotten, and its twin is not", () =>
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        const [silent, twin] = [freshMember("forgotten"), freshMember("forgotten")]
        yield* joined(silent)
        yield* joined(twin)
        yield* replicas.forget((yield* found("forgotten")).filter((each) => each.bootId === silent.bootId))
        assert.deepStrictEqual((yield* found("forgotten")).map((each) => each.bootId), [twin.bootId])
      }))

    it.effect("a member that has renewed since it was read is not forgotten", () =>
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        const slow = freshMember("slow")
        const session = yield* joined(slow)
        const read = yield* found("slow")
        assert.isTrue(yield* session.renew)
        yield* replicas.forget(read)
        assert.strictEqual((yield* found("slow")).length, 1)
      }))

    it.effect("a member that was forgotten and came back is not forgotten by who read it before that (I1)", () =>
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        const self = freshMember("back-again")
        const session = yield* joined(self)
        const read = yield* found("back-again")
        yield* replicas.forget(read)
        yield* session.register
        // Another publisher that had read the same row: the membership of now is not the one that it waited for.
        yield* replicas.forget(read)
        assert.strictEqual((yield* found("back-again")).length, 1)
      }))

    it.effect("of several silent members, those that renewed stay", () =>
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        const members = Array.from({ length: 6 }, () => freshMember("several"))
        const sessions = yield* Effect.forEach(members, joined)
        const read = yield* found("several")
        for (const index of [1, 4]) assert.isTrue(yield* sessions[index]?.renew ?? Effect.succeed(false))
        yield* replicas.forget(read)
        assert.deepStrictEqual(
          (yield* found("several")).map((each) => each.bootId).toSorted(),
          [members[1]?.bootId ?? "", members[4]?.bootId ?? ""].toSorted()
        )
      }))

    it.effect("forgetting nobody is allowed", () => Effect.flatMap(ReplicaTable, ({ forget }) => forget([])))
  })
