import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { timedAwake } from "../../support/awake.ts"
import { eventually } from "../../support/eventually.ts"
import { Fleet, longLease, post } from "../../support/fleet.ts"
import type { Answer } from "../../support/httpClient.ts"
import type { Replica } from "../../support/replica.ts"
import { expectProblem, expectStatus, generationOf } from "../main-job/expectations.ts"
import { versioned } from "../main-job/sources.ts"
import { type Event, readEvents } from "./readEvents.ts"

interface Shown {
  readonly members: ReadonlyArray<{
    readonly replicaId: string
    readonly bootId: string
    readonly failure: string | null
    readonly report: { readonly lease: { readonly held: boolean }; readonly version: string } | null
  }>
  readonly realms: {
    readonly total: number
    readonly matching: number
    readonly shown: ReadonlyArray<Readonly<Record<string, unknown>> & { readonly url: string }>
  } | null
  readonly jobs: ReadonlyArray<unknown>
}

/** The members that `/_status` names. */
const replicasOf = ({ json }: Answer) => json["replicas"] as ReadonlyArray<Readonly<Record<string, unknown>>>

const fleetOf = (replica: Replica, query = "") =>
  Effect.map(replica.ask(`/_fleet${query}`), (answer) => expectStatus(answer, 200).json as unknown as Shown)

const answeredHistoryOf = (replica: Replica, url: string) =>
  Effect.map(
    replica.ask(`/_module-history?url=${encodeURIComponent(url)}`),
    (answer) =>
      expectStatus(answer, 200).json["members"] as ReadonlyArray<{
        readonly replicaId: string
        readonly failure: string | null
        readonly events: ReadonlyArray<Event>
      }>
  )

/** Asked again while a member, or PostgreSQL who they are, does not say within its second. */
const historyOf = (replica: Replica, url: string) =>
  eventually(
    "every member tells what it remembers",
    answeredHistoryOf(replica, url),
    (members) => members.length > 1 && members.every(({ failure }) => failure === null)
  )

const wholeFleetOf = (replica: Replica, query = "") =>
  Effect.map(
    eventually(
      "every member tells of itself",
      fleetOf(replica, query),
      ({ members, realms }) => realms !== null && members.every(({ report }) => report?.lease.held === true)
    ),
    ({ members, realms }) => ({ members, realms: realms ?? assert.fail() })
  )

