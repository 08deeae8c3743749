import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { cut, type Disguise, fakeFleet, honest } from "./fakeFleet.ts"
import { type Outcome, runCommand } from "./runCommand.ts"
import type { StubAnswer } from "./stubServer.ts"

const verify = (servers: ReadonlyArray<string>, ...more: ReadonlyArray<string>) =>
  runCommand(["verify", "--duration", "2500ms", ...more, ...servers.flatMap((server) => ["--server", server])])

const verifyFleet = Effect.fnUntraced(function*(disguises: ReadonlyArray<Disguise>) {
  const { realms, servers } = yield* fakeFleet(disguises)
  const outcome = yield* verify(servers.map(({ url }) => url))
  return { ...outcome, realms, urls: servers.map(({ url }) => url) }
})

/** A machine that stands still may see too little in that time, and says so: the probe is run again, at most three times. */
const proving = <A extends Outcome, E, R>(
  probe: Effect.Effect<A, E, R>,
  sawEnough: (outcome: A) => boolean = () => true
) =>
  Effect.repeat(probe, {
    until: (outcome) => !outcome.stderr.includes("this is no proof") && sawEnough(outcome),
    times: 2
  })

const isRead = ({ method, path }: { method: string; path: string }) => method === "GET" && path !== "/_status"

