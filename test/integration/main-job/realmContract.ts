import { assert, type Vitest } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { eventually } from "../../support/eventually.ts"
import { expectExecutions } from "../../support/executions.ts"
import { applied, Fleet, type Place, placeOf, post, writeFiles } from "../../support/fleet.ts"
import { sendBytes } from "../../support/httpClient.ts"
import type { Replica } from "../../support/replica.ts"
import { expectProblem, expectStatus, generationOf } from "./expectations.ts"
import { versioned, versionOf } from "./sources.ts"

const version = (replica: Replica, place: Place, file: string) =>
  Effect.map(replica.ask(place.path(file)), (answer) => versionOf(expectStatus(answer, 200).text))

interface Listed {
  readonly url: string
  readonly kind: string
  readonly generation: number
  readonly sourceURL?: string
  readonly lastPublishedAt?: string
}

const listed = Effect.fnUntraced(function*(replica: Replica, place: Place) {
  const { realms } = expectStatus(yield* replica.ask("/_realms"), 200).json
  return (realms as ReadonlyArray<Listed>).find((realm) => realm.url === place.url)
})

/** The life of realms over HTTP (S28 to S32); holds for any fleet, one of one replica included. */
export const realmContract = (it: Vitest.MethodsNonLive<Fleet>) => {
  it.effect("a publish answers 202 pending, is listed, becomes ready, and is the same at every replica", () =>
    Effect.gen(function*() {
      const { all, publish, realm, unused } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1), "data.json": "{}" })
      const target = unused()
      const answer = expectStatus(yield* publish(source, target), 202)
      const { generation, lastPublishedAt, realmURL, replicas, status } = answer.json
      assert.strictEqual(realmURL, target.url)
      assert.strictEqual(status, "pending")
      assert.deepStrictEqual(replicas, { live: all.length, acked: all.length })
      assert.isBelow(Math.abs(Date.parse(String(lastPublishedAt)) - Date.now()), 60_000)
      for (const replica of all) {
        assert.strictEqual(yield* version(replica, target, "person"), 1)
        assert.strictEqual(generationOf(yield* replica.ask(target.path("data.json"))), generation)
        const entry = yield* listed(replica, target)
        assert.strictEqual(entry?.kind, "published")
        assert.strictEqual(entry?.generation, generation)
        assert.strictEqual(entry?.sourceURL, source.url)
        assert.isString(entry?.lastPublishedAt)
        const own = yield* listed(replica, source)
        assert.strictEqual(own?.kind, "source")
        assert.isUndefined(own?.sourceURL)
        const ready = yield* eventually(
          "the publish is ready",
          replica.ask(target.path("_readiness-check")),
          (check) => check.status === 200
        )
        assert.deepStrictEqual(ready.json, { ready: true })
      }
    }))

  it.effect("a published realm is a snapshot: edits of its source are not seen in it until the next publish", () =>
    Effect.gen(function*() {
      const { all, first, publish, realm, unused } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1), "gone.ts": versioned(1) })
      const target = unused()
      expectStatus(yield* publish(source, target), 202)
      // In place, as editors write: a hard link would change with it.
      yield* source.edit({ "person.ts": versioned(2), "new.ts": versioned(2) })
      yield* first.ask(source.path("gone.ts"), { method: "DELETE" })
      for (const replica of all) {
        assert.strictEqual(yield* version(replica, target, "person.ts"), 1)
        assert.strictEqual(yield* version(replica, target, "gone.ts"), 1)
        expectProblem(yield* replica.ask(target.path("new.ts")), 404)
        assert.strictEqual(yield* version(replica, source, "person.ts"), 2)
      }
      expectStatus(yield* publish(source, target), 202)
      for (const replica of all) {
        assert.strictEqual(yield* version(replica, target, "person.ts"), 2)
        assert.strictEqual(yield* version(replica, target, "new.ts"), 2)
        expectProblem(yield* replica.ask(target.path("gone.ts")), 404)
      }
    }))

  it.effect("@generation names one immutable version; future ones and gone ones are 404 that nobody stores", () =>
    Effect.gen(function*() {
      const { all, first, publish, realm, unused } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1), "data.json": "1" })
      const target = unused()
      const generations: Array<number> = []
      for (const each of [1, 2, 3]) {
        yield* source.edit({ "person.ts": versioned(each), "data.json": String(each) })
        generations.push(Number(expectStatus(yield* publish(source, target), 202).json["generation"]))
      }
      // A generation without a publish of its own: the version before it stands.
      const called = expectStatus(yield* post(first, "/_invalidate", { realmURL: target.url }), 200).json["generation"]
      const newest = Number(called)
      assert.isAbove(newest, generations[2] ?? 0)
      for (const replica of all) {
        for (const [index, generation] of [...generations, newest].entries()) {
          const expected = Math.min(index + 1, 3)
          for (const name of ["person.ts", "person", "person.ts?source"]) {
            const answer = expectStatus(yield* replica.ask(target.path(`@${generation}/${name}`)), 200)
            assert.strictEqual(versionOf(answer.text), expected, answer.shown)
            assert.strictEqual(answer.headers["cache-control"], "public, max-age=31536000, immutable")
          }
          const data = yield* replica.ask(target.path(`@${generation}/data.json`))
          assert.strictEqual(expectStatus(data, 200).text, String(expected))
        }
        for (const generation of [newest + 1, newest + 1000, 0, (generations[0] ?? 1) - 1]) {
          expectProblem(yield* replica.ask(target.path(`@${generation}/person.ts`)), 404)
        }
        expectProblem(yield* replica.ask(target.path(`@${newest}/missing.ts`)), 404)
      }
      expectStatus(yield* post(first, "/_unpublish-realm", { publishedRealmURL: target.url }), 200)
      for (const replica of all) {
        for (const generation of generations) {
          expectProblem(yield* replica.ask(target.path(`@${generation}/person.ts`)), 404)
        }
      }
    }))

  it.effect("a realm under a host of its own is reached by that host, and the public one by every other", () =>
    Effect.gen(function*() {
      const { all, publish, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const other = yield* realm({ "person.ts": versioned(2) })
      // The same path as the source realm's, under another host.
      const host = `${source.name}.test:8080`
      const target = { ...source, url: `http://${host}/${source.name}/` }
      expectStatus(yield* publish(other, target), 202)
      const ask = (replica: Replica, place: Place, headers: Readonly<Record<string, string>>) =>
        replica.ask(place.path("person.ts"), { headers })
      for (const replica of all) {
        assert.strictEqual(versionOf(expectStatus(yield* ask(replica, target, { host }), 200).text), 2)
        assert.strictEqual(versionOf(expectStatus(yield* ask(replica, source, {}), 200).text), 1)
        assert.strictEqual(versionOf(expectStatus(yield* ask(replica, source, { host: "realms.test" }), 200).text), 1)
        // Only a trusted proxy may say so.
        const forwarded = yield* ask(replica, source, { "x-forwarded-host": host })
        assert.strictEqual(versionOf(expectStatus(forwarded, 200).text), 1)
        const oldest = yield* sendBytes(replica.url, `GET ${source.path("person.ts")} HTTP/1.0\r\n\r\n`)
        assert.match(oldest, /^HTTP\/1\.1 200 [\s\S]*version = 1/)
      }
    }))

  it.effect("a host that has a realm does not stand for the public one: other realms are 404 there", () =>
    Effect.gen(function*() {
      const { all, publish, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const host = `own-${source.name}.test`
      expectStatus(yield* publish(source, { ...source, url: `http://${host}/site/` }), 202)
      for (const replica of all) {
        expectStatus(yield* replica.ask("/site/person.ts", { headers: { host } }), 200)
        expectProblem(yield* replica.ask(source.path("person.ts"), { headers: { host } }), 404)
        expectProblem(yield* replica.ask("/site/person.ts"), 404)
      }
    }))

  it.effect("an unpublished realm is gone everywhere, its source stays, and a new publish goes on counting", () =>
    Effect.gen(function*() {
      const { all, first, publish, realm, second, unused } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const target = unused()
      const published = Number(expectStatus(yield* publish(source, target), 202).json["generation"])
      for (const replica of all) assert.strictEqual(yield* version(replica, target, "person"), 1)
      expectStatus(yield* post(second, "/_unpublish-realm", { publishedRealmURL: target.url }), 200)
      for (const replica of all) {
        for (const path of ["person.ts", "person", "", "_readiness-check", `@${published}/person.ts`]) {
          expectProblem(yield* replica.ask(target.path(path)), 404)
        }
        assert.isUndefined(yield* listed(replica, target))
        assert.strictEqual(yield* version(replica, source, "person"), 1)
      }
      expectProblem(yield* post(first, "/_unpublish-realm", { publishedRealmURL: target.url }), 404)
      yield* source.edit({ "person.ts": versioned(2) })
      const again = Number(expectStatus(yield* publish(source, target, first), 202).json["generation"])
      assert.isAbove(again, published + 1)
      for (const replica of all) assert.strictEqual(yield* version(replica, target, "person"), 2)
    }))

  it.effect("a deleted source realm is gone with its files, and create brings it back at a higher generation", () =>
    Effect.gen(function*() {
      const { all, first, realm, realmsDir, second } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const before = generationOf(expectStatus(yield* second.ask(source.path("person.ts")), 200))
      expectStatus(yield* post(first, "/_delete-realm", { realmURL: source.url }), 200)
      for (const replica of all) expectProblem(yield* replica.ask(source.path("person.ts")), 404)
      assert.notInclude(yield* Effect.promise(() => Fs.readdir(realmsDir)), source.name)
      expectProblem(yield* post(second, "/_delete-realm", { realmURL: source.url }), 404)
      const created = expectStatus(yield* post(second, "/_create-realm", { name: source.name }), 201)
      assert.isAbove(Number(created.json["generation"]), before)
      for (const replica of all) expectProblem(yield* replica.ask(source.path("person.ts")), 404)
      yield* source.edit({ "person.ts": versioned(2) })
      for (const replica of all) assert.strictEqual(yield* version(replica, source, "person.ts"), 2)
    }))

  it.effect("a directory that appears is served as a source realm; one left over from a deleted realm is not", () =>
    Effect.gen(function*() {
      const { all, first, publicUrl, realm, realmsDir } = yield* Fleet
      const left = yield* realm({ "person.ts": versioned(1) })
      expectStatus(yield* post(first, "/_delete-realm", { realmURL: left.url }), 200)
      const name = `appeared-${left.name}`
      const appeared = placeOf(publicUrl, name)
      yield* left.edit({ "person.ts": versioned(2) })
      yield* writeFiles(Path.join(realmsDir, name), { "person.ts": versioned(3) })
      for (const replica of all) {
        const answer = yield* eventually(
          "the directory is served",
          replica.ask(appeared.path("person.ts")),
          ({ status }) => status === 200
        )
        assert.strictEqual(versionOf(answer.text), 3)
        // The same look at the directories saw the other one.
        expectProblem(yield* replica.ask(left.path("person.ts")), 404)
        assert.isUndefined(yield* listed(replica, left))
      }
    }))

  it.effect("PUT and DELETE move the generation by one, in header and JSON, and the next read is at it", () =>
    Effect.gen(function*() {
      const { all, first, realm, second } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      let generation = generationOf(yield* first.ask(source.path("person.ts")))
      const writes = [
        ["PUT", "person.ts", versioned(2), 200],
        ["PUT", "folder/new file.json", "{\"new\":true}", 201],
        ["DELETE", "folder/new file.json", undefined, 200],
        ["PUT", "empty.txt", "", 201]
      ] as const
      for (const [index, [method, file, body, status]] of writes.entries()) {
        const replica = index % 2 === 0 ? second : first
        const path = source.path(file.split("/").map(encodeURIComponent).join("/"))
        const answer = expectStatus(yield* replica.ask(path, { method, ...body === undefined ? {} : { body } }), status)
        assert.strictEqual(generationOf(answer), ++generation)
        assert.strictEqual(answer.json["generation"], generation)
        for (const reader of all) {
          const read = yield* reader.ask(path, { headers: { "x-lockstep-min-generation": String(generation) } })
          assert.strictEqual(read.status, method === "PUT" ? 200 : 404, read.shown)
          if (method === "PUT" && !file.endsWith(".ts")) assert.strictEqual(read.text, body)
        }
      }
      for (const replica of all) assert.strictEqual(yield* version(replica, source, "person"), 2)
      assert.strictEqual(generationOf(yield* second.ask(source.path("person.ts"))), generation)
      const left = yield* Effect.promise(() => Fs.readdir(source.directory, { recursive: true }))
      assert.sameMembers(left, ["person.ts", "empty.txt"])
    }))

  it.effect("many writers of one realm take turns: every write has a generation of its own", () =>
    Effect.gen(function*() {
      const { all, first, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const before = generationOf(yield* first.ask(source.path("person.ts")))
      const answers = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, n) => n),
        (n) => (all[n % all.length] ?? first).ask(source.path(`m${n % 4}.ts`), { method: "PUT", body: versioned(n) }),
        { concurrency: "unbounded" }
      )
      const generations = answers.map((answer) => Number(answer.json["generation"])).toSorted((a, b) => a - b)
      assert.deepStrictEqual(generations, Array.from({ length: 12 }, (_, n) => before + 1 + n))
      const last = new Map<string, number>()
      const inOrder = answers.map((answer, n) => [Number(answer.json["generation"]), n] as const).toSorted((a, b) =>
        a[0] - b[0]
      )
      for (const [, n] of inOrder) last.set(`m${n % 4}.ts`, n)
      for (const replica of all) {
        for (const [file, expected] of last) assert.strictEqual(yield* version(replica, source, file), expected)
      }
    }))

  it.effect("/_invalidate moves the generation, and the next read is made anew, once in the fleet", () =>
    Effect.gen(function*() {
      const { all, first, realm, second } = yield* Fleet
      const transpiled = Effect.map(
        Effect.forEach(all, (replica) => replica.status),
        (counted) => counted.reduce((sum, status) => sum + (status["transpiles"] ?? 0), 0)
      )
      const source = yield* realm({ "a.ts": versioned(1), "b.ts": versioned(1) })
      for (const body of [{ realmURL: source.url, path: "a.ts" }, { realmURL: source.url }]) {
        for (const replica of [...all, ...all]) yield* replica.ask(source.path("a.ts"))
        const before = generationOf(yield* second.ask(source.path("a.ts")))
        const transpiles = yield* transpiled
        const answer = expectStatus(yield* post(first, "/_invalidate", body), 200)
        assert.strictEqual(answer.json["generation"], before + 1)
        for (const replica of all) {
          // It is told at once, and waited for no longer than a moment.
          yield* applied(replica, source, before + 1)
          const read = expectStatus(yield* replica.ask(source.path("a.ts")), 200)
          assert.strictEqual(generationOf(read), before + 1)
          assert.notStrictEqual(read.headers["x-lockstep-cache"], "l1")
        }
        // Not from the shared table either: made anew, by one of them.
        yield* expectExecutions(all, (yield* transpiled) - transpiles, 1, "transpiles after the invalidation")
      }
    }))

  it.effect("definitions name a module's exports and dependencies, and follow its edits", () =>
    Effect.gen(function*() {
      const { all, first, realm } = yield* Fleet
      const source = yield* realm({
        "person.ts":
          "import { x } from \"./x.ts\"\nexport class Person {}\nexport const y = x\nexport default function f() {}\n",
        "x.ts": "export const x = 1\n"
      })
      const ask = (replica: Replica) =>
        Effect.map(replica.ask(source.path("_definitions?module=person")), (answer) => expectStatus(answer, 200).text)
      for (const replica of all) {
        const text = yield* ask(replica)
        for (const name of ["Person", "y", "default", "x.ts"]) assert.include(text, name)
      }
      yield* first.ask(source.path("person.ts"), { method: "PUT", body: "export class Renamed {}\n" })
      for (const replica of all) {
        const text = yield* ask(replica)
        assert.include(text, "Renamed")
        assert.notInclude(text, "\"Person\"")
      }
      expectProblem(yield* first.ask(source.path("_definitions?module=nobody")), 404)
      expectProblem(yield* first.ask(source.path("_definitions")), 400)
    }))

  it.effect("/_status counts what this replica did and names the fleet; the other endpoints about it answer", () =>
    Effect.gen(function*() {
      const { all, realm } = yield* Fleet
      const source = yield* realm({ "person.ts": versioned(1) })
      const counters = [
        "transpiles",
        "l1Hits",
        "l2Hits",
        "joined",
        "l2WriteRejected",
        "l2Errors",
        "invalidationsReceived",
        "listenerReconnects",
        "gapsRepaired",
        "leaseExpiries",
        "takeovers",
        "malformedPayloads",
        "poolConnections",
        "lockConnections"
      ]
      for (const replica of all) {
        yield* replica.ask(source.path("person.ts"))
        const before = yield* replica.status
        yield* replica.ask(source.path("person.ts"))
        const after = yield* replica.status
        for (const name of counters) {
          assert.isNumber(after[name], name)
          assert.isAtLeast(after[name] ?? -1, before[name] ?? 0)
        }
        assert.strictEqual(after["l1Hits"], (before["l1Hits"] ?? 0) + 1)
        for (const other of all) assert.include(JSON.stringify(after), other.replicaId)
        expectStatus(yield* replica.ask("/_health"), 200)
        assert.match(expectStatus(yield* replica.ask("/_metrics"), 200).headers["content-type"] ?? "", /^text\/plain/)
        const { openapi, paths } = expectStatus(yield* replica.ask("/_openapi.json"), 200).json
        assert.isString(openapi)
        for (const path of ["/_publish-realm", "/_realms", "/_status"]) assert.property(paths, path)
      }
    }))
}
