import { assert, it } from "@effect/vitest"
import { Context, Effect, Option } from "effect"
import { EncodingTable } from "../../src/store/EncodingTable.ts"
import { adminToken, publicUrl, securedServer } from "./securedServer.ts"

/** What of an answer may not differ between a realm that is kept from who asks and one that does not exist. */
const tellTale = (
  { headers, status, text }: { readonly headers: object; readonly status: number; readonly text: string },
  name: string
) => {
  const others = Object.entries(headers).filter(([header]) => header !== "date" && header !== "content-length")
  return { status, headers: Object.fromEntries(others), text: text.replaceAll(name, "REALM") }
}

it.live(
  "to whoever may not read it, a private realm looks as if there were none, whatever is asked",
  () =>
    Effect.gen(function*() {
      const server = yield* securedServer()
      const files = { "a.ts": "export const a = 1\n", "data/x.json": "{}", "page.html": "<p>secret</p>" }
      yield* server.realm("kept", files, { isPrivate: true, owner: "alice" })
      assert.strictEqual((yield* server.publish("kept", "keptlive", { private: true, as: "alice" })).status, 202)
      const etag = String((yield* server.ask("/kept/a", { as: "alice" })).headers.etag)
      const questions: ReadonlyArray<readonly [string, Readonly<Record<string, string>>, string?]> = [
        ["/", {}],
        ["", {}],
        ["/a", {}],
        ["/a.ts", {}],
        ["/a.ts", {}, "HEAD"],
        ["/a.ts?source", {}],
        ["/a.ts.map", {}],
        ["/a", { "if-none-match": etag }],
        ["/a", { "if-none-match": "*" }],
        ["/a", { accept: "text/html" }],
        ["/a", { "x-lockstep-min-generation": "1" }],
        ["/a", { "x-lockstep-min-generation": "999" }],
        ["/page.html", {}],
        ["/data/", {}],
        ["/data", {}],
        ["/no-such-file", {}],
        ["/_definitions?module=a", {}],
        ["/_definitions", {}],
        ["/_index?path=a", {}],
        ["/_readiness-check", {}],
        ["/_readiness-check", { accept: "text/event-stream" }],
        ["/_atomic", {}],
        ["/@1/a.ts", {}],
        ["/@999/a.ts", {}],
        ["/.hidden", {}],
        ["/a", { origin: "http://evil.test" }]
      ]
      for (const as of [undefined, "bob"]) {
        for (const name of ["kept", "keptlive"]) {
          const absent = name.replace("kept", "none")
          for (const [path, headers, method = "GET"] of questions) {
            const question = `${as} ${method} ${name}${path} ${JSON.stringify(headers)}`
            const options = { method, headers, ...as === undefined ? {} : { as } }
            const found = yield* server.ask(`/${name}${path}`, options)
            const other = yield* server.ask(`/${absent}${path}`, options)
            assert.strictEqual(found.status, 404, question)
            assert.deepStrictEqual(tellTale(found, name), tellTale(other, absent), question)
          }
        }
      }
      // And to those who write: without credentials whatever is there, and with them as if it were not.
      for (const [method, path] of [["PUT", "/a.ts"], ["DELETE", "/a.ts"], ["POST", "/_atomic"]] as const) {
        for (const [as, status] of [[undefined, 401], ["bob", 404]] as const) {
          const options = { method, body: "x", ...as === undefined ? {} : { as } }
          const found = yield* server.ask(`/kept${path}`, options)
          const other = yield* server.ask(`/none${path}`, options)
          assert.strictEqual(found.status, status, `${as} ${method} ${path}`)
          assert.deepStrictEqual(tellTale(found, "kept"), tellTale(other, "none"))
        }
      }
      for (const path of ["_delete-realm", "_invalidate", "_reindex", "_permissions"]) {
        const ask = (name: string) =>
          server.post(`/${path}`, { realmURL: `${publicUrl}${name}/`, visibility: "public" }, "bob")
        const found = yield* ask("kept")
        assert.strictEqual(found.status, 404, path)
        assert.deepStrictEqual(tellTale(found, "kept"), tellTale(yield* ask("none"), "none"), path)
      }
      assert.strictEqual((yield* server.publish("kept", "stolen", { as: "bob" })).status, 404)
      assert.strictEqual((yield* server.ask("/kept/a", { as: "alice" })).status, 200)
    }).pipe(Effect.scoped)
)