describe("lockstep verify", () => {
  it.live("passes servers that keep the promise, with tokens and by @generation, and leaves nothing behind", () =>
    Effect.scoped(Effect.gen(function*() {
      const { realms, servers } = yield* fakeFleet([honest, honest])
      const { exitCode, stderr, stdout } = yield* proving(
        verify(servers.map(({ url }) => url), "--json"),
        ({ exitCode, stdout }) => {
          if (exitCode !== 0) return true
          const { changes, readsOfVersions, readsWithToken, stalenessMillis: { unwaited, waited } } = JSON.parse(stdout)
          return Math.min(changes, readsOfVersions, readsWithToken, unwaited.measured, waited.measured) > 0 &&
            servers.some(({ received }) => received.some(({ path }) => path === "/_unpublish-realm"))
        }
      )
      assert.deepStrictEqual([exitCode, stderr], [0, ""])
      const verdict = JSON.parse(stdout)
      assert.deepStrictEqual([verdict.violations, verdict.failures, verdict.notVerified], [0, 0, []])
      for (const count of ["changes", "readsWithToken", "readsOfVersions"]) assert.isAbove(verdict[count], 0, count)
      for (const kind of ["unwaited", "waited"]) assert.isAbove(verdict.stalenessMillis[kind].measured, 0, kind)
      const received = servers.flatMap(({ received }) => received)
      assert.isTrue(received.some(({ path }) => path === "/_unpublish-realm"))
      assert.isTrue(received.some(({ method }) => method === "DELETE"))
      assert.isTrue(received.some(({ headers }) => headers["x-lockstep-min-generation"] !== undefined))
      assert.deepStrictEqual([...realms.keys()], [])
    })))

  it.live("a server that answers 404 to every read breaks the promise", () =>
    Effect.scoped(Effect.gen(function*() {
      const { exitCode, stderr, stdout, urls } = yield* proving(verifyFleet([
        honest,
        (asked, answer) => isRead(asked) ? { status: 404, body: "" } : answer()
      ]))
      assert.strictEqual(exitCode, 1)
      assert.include(stdout, `I1: ${urls[1]} (source realm) answered 404`)
      assert.include(stderr, "the fleet broke its promise")
    })))

  it.live("a server that cuts every read was not verified", () =>
    Effect.scoped(Effect.gen(function*() {
      const { exitCode, stderr, urls } = yield* verifyFleet([
        honest,
        (asked, answer) => isRead(asked) ? cut : answer()
      ])
      assert.strictEqual(exitCode, 1)
      assert.include(stderr, `${urls[1]} was not verified: it showed the source realm never`)
    })))

  it.live("a server that answers nothing at all is named before anything is made", () =>
    Effect.scoped(Effect.gen(function*() {
      const { exitCode, realms, stderr, urls } = yield* verifyFleet([honest, () => cut])
      assert.strictEqual(exitCode, 1)
      assert.include(stderr, `nothing was verified: ${urls[1]} was not verified`)
      assert.deepStrictEqual([...realms.keys()], [])
    })))

  it.live("nothing is proved when no change is confirmed", () =>
    Effect.scoped(Effect.gen(function*() {
      let changes = 0
      const { exitCode, stderr } = yield* verifyFleet([(asked, answer) =>
        (asked.method === "PUT" || asked.path === "/_publish-realm") && ++changes > 2
          ? { status: 503, body: "" }
          : answer()])
      assert.strictEqual(exitCode, 1)
      assert.include(stderr, "no change was confirmed")
    })))

  it.live("replicas that do not know each other are named", () =>
    Effect.scoped(Effect.gen(function*() {
      const one = yield* fakeFleet([honest])
      const other = yield* fakeFleet([(asked, answer) => {
        const { body, ...rest } = answer()
        if (asked.path !== "/_status") return { body, ...rest }
        return { ...rest, body: JSON.parse(JSON.stringify(body).replaceAll("replica-0", "stranger")) }
      }])
      const urls = [...one.servers, ...other.servers].map(({ url }) => url)
      const { exitCode, stderr } = yield* verify(urls)
      assert.strictEqual(exitCode, 1)
      assert.include(stderr, "these servers are not one fleet")
      assert.include(stderr, `${urls[0]} (replica-0) does not know ${urls[1]} (stranger)`)
    })))

  it.live("a server that is given twice, by one address or two, is probed once", () =>
    Effect.scoped(Effect.gen(function*() {
      const { servers } = yield* fakeFleet([honest])
      const [url = ""] = servers.map(({ url }) => url)
      const { exitCode, stderr, stdout } = yield* proving(
        verify([url, `${url}/`, url.replace("127.0.0.1", "localhost")])
      )
      assert.strictEqual(exitCode, 0, stderr)
      assert.include(stdout, "probing 1 replica for")
      assert.include(stderr, "note: given more than once")
    })))

  it.live("its realms are removed through another server when the first is gone", () =>
    Effect.scoped(Effect.gen(function*() {
      let died = false
      const { exitCode, realms, stderr } = yield* proving(
        Effect.suspend(() => {
          died = false
          return verifyFleet([
            (asked, answer) => {
              died ||= asked.path === "/_unpublish-realm"
              return died ? cut : answer()
            },
            (asked, answer) => {
              died ||= asked.path === "/_unpublish-realm"
              return answer()
            }
          ])
        }),
        () => died
      )
      assert.isTrue(died)
      assert.deepStrictEqual([[...realms.keys()], exitCode], [[], 0], stderr)
    })))

  it.live("says which of its realms it had to leave behind", () =>
    Effect.scoped(Effect.gen(function*() {
      const { exitCode, realms, stderr } = yield* proving(verifyFleet([
        (asked, answer) => asked.path === "/_delete-realm" ? { status: 503, body: "" } : answer()
      ]))
      assert.strictEqual(exitCode, 0)
      assert.lengthOf([...realms.keys()], 2)
      for (const name of realms.keys()) assert.include(stderr, `the realm http://realms.test${name} is left behind`)
    })))

  it.live("a server that is behind a write that waits for nobody is measured, and breaks nothing", () =>
    Effect.scoped(Effect.gen(function*() {
      // What the second server shows still, since a write through the first; it catches up for who insists.
      let old: StubAnswer | undefined
      // Counted, not timed: enough questions that one begins after the write is known to be over.
      let toldOld = 0
      let realm: { readonly generation: number; readonly text: string | undefined } = { generation: 0, text: undefined }
      const noticed: Disguise = (asked, answer) => {
        if (asked.method === "GET") return answer()
        const before = realm
        const made = answer()
        old = undefined
        if (asked.method === "PUT") {
          const generation: number = JSON.parse(JSON.stringify(made.body)).generation
          realm = { generation, text: asked.body }
          if (!asked.path.endsWith("wait=all") && before.text !== undefined) {
            old = {
              status: 200,
              body: before.text.replace(": number", ""),
              headers: { "x-lockstep-generation": String(before.generation) }
            }
            toldOld = 0
          }
        } else if (asked.method === "DELETE") {
          realm = { ...realm, text: undefined }
        }
        return made
      }
      const behind: Disguise = (asked, answer) => {
        if (asked.method !== "GET") {
          const made = noticed(asked, answer)
          old = undefined
          return made
        }
        if (!isRead(asked) || asked.path.includes("-published/")) return answer()
        if (asked.headers["x-lockstep-min-generation"] !== undefined || ++toldOld > 20) old = undefined
        return old ?? answer()
      }
      const { exitCode, stderr, stdout } = yield* proving(
        Effect.gen(function*() {
          old = undefined
          realm = { generation: 0, text: undefined }
          const { servers } = yield* fakeFleet([noticed, behind])
          return yield* verify(servers.map(({ url }) => url), "--json")
        }),
        ({ exitCode, stdout }) => exitCode !== 0 || JSON.parse(stdout).stalenessMillis.unwaited.sinceSeen.max > 0
      )
      const verdict = JSON.parse(stdout)
      assert.deepStrictEqual([exitCode, verdict.violations], [0, 0], `${stderr} ${stdout}`)
      const { sinceRequest, sinceSeen } = verdict.stalenessMillis.unwaited
      assert.isAbove(sinceSeen.max, 0)
      assert.isAtLeast(sinceRequest.max, sinceSeen.max)
    })))

  it.live("a server that shows an old publication under a newer generation is found", () =>
    Effect.scoped(Effect.gen(function*() {
      const { exitCode, stdout } = yield* proving(
        verifyFleet([
          (asked, answer) => asked.path.includes("@") ? { status: 200, body: "export const version = 1\n" } : answer()
        ]),
        ({ exitCode }) => exitCode !== 0
      )
      assert.strictEqual(exitCode, 1)
      assert.match(stdout, /showed version 1 for @\d+, which was published as version/)
    })))
})
