import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Option, Redacted } from "effect"
import { FleetSecretTable } from "../../src/store/FleetSecretTable.ts"
import { PermissionTable } from "../../src/store/PermissionTable.ts"
import { Transaction } from "../../src/store/Transaction.ts"
import { freshRealm } from "./freshRealm.ts"

/** What every PermissionTable and FleetSecretTable promises. */
export const permissionTable = <E>(
  name: string,
  tables: Layer.Layer<FleetSecretTable | PermissionTable | Transaction, E>
) =>
  layer(tables, { excludeTestServices: true })(`PermissionTable on ${name}`, (it) => {
    it.effect("a user has the permission that was given last, for that realm alone, until it is taken", () =>
      Effect.gen(function*() {
        const permissions = yield* PermissionTable
        const [realmUrl, other] = [freshRealm(), freshRealm()]
        assert.deepStrictEqual(yield* permissions.find(realmUrl, "alice"), Option.none())
        yield* permissions.grant({ realmUrl, user: "alice", permission: "owner" })
        yield* permissions.grant({ realmUrl, user: "alice", permission: "read" })
        assert.deepStrictEqual(yield* permissions.find(realmUrl, "alice"), Option.some("read" as const))
        for (
          const [url, user] of [[other, "alice"], [realmUrl, "Alice"], [realmUrl, "alic"], [
            realmUrl,
            "alice "
          ]] as const
        ) {
          assert.deepStrictEqual(yield* permissions.find(url, user), Option.none(), `${url} ${user}`)
        }
        yield* permissions.revoke(realmUrl, "alice")
        yield* permissions.revoke(realmUrl, "alice")
        assert.deepStrictEqual(yield* permissions.find(realmUrl, "alice"), Option.none())
      }))

    it.effect("grants are listed by realm and by user, in order", () =>
      Effect.gen(function*() {
        const permissions = yield* PermissionTable
        const [one, other] = [freshRealm(), freshRealm()].toSorted()
        assert.isDefined(one)
        assert.isDefined(other)
        const user = `user of ${one}`
        for (const [realmUrl, name] of [[other, user], [one, "zoë"], [one, user], [one, "Bob"]] as const) {
          yield* permissions.grant({ realmUrl, user: name, permission: "write" })
        }
        assert.deepStrictEqual((yield* permissions.ofRealm(one)).map((grant) => grant.user), ["Bob", user, "zoë"])
        assert.deepStrictEqual((yield* permissions.ofUser(user)).map(({ realmUrl }) => realmUrl), [one, other])
        yield* permissions.clear(one)
        assert.deepStrictEqual(yield* permissions.ofRealm(one), [])
        assert.deepStrictEqual((yield* permissions.ofUser(user)).map(({ realmUrl }) => realmUrl), [other])
      }))

    it.effect("what a transaction that fails gave was not given", () =>
      Effect.gen(function*() {
        const permissions = yield* PermissionTable
        const transaction = yield* Transaction
        const realmUrl = freshRealm()
        yield* Effect.exit(
          transaction.run(
            Effect.andThen(permissions.grant({ realmUrl, user: "alice", permission: "owner" }), Effect.fail("no"))
          )
        )
        assert.deepStrictEqual(yield* permissions.ofRealm(realmUrl), [])
      }))

    it.effect("the fleet has one secret, long enough to sign with", () =>
      Effect.gen(function*() {
        const { read } = yield* FleetSecretTable
        const secret = Redacted.value(yield* read)
        assert.isAtLeast(secret.length, 64)
        assert.strictEqual(Redacted.value(yield* read), secret)
      }))
  })