it.live(
  "a published realm that becomes private is kept from the next request on, finished answers and tags included",
  () =>
    Effect.gen(function*() {
      const server = yield* securedServer()
      yield* server.realm("notes1", { "a.ts": "export const a = 1\n" }, { owner: "alice" })
      yield* server.publish("notes1", "live", { as: "alice" })
      const etag = String((yield* server.ask("/live/a")).headers.etag)
      // Finished by now: this one is not routed any more.
      const open = yield* server.ask("/live/a")
      assert.strictEqual(open.status, 200)
      assert.strictEqual(open.headers["x-lockstep-cache"], "l1")
      assert.strictEqual(open.headers["access-control-allow-origin"], "*")
      assert.match(String(open.headers["cache-control"]), /^public/)
      const change = (visibility: string) =>
        server.post("/_permissions", { realmURL: `${publicUrl}live/`, visibility }, "alice")
      assert.strictEqual((yield* change("private")).status, 200)
      for (const headers of [{}, { "if-none-match": etag }, { "if-none-match": "*" }]) {
        assert.strictEqual((yield* server.ask("/live/a", { headers })).status, 404)
        assert.strictEqual((yield* server.ask("/live/@1/a", { headers })).status, 404)
      }
      // Its owner reads it, twice, and nobody after the owner.
      for (const round of [1, 2]) {
        const own = yield* server.ask("/live/a", { as: "alice" })
        assert.strictEqual(own.status, 200, `round ${round}`)
        assert.strictEqual(own.headers["cache-control"], "private, no-cache")
        assert.isUndefined(own.headers["access-control-allow-origin"])
        assert.strictEqual(own.headers["cross-origin-resource-policy"], "same-origin")
        assert.match(String(own.headers.vary), /authorization/)
        assert.strictEqual((yield* server.ask("/live/a")).status, 404)
      }
      const tagged = yield* server.ask("/live/a", { as: "alice", headers: { "if-none-match": etag } })
      assert.strictEqual(tagged.status, 304)
      assert.strictEqual(tagged.headers["cache-control"], "private, no-cache")
      const version = yield* server.ask("/live/@1/a", { as: "alice" })
      assert.strictEqual(version.status, 200)
      assert.strictEqual(version.headers["cache-control"], "private, no-cache")
      assert.strictEqual((yield* change("public")).status, 200)
      assert.strictEqual((yield* server.ask("/live/a")).status, 200)
      // A publish keeps what it is, unless it says otherwise.
      yield* change("private")
      yield* server.publish("notes1", "live", { as: "alice" })
      assert.strictEqual((yield* server.ask("/live/a")).status, 404)
      yield* server.publish("notes1", "live", { as: "alice", private: false })
      assert.strictEqual((yield* server.ask("/live/a")).status, 200)
    }).pipe(Effect.scoped)
)