layer(Fleet.layer({ args: longLease }), { excludeTestServices: true })("what a fleet says of itself", (it) => {
  it.effect("every replica tells of every member its lease, and which generation it has applied of each realm", () =>
    Effect.gen(function*() {
      const { all, first, publish, realm, unused } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1), "deep/b.json": "{}" })
      const target = unused()
      for (const replica of all) expectStatus(yield* replica.ask(source.path("a.ts")), 200)
      const written = yield* first.ask(source.path("a.ts?wait=all"), { method: "PUT", body: versioned(2) })
      const published = expectStatus(yield* publish(source, target), 202).json["generation"]
      for (const replica of all) expectStatus(yield* replica.ask(target.path("a.ts")), 200)
      for (const replica of all) {
        const { members, realms } = yield* wholeFleetOf(replica)
        assert.deepStrictEqual(members.map(({ replicaId }) => replicaId).toSorted(), ["replica-1", "replica-2"])
        assert.strictEqual(members[0]?.replicaId, replica.replicaId)
        for (const { failure, report } of members) {
          assert.isNull(failure)
          assert.isTrue(report?.lease.held)
          assert.notProperty(report, "applied")
        }
        const shown = (url: string) => realms.shown.find((each) => each.url === url)
        const boots = members.map(({ bootId }) => bootId)
        for (const [url, generation] of [[source.url, generationOf(written)], [target.url, published]] as const) {
          assert.deepInclude(shown(url), {
            generation,
            applied: Object.fromEntries(boots.map((bootId) => [bootId, generation]))
          })
        }
        assert.deepInclude(shown(target.url), { kind: "published", sourceURL: source.url, versions: 1 })
        yield* eventually(
          "the realms are measured",
          Effect.map(wholeFleetOf(replica), (fleet) => fleet.realms.shown.filter((each) => each.files === 2)),
          (measured) => measured.length >= 2
        )
        const filtered = (yield* wholeFleetOf(replica, `?match=${encodeURIComponent(target.url)}&limit=5`)).realms
        assert.strictEqual(filtered.matching, 1)
        assert.deepStrictEqual(filtered.shown.map(({ url }) => url), [target.url])
        assert.isAtLeast(filtered.total, 2)
        const status = yield* eventually(
          "every member answers",
          replica.ask("/_status"),
          (answer) => replicasOf(answer).length > 1 && replicasOf(answer).every((each) => each["leaseHeld"] !== null)
        )
        const replicas = replicasOf(status)
        for (const each of replicas) {
          assert.isTrue(each["leaseHeld"], status.shown)
          assert.propertyVal(each["applied"], target.url, published)
        }
        assert.lengthOf(replicas, 2)
      }
      expectProblem(yield* first.ask("/_fleet?limit=1001"), 400)
      expectProblem(yield* first.ask("/_fleet?limit=many"), 400)
    }))

  it.effect("a member that does not answer is shown as such, within little more than a second, and keeps nobody waiting", () =>
    Effect.gen(function*() {
      const { first, start } = yield* Fleet
      const frozen = yield* start()
      yield* frozen.kill("SIGSTOP")
      const isFrozen = (each: { readonly replicaId?: unknown }) => each.replicaId === frozen.replicaId
      const asked = eventually("PostgreSQL tells of it", fleetOf(first), ({ members }) => members.some(isFrozen))
      const [took, { members }] = yield* timedAwake(asked)
      assert.isBelow(took, 6_000)
      const shown = members.find(isFrozen)
      assert.isNull(shown?.report)
      assert.include(shown?.failure, "did not answer within 1 second")
      const replicas = yield* eventually(
        "PostgreSQL tells of it",
        Effect.map(first.ask("/_status"), replicasOf),
        (all) => all.some(isFrozen)
      )
      assert.deepInclude(replicas.find(isFrozen), {
        leaseHeld: null,
        applied: null
      })
      const remembered = yield* eventually(
        "PostgreSQL tells of it",
        answeredHistoryOf(first, "http://realms.test/none/a.ts"),
        (all) => all.some(isFrozen)
      )
      assert.include(remembered.find(isFrozen)?.failure, "did not answer")
      yield* frozen.kill("SIGCONT")
      yield* eventually(
        "it is back",
        fleetOf(first),
        (fleet) => fleet.members.every(({ failure }) => failure === null)
      )
      // It leaves: one that is killed counts as a member until its lease ends.
      yield* frozen.kill("SIGTERM")
      yield* frozen.ended()
    }).pipe(Effect.scoped))

  it.effect("one stream has the events of all replicas, goes on where it ended, and ends with its replica", () =>
    Effect.gen(function*() {
      const { first, publish, realm, second, start, unused } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(11) })
      const target = unused()
      const reader = yield* readEvents(first, "?scope=fleet")
      const own = yield* readEvents(first, "?scope=replica")
      // The other's events are read on a stream of their own, which is opened after the answer has begun.
      let version = 11
      yield* eventually(
        "the other replica is heard",
        Effect.suspend(() => second.ask(source.path("a.ts"), { method: "PUT", body: versioned(++version) })),
        () => reader.events.some((event) => event["replicaId"] === "replica-2")
      )
      expectStatus(yield* publish(source, target, second), 202)
      const of = (events: ReadonlyArray<Event>, kind: string, replicaId: string) =>
        events.filter((event) =>
          event["kind"] === kind && event["replicaId"] === replicaId && event["realmUrl"] === target.url
        )
      // A catch-up may have found the change before the message came: it knows no cause.
      const isNotified = (event: Event) => event["via"] === "notification"
      yield* eventually(
        "the publish and what it voided on both are heard",
        Effect.sync(() => [
          of(reader.events, "publish", "replica-2").length,
          of(reader.events, "invalidation", "replica-1").filter(isNotified).length,
          of(reader.events, "invalidation", "replica-2").length
        ]),
        (counts) => counts.every((count) => count >= 1)
      )
      assert.deepInclude(of(reader.events, "publish", "replica-2")[0], { live: 2, acked: 2 })
      assert.deepInclude(of(reader.events, "invalidation", "replica-1").find(isNotified), {
        cause: "publish",
        by: "replica-2"
      })
      assert.isEmpty(own.events.filter((event) => event["replicaId"] !== "replica-1"))

      // A reader that was cut misses nothing of either replica.
      const lastId = reader.lastId()
      const again = expectStatus(yield* publish(source, target, second), 202).json["generation"]
      const resumed = yield* readEvents(first, "?scope=fleet", lastId)
      yield* eventually(
        "what happened meanwhile is heard",
        Effect.sync(() => [
          of(resumed.events, "publish", "replica-2").length,
          of(resumed.events, "invalidation", "replica-1").length,
          of(resumed.events, "invalidation", "replica-2").length
        ]),
        (counts) => counts.every((count) => count >= 1)
      )
      assert.isEmpty(
        resumed.events.filter((event) => event["realmUrl"] === target.url && event["generation"] !== again)
      )

      const leaving = yield* start()
      const cut = yield* readEvents(leaving, "?scope=fleet")
      yield* leaving.kill("SIGTERM")
      const [took, ended] = yield* timedAwake(leaving.ended(60_000))
      assert.deepStrictEqual(ended, { code: 0, signal: null })
      assert.isBelow(took, 9_000)
      yield* Effect.promise(() => cut.ended)
    }).pipe(Effect.scoped))

  it.effect("a module's history says who transpiled it, who took it from whom, and what voided it, on each replica", () =>
    Effect.gen(function*() {
      const { first, realm, second, sql } = yield* Fleet
      const source = yield* realm({ "h.ts": versioned(21), "other.ts": versioned(1) })
      const url = `${source.url}h.ts`
      expectStatus(yield* first.ask(source.path("h.ts")), 200)
      expectStatus(yield* second.ask(source.path("h")), 200)
      yield* second.ask(source.path("h.ts"), { method: "PUT", body: versioned(22) })
      yield* second.ask(source.path("other.ts"), { method: "PUT", body: versioned(2) })
      expectStatus(yield* second.ask(source.path("h.ts")), 200)
      yield* post(first, "/_invalidate", { realmURL: source.url, path: "h.ts" })
      yield* source.edit({ "h.ts": "export const = 1" })
      yield* eventually("it does not transpile", first.ask(source.path("h.ts")), ({ status }) => status === 422)
      yield* sql("SELECT pg_notify('realm_file_changes', $1)", [`${source.url}:*`])
      const told = (events: ReadonlyArray<Event>) =>
        events.map(({ by, cause, kind, via }) =>
          [kind, via, cause, by].filter((each) => typeof each === "string").join(" ")
        )
      const seen = Effect.map(
        historyOf(first, url),
        (members) => Object.fromEntries(members.map(({ events, replicaId }) => [replicaId, told(events)]))
      )
      const history = yield* eventually(
        "all of it is remembered",
        seen,
        // The edit on disk as well, which is noticed a moment after it.
        (members) =>
          Object.values(members).every((lines) =>
            lines.includes("invalidation notification") && lines.some((line) => line.includes(" edit "))
          )
      )
      const has = (replicaId: string, ...lines: ReadonlyArray<string>) => {
        for (const line of lines) {
          assert.include(history[replicaId]?.map((each) => each.slice(0, line.length)) ?? [], line)
        }
      }
      has(
        "replica-1",
        "transpile own replica-1",
        "invalidation notification write replica-2",
        "invalidation own call replica-1",
        "failure"
      )
      has("replica-2", "shared own replica-2", "invalidation own write replica-2", "transpile own replica-2")
      has("replica-2", "invalidation notification call replica-1")
      const made = (yield* historyOf(second, url)).flatMap(({ events }) => events)
        .filter(({ kind }) => kind === "transpile")
      for (const { generation, millis, path } of made) {
        assert.strictEqual(path, "h.ts")
        assert.isAbove(Number(millis), 0)
        assert.isAbove(Number(generation), 0)
      }
      // Its alias and its address on any replica are the same module; its neighbour's history is another.
      const count = (members: ReadonlyArray<{ readonly events: ReadonlyArray<Event> }>) =>
        members.reduce((sum, { events }) => sum + events.length, 0)
      const names = [url, `${source.url}h`, `${second.url}${source.path("h.ts")}`]
      const counts = Effect.forEach(names, (name) => Effect.map(historyOf(first, name), count))
      const [all = 0] = yield* eventually("all names have one history", counts, (each) => new Set(each).size === 1)
      assert.isAbove(all, 0)
      const neighbour = yield* historyOf(first, `${source.url}other.ts`)
      assert.isEmpty(neighbour.flatMap(({ events }) => events).filter(({ path }) => path === "h.ts"))
      assert.strictEqual(count(yield* historyOf(first, "http://realms.test/nowhere/x.ts")), 0)
      expectProblem(yield* first.ask("/_module-history"), 400)
      expectProblem(yield* first.ask("/_module-history?url=ftp%3A%2F%2Fa%2Fb"), 400)
    }))

  it.effect("a hit in memory leaves no trace but the counters", () =>
    Effect.gen(function*() {
      const { first, publish, realm, unused } = yield* Fleet
      const source = yield* realm({ "hot.ts": versioned(31) })
      const target = unused()
      expectStatus(yield* publish(source, target), 202)
      for (const place of [source, target]) expectStatus(yield* first.ask(place.path("hot.ts")), 200)
      const remembered = Effect.map(
        historyOf(first, `${target.url}hot.ts`),
        (members) => members.find(({ replicaId }) => replicaId === "replica-1")?.events.length
      )
      const before = yield* remembered
      for (let turn = 0; turn < 20; turn++) expectStatus(yield* first.ask(target.path("hot.ts")), 200)
      assert.strictEqual(yield* remembered, before)
    }))
})
