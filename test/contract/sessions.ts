import { assert, layer } from "@effect/vitest"
import { Effect, type Layer, Queue, Schedule } from "effect"
import { type CatchUp, Sessions } from "../../src/coordination/Sessions.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { ReplicaTable } from "../../src/store/ReplicaTable.ts"
import type { Transaction } from "../../src/store/Transaction.ts"
import { freshRealm } from "./freshRealm.ts"
import { openTransaction } from "./openTransaction.ts"
import { freshMember } from "./replicaTable.ts"

/** What a catch-up says of one realm; of others, other tests may have moved any. */
export const generationIn = ({ realms }: CatchUp, url: RealmUrl) =>
  realms.find((realm) => realm.realmUrl === url)?.generation

const source = (realmUrl: RealmUrl) => ({ realmUrl, kind: "source" as const, directory: "d", sourceUrl: null })

/** What every Sessions promises. */
export const sessions = <E>(
  name: string,
  service: Layer.Layer<Sessions | RealmTable | ReplicaTable | Transaction, E>
) =>
  layer(service, { excludeTestServices: true })(`Sessions on ${name}`, (it) => {
    const open = (replicaId: string) => Effect.flatMap(Sessions, (all) => all.open(freshMember(replicaId)))

    it.effect("a renewal finds no membership before it was registered, and finds it from then on", () =>
      Effect.gen(function*() {
        const session = yield* open("new")
        assert.isFalse(yield* session.renew)
        yield* session.register
        assert.isTrue(yield* session.renew)
        assert.isTrue(yield* session.renew)
      }))

    for (const how of ["forget", "leave"] as const) {
      it.effect(`a renewal after a ${how} finds no membership and does not bring it back; a registration does`, () =>
        Effect.gen(function*() {
          const replicas = yield* ReplicaTable
          const member = freshMember(how)
          const session = yield* Effect.flatMap(Sessions, (all) => all.open(member))
          const found = Effect.map(replicas.members, (all) => all.filter((each) => each.bootId === member.bootId))
          yield* session.register
          yield* session.renew
          yield* how === "forget" ? Effect.flatMap(found, replicas.forget) : replicas.leave(member)
          assert.isFalse(yield* session.renew)
          assert.deepStrictEqual(yield* found, [])
          yield* session.register
          assert.strictEqual((yield* found).length, 1)
          assert.isTrue(yield* session.renew)
        }))
    }

    it.effect("a registration of who is a member already changes nothing, and each renewal is told apart (I1)", () =>
      Effect.gen(function*() {
        const replicas = yield* ReplicaTable
        const member = freshMember("again")
        const session = yield* Effect.flatMap(Sessions, (all) => all.open(member))
        const renewals = Effect.map(
          replicas.members,
          (all) => all.filter((each) => each.bootId === member.bootId).map((each) => each.renewals)
        )
        yield* session.register
        const first = yield* renewals
        yield* session.register
        assert.deepStrictEqual(yield* renewals, first)
        yield* session.renew
        const second = yield* renewals
        yield* session.renew
        const third = yield* renewals
        assert.strictEqual(new Set([...first, ...second, ...third]).size, 3)
      }))

    it.effect("all sessions see one identity, and a first catch-up names no realm: there is nothing to compare", () =>
      Effect.gen(function*() {
        const [here, there] = [yield* open("here"), yield* open("there")]
        const realms = yield* RealmTable
        yield* realms.mount(source(freshRealm()), 0)
        const first = yield* here.catchUp(undefined)
        assert.deepStrictEqual(first.realms, [])
        assert.isAbove(first.identity.length, 0)
        assert.strictEqual((yield* there.catchUp(undefined)).identity, first.identity)
        assert.strictEqual((yield* there.catchUp(first.cursor)).identity, first.identity)
      }))

    it.effect("a catch-up tells every realm that moved since, whatever moved it, with its generation", () =>
      Effect.gen(function*() {
        const session = yield* open("catches-up")
        const realms = yield* RealmTable
        const [mounted, advanced, retired, back] = [freshRealm(), freshRealm(), freshRealm(), freshRealm()]
        for (const url of [advanced, retired, back]) yield* realms.mount(source(url), 0)
        yield* realms.retire(back, 1)
        const { cursor } = yield* session.catchUp(undefined)
        yield* realms.mount(source(mounted), 0)
        yield* realms.advance(advanced, 1, "paths")
        yield* realms.advance(advanced, 2, "realm")
        yield* realms.advance(advanced, 3, "definitions")
        yield* realms.retire(retired, 1)
        yield* realms.mount(source(back), 2)
        const found = yield* session.catchUp(cursor)
        assert.deepStrictEqual(
          [mounted, advanced, retired, back].map((url) => generationIn(found, url)),
          [1, 4, 2, 3]
        )
      }))

    it.effect("each scope of an invalidation moves the realm for a catch-up", () =>
      Effect.gen(function*() {
        const session = yield* open("scopes")
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        yield* realms.mount(source(realmUrl), 0)
        let generation = 1
        for (const scope of ["paths", "definitions", "realm"] as const) {
          const { cursor } = yield* session.catchUp(undefined)
          yield* realms.advance(realmUrl, generation++, scope)
          assert.strictEqual(generationIn(yield* session.catchUp(cursor), realmUrl), generation, scope)
        }
      }))

    it.effect("a realm that did not move is not told, however many others did", () =>
      Effect.gen(function*() {
        const session = yield* open("quiet")
        const realms = yield* RealmTable
        const [quiet, busy] = [freshRealm(), freshRealm()]
        yield* realms.mount(source(quiet), 0)
        yield* realms.mount(source(busy), 0)
        let generation = 1
        const told = Effect.gen(function*() {
          const { cursor } = yield* session.catchUp(undefined)
          yield* realms.advance(busy, generation++, "paths")
          const found = yield* session.catchUp(cursor)
          assert.strictEqual(generationIn(found, busy), generation)
          return generationIn(found, quiet)
        })
        // A transaction of anybody's on the server, in whatever database, that is older than the mount has it told as well.
        const fair = Effect.repeat(told, {
          until: (quiet) => quiet === undefined,
          schedule: Schedule.spaced("50 millis")
        })
        assert.isUndefined(yield* Effect.timeout(fair, "60 seconds"))
      }))

    it.effect("a change that began before a catch-up and was committed after it is found by the next one (rule 3)", () =>
      Effect.gen(function*() {
        const session = yield* open("straddled")
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        yield* realms.mount(source(realmUrl), 0)
        const { cursor } = yield* session.catchUp(undefined)
        const change = yield* openTransaction(realms.advance(realmUrl, 1, "paths"))
        const during = yield* session.catchUp(cursor)
        // If it is told at all, as of before: somebody else's transaction may be older than the mount.
        assert.notStrictEqual(generationIn(during, realmUrl), 2)
        yield* change.commit
        assert.strictEqual(generationIn(yield* session.catchUp(during.cursor), realmUrl), 2)
      }))

    it.effect("a database that is where it was begins no epoch", () =>
      Effect.gen(function*() {
        const session = yield* open("epoch")
        const realms = yield* RealmTable
        const realmUrl = freshRealm()
        yield* realms.mount(source(realmUrl), 0)
        yield* session.beginEpoch(false)
        assert.isFalse(yield* session.beginEpoch(false))
        const { realms: [row] } = yield* realms.read([realmUrl])
        assert.deepInclude(row, { generation: 1, wipeFloor: 1, definitionFloor: 1 })
      }))

    it.effect("what a member acknowledges is heard on every session, once and in order", () =>
      Effect.gen(function*() {
        const [here, there] = [yield* open("here"), yield* open("there")]
        const mine = freshRealm()
        for (const index of [1, 2, 3]) yield* here.acknowledge(`${mine} ${index}`)
        for (const { inbox } of [here, there]) {
          const heard: Array<string> = []
          while (heard.length < 3) {
            const message = yield* Queue.take(inbox)
            if (message.payload.startsWith(mine)) heard.push(`${message.channel} ${message.payload}`)
          }
          assert.deepStrictEqual(heard, [1, 2, 3].map((index) => `lockstep_acks ${mine} ${index}`))
        }
      }))

    it.effect("what a member acknowledges to one boot is heard there, and nowhere else", () =>
      Effect.gen(function*() {
        const member = freshMember("there")
        const there = yield* Effect.flatMap(Sessions, (all) => all.open(member))
        const [here, other] = [yield* open("here"), yield* open("other")]
        const mine = freshRealm()
        yield* here.acknowledge(`${mine} to one`, member.bootId)
        yield* here.acknowledge(`${mine} to all`)
        for (const { inbox } of [here, there, other]) {
          const heard: Array<string> = []
          while (heard.at(-1) !== `lockstep_acks ${mine} to all`) {
            const message = yield* Queue.take(inbox)
            if (message.payload.startsWith(mine)) heard.push(`${message.channel} ${message.payload}`)
          }
          assert.strictEqual(heard.length, inbox === there.inbox ? 2 : 1)
        }
      }))
  })