it.live("permission is given and taken by owners, and obeyed from the answer on", () =>
  Effect.gen(function*() {
    const server = yield* securedServer()
    const realmURL = yield* server.realm("shared", { "a.ts": "export const a = 1\n" }, {
      isPrivate: true,
      owner: "alice"
    })
    const change = (user: string, permission: string, as = "alice") =>
      server.post("/_permissions", { realmURL, user, permission }, as)
    const put = (as: string) => server.ask("/shared/b.ts", { method: "PUT", body: "export const b = 2\n", as })
    const read = (as: string) => server.ask("/shared/a", { as })
    assert.strictEqual((yield* read("bob")).status, 404)
    const given = yield* change("bob", "read")
    assert.deepInclude(given.json, {
      visibility: "private",
      permissions: [{ user: "alice", permission: "owner" }, { user: "bob", permission: "read" }]
    })
    assert.strictEqual((yield* read("bob")).status, 200)
    assert.strictEqual((yield* put("bob")).status, 403)
    // Who may read knows that it is there, and may not manage it.
    for (
      const [path, body] of [
        ["/_permissions", { realmURL, user: "bob", permission: "owner" }],
        ["/_permissions", { realmURL, visibility: "public" }],
        ["/_delete-realm", { realmURL }],
        ["/_invalidate", { realmURL }],
        ["/_reindex", { realmURL }]
      ] as const
    ) assert.strictEqual((yield* server.post(path, body, "bob")).status, 403, path)
    assert.strictEqual((yield* server.publish("shared", "bobs", { as: "bob" })).status, 403)
    yield* change("bob", "write")
    assert.strictEqual((yield* put("bob")).status, 201)
    assert.strictEqual((yield* server.post("/_invalidate", { realmURL }, "bob")).status, 200)
    assert.strictEqual((yield* server.publish("shared", "bobs", { as: "bob" })).status, 403)
    assert.strictEqual(
      (yield* server.ask(`/_permissions?realmURL=${encodeURIComponent(realmURL)}`, { as: "bob" })).status,
      403
    )
    yield* change("bob", "none")
    assert.strictEqual((yield* read("bob")).status, 404)
    assert.strictEqual((yield* put("bob")).status, 404)
    // Of a public realm everybody reads, and nobody else writes.
    yield* server.post("/_permissions", { realmURL, visibility: "public" }, "alice")
    assert.strictEqual((yield* read("bob")).status, 200)
    assert.strictEqual((yield* put("bob")).status, 403)
    // Who makes a realm of that name anew does not inherit anybody.
    yield* change("bob", "read")
    yield* server.post("/_delete-realm", { realmURL }, "alice")
    yield* server.realm("shared", { "a.ts": "export const a = 2\n" }, { isPrivate: true, owner: "carol" })
    for (const as of ["alice", "bob"]) assert.strictEqual((yield* read(as)).status, 404, as)
    assert.strictEqual((yield* read("carol")).status, 200)
    assert.strictEqual((yield* read("admin")).status, 200)
    for (
      const wrong of [
        { realmURL },
        { realmURL, user: "x" },
        { realmURL, permission: "read" },
        { realmURL, user: "", permission: "read" },
        { realmURL, user: "a\nb", permission: "read" },
        { realmURL, user: "x", permission: "all" }
      ]
    ) assert.strictEqual((yield* server.post("/_permissions", wrong)).status, 400, JSON.stringify(wrong))
  }).pipe(Effect.scoped))

it.live(
  "a user publishes what it owns, to what it owns or to what is free under the public URL",
  () =>
    Effect.gen(function*() {
      const server = yield* securedServer()
      yield* server.realm("hers", { "a.ts": "export const a = 1\n" }, { owner: "alice" })
      yield* server.realm("his", { "a.ts": "export const a = 2\n" }, { owner: "bob" })
      assert.strictEqual((yield* server.publish("hers", "front", { as: "alice" })).status, 202)
      assert.strictEqual((yield* server.publish("his", "front", { as: "bob" })).status, 403)
      assert.strictEqual((yield* server.publish("hers", "back", { as: "bob" })).status, 403)
      const elsewhere = (as: string) =>
        server.post(
          "/_publish-realm",
          { sourceRealmURL: `${publicUrl}his/`, publishedRealmURL: "http://bob.test/" },
          as
        )
      assert.strictEqual((yield* elsewhere("bob")).status, 403, "a host is the admin's to give")
      yield* server.post("/_permissions", { realmURL: "http://bob.test/", user: "bob", permission: "owner" })
      assert.strictEqual((yield* elsewhere("bob")).status, 202)
      const unpublish = (as: string) =>
        server.post("/_unpublish-realm", { publishedRealmURL: `${publicUrl}front/` }, as)
      assert.strictEqual((yield* unpublish("bob")).status, 403)
      assert.strictEqual((yield* unpublish("alice")).status, 200)
      assert.strictEqual((yield* server.publish("his", "front", { as: "bob" })).status, 202)
      // The server's own files are not a user's to publish.
      const { status } = yield* server.post("/_create-realm", { name: "etc", from: "/etc" }, "alice")
      assert.strictEqual(status, 403)
      assert.strictEqual((yield* server.ask("/etc/")).status, 404)
    }).pipe(Effect.scoped)
)

it.live("nothing that lists or counts realms names one to whoever may not read it", () =>
  Effect.gen(function*() {
    const server = yield* securedServer()
    yield* server.realm("seen", { "a.ts": "export const a = 1\n" })
    yield* server.realm("unseen", { "a.ts": "export const a = 1\n" }, { isPrivate: true, owner: "alice" })
    yield* server.ask("/unseen/a", { as: "alice" })
    yield* server.post("/_reindex", { realmURL: `${publicUrl}unseen/` })
    for (const path of ["/_realms", "/_status"]) {
      assert.strictEqual((yield* server.ask(path)).status, 401)
      const bobs = yield* server.ask(path, { as: "bob" })
      assert.strictEqual(bobs.status, 200)
      assert.include(bobs.text, "seen/")
      assert.notInclude(bobs.text, "unseen", path)
      for (const as of ["alice", "admin"]) assert.include((yield* server.ask(path, { as })).text, "unseen", as)
    }
    for (const path of ["/_metrics", "/_no-such-endpoint"]) {
      assert.strictEqual((yield* server.ask(path)).status, 401, path)
      assert.strictEqual((yield* server.ask(path, { as: "bob" })).status, 403, path)
    }
    // A nested URL must not name the realm that is in the way.
    const nested = yield* server.post("/_publish-realm", {
      sourceRealmURL: yield* server.realm("bobs", {}, { owner: "bob" }),
      publishedRealmURL: `${publicUrl}unseen/below/`
    }, "bob")
    assert.strictEqual(nested.status, 409)
    assert.notInclude(nested.text.replace("unseen/below", ""), "unseen")
  }).pipe(Effect.scoped))

it.live(
  "a definition is made from its realm and from public ones: what another keeps is as if it were not there",
  () =>
    Effect.gen(function*() {
      const server = yield* securedServer()
      const base = "export class Base { hidden: string = '' }\n"
      yield* server.realm("vault", { "base.ts": base, "own.ts": `export { Base } from "./base"\n` }, {
        isPrivate: true,
        owner: "alice"
      })
      const child = (from: string) => `export { Base } from "${publicUrl}${from}/base"\nexport const own = 1\n`
      yield* server.realm("mallory", { "child.ts": child("vault"), "nowhere.ts": child("nothing") }, { owner: "bob" })
      const definitions = (path: string, as: string) => server.ask(path, { as })
      const masked = (text: string) => text.replaceAll(/vault|nothing/g, "X").replaceAll(/child|nowhere/g, "Y")
      const kept = yield* definitions("/mallory/_definitions?module=child", "bob")
      assert.strictEqual(kept.status, 200)
      assert.notInclude(kept.text, "hidden")
      assert.strictEqual(
        masked(kept.text),
        masked((yield* definitions("/mallory/_definitions?module=nowhere", "bob")).text)
      )
      // Nor for who could read both: what is made is kept, for whoever asks next.
      assert.notInclude((yield* definitions("/mallory/_definitions?module=child", "admin")).text, "hidden")
      // A realm's own modules are its readers'.
      assert.include((yield* definitions("/vault/_definitions?module=own", "alice")).text, "hidden")
      const change = (visibility: string) =>
        server.post("/_permissions", { realmURL: `${publicUrl}vault/`, visibility })
      yield* change("public")
      assert.include((yield* definitions("/mallory/_definitions?module=child", "bob")).text, "hidden")
      yield* change("private")
      assert.notInclude((yield* definitions("/mallory/_definitions?module=child", "bob")).text, "hidden")
    }).pipe(Effect.scoped)
)

it.live(
  "that bytes were transpiled or compressed in a private realm cannot be told from another realm",
  () =>
    Effect.gen(function*() {
      const server = yield* securedServer()
      const secret = `export const secret: string = ${JSON.stringify("x".repeat(4000))}\n`
      yield* server.realm("deep", { "s.ts": secret }, { isPrivate: true, owner: "alice" })
      assert.strictEqual((yield* server.ask("/deep/s", { as: "alice" })).headers["x-lockstep-cache"], "transpiled")
      yield* server.realm("probe", { "s.ts": secret }, { owner: "bob" })
      assert.strictEqual((yield* server.ask("/probe/s", { as: "bob" })).headers["x-lockstep-cache"], "transpiled")
      // Nor whether they were compressed: what was is known by the realm.
      const compressed = yield* server.ask("/deep/s", { as: "alice", headers: { "accept-encoding": "br" } })
      assert.strictEqual(compressed.headers["content-encoding"], "br")
      const tag = String((yield* server.ask("/deep/s", { as: "alice" })).headers.etag)
      const encodings = Context.get(server.services, EncodingTable)
      assert.isTrue(Option.isNone(yield* encodings.read(tag, "br")))
      assert.isTrue(Option.isSome(yield* encodings.read(`${tag} ${publicUrl}deep/`, "br")))
      // A publication of it shares with it, and transpiles nothing.
      yield* server.publish("deep", "deeplive", { as: "alice", private: true })
      assert.strictEqual((yield* server.ask("/deeplive/s", { as: "alice" })).headers["x-lockstep-cache"], "l2")
      // A realm that becomes private shares from then on with nobody.
      yield* server.realm("late", { "t.ts": secret }, { owner: "alice" })
      yield* server.post("/_permissions", { realmURL: `${publicUrl}late/`, visibility: "private" }, "alice")
      yield* server.ask("/late/u.ts", { method: "PUT", body: secret, as: "alice" })
      assert.strictEqual((yield* server.ask("/late/u", { as: "alice" })).headers["x-lockstep-cache"], "transpiled")
      yield* server.ask("/probe/u.ts", { method: "PUT", body: secret, as: "bob" })
      assert.strictEqual((yield* server.ask("/probe/u", { as: "bob" })).headers["x-lockstep-cache"], "transpiled")
    }).pipe(Effect.scoped)
)

it.live(
  "credentials that are not good are refused for whatever is asked, and none is enough for what is public",
  () =>
    Effect.gen(function*() {
      const server = yield* securedServer()
      yield* server.realm("open", { "a.ts": "export const a = 1\n" })
      yield* server.publish("open", "openlive")
      for (const round of [1, 2]) {
        for (const path of ["/openlive/a", "/open/a", "/none/a", "/_realms", "/_health"]) {
          for (
            const authorization of [
              "Bearer wrong",
              `Bearer ${adminToken.slice(0, -1)}`,
              `Bearer ${adminToken}x`,
              `Basic ${adminToken}`,
              adminToken,
              "Bearer",
              "",
              `Bearer ${"a".repeat(9000)}`,
              "Bearer a.b.c"
            ]
          ) {
            const refused = yield* server.ask(path, { headers: { authorization } })
            assert.strictEqual(refused.status, 401, `${round} ${path} ${authorization.slice(0, 50)}`)
            assert.include(String(refused.headers["www-authenticate"]), `error="invalid_token"`)
            assert.strictEqual(refused.headers["cache-control"], "no-store")
          }
          assert.strictEqual((yield* server.ask(path, { headers: { "x-lockstep-fleet": "x.y.z" } })).status, 401)
        }
        assert.strictEqual((yield* server.ask("/openlive/a")).status, 200)
      }
      assert.strictEqual((yield* server.ask("/_health")).status, 200)
      // A probe brings no token, nor does a browser that opens a page.
      for (const path of ["/_openapi.json", "/_ready", "/_docs", "/_dashboard"]) {
        assert.strictEqual((yield* server.ask(path)).status, 200, path)
      }
      const none = yield* server.ask("/_realms")
      assert.strictEqual(none.status, 401)
      assert.strictEqual(none.headers["www-authenticate"], `Bearer realm="lockstep"`)
      assert.strictEqual(none.json["type"], "urn:lockstep:unauthenticated")
    }).pipe(Effect.scoped)
)
