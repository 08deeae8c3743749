import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { SignJWT } from "jose"
import { eventually } from "../../support/eventually.ts"
import { Fleet } from "../../support/fleet.ts"
import type { Ask } from "../../support/httpClient.ts"
import type { Replica } from "../../support/replica.ts"
import { modules, person } from "../reindex/people.ts"

const adminToken = "an-admin-token-of-a-fleet"
const secret = "a secret that the issuer of this fleet's users' tokens has"

const tokenOf = (user: string) =>
  Effect.promise(() =>
    new SignJWT({ sub: user }).setProtectedHeader({ alg: "HS256" }).setExpirationTime("1h").sign(Buffer.from(secret))
  )

/** One request with a token; with the admin's by default. */
const ask = Effect.fnUntraced(function*(replica: Replica, path: string, as = "admin", options: Ask = {}) {
  const token = as === "admin" ? adminToken : yield* tokenOf(as)
  return yield* replica.ask(path, { ...options, headers: { authorization: `Bearer ${token}`, ...options.headers } })
})

const post = (replica: Replica, path: string, body: unknown, as = "admin") =>
  ask(replica, path, as, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body)
  })

const args = ["--workers", "1", "--token", adminToken, "--jwt-secret", secret]

layer(Fleet.layer({ replicas: 2, args }), { excludeTestServices: true })(
  "access in a fleet",
  (it) => {
    it.effect("whoever may not read a realm any more is refused by every replica from the answer on (I1)", () =>
      Effect.gen(function*() {
        const { first, publicUrl, second } = yield* Fleet
        const realmURL = `${publicUrl}shared/`
        assert.strictEqual(
          (yield* post(first, "/_create-realm", { name: "shared", private: true }, "alice")).status,
          201
        )
        const put = yield* ask(first, "/shared/a.ts?wait=all", "alice", { method: "PUT", body: "export const a = 1\n" })
        assert.strictEqual(put.status, 201, put.shown)
        const published = `${publicUrl}sharedlive/`
        const publish = yield* post(
          first,
          "/_publish-realm",
          { sourceRealmURL: realmURL, publishedRealmURL: published, private: true },
          "alice"
        )
        assert.strictEqual(publish.status, 202, publish.shown)
        const statuses = (path: string, as: string) =>
          Effect.forEach([first, second], (replica) => Effect.map(ask(replica, path, as), ({ status }) => status))
        for (let round = 0; round < 5; round++) {
          for (const [url, path] of [[realmURL, "/shared/a"], [published, "/sharedlive/a"]] as const) {
            const change = (permission: string, via: Replica) =>
              post(via, "/_permissions", { realmURL: url, user: "bob", permission }, "alice")
            assert.deepStrictEqual(yield* statuses(path, "bob"), [404, 404])
            assert.strictEqual((yield* change("read", round % 2 === 0 ? first : second)).status, 200)
            assert.deepStrictEqual(yield* statuses(path, "bob"), [200, 200])
            assert.deepStrictEqual(yield* statuses(path, "bob"), [200, 200])
            assert.strictEqual((yield* change("none", round % 2 === 0 ? second : first)).status, 200)
          }
        }
        // The same of privacy itself, with finished answers on both.
        for (let round = 0; round < 5; round++) {
          const change = (visibility: string) =>
            post(round % 2 === 0 ? first : second, "/_permissions", { realmURL: published, visibility }, "alice")
          const anonymous = Effect.forEach(
            [first, second, first, second],
            (replica) => Effect.map(replica.ask("/sharedlive/a"), ({ status }) => status)
          )
          assert.deepStrictEqual(yield* anonymous, [404, 404, 404, 404])
          yield* change("public")
          assert.deepStrictEqual(yield* anonymous, [200, 200, 200, 200])
          yield* change("private")
        }
      }))

    it.effect("a private realm is rendered: replicas know each other by the database's secret, and nobody else does", () =>
      Effect.gen(function*() {
        const { first, publicUrl, second, sql } = yield* Fleet
        yield* post(first, "/_create-realm", { name: "people", private: true }, "alice")
        const operations = Object.entries({ ...modules(1), "ann.json": person("Ann") }).map(([path, content]) => ({
          op: "add",
          path,
          content
        }))
        const written = yield* post(first, "/people/_atomic", { operations }, "alice")
        assert.strictEqual(written.status, 200, written.shown)
        const html = yield* eventually(
          "the rendering is there",
          ask(second, "/people/ann", "alice", { headers: { accept: "text/html" } }),
          ({ status }) => status === 200
        )
        assert.include(html.text, "<b>person 1</b> Ann")
        assert.strictEqual(html.headers["cache-control"], "private, no-cache")
        for (const as of ["bob"]) {
          const other = yield* ask(second, "/people/ann", as, { headers: { accept: "text/html" } })
          assert.strictEqual(other.status, 404)
        }
        // What another author imports of it does not end up in that author's HTML.
        yield* post(first, "/_create-realm", { name: "thief" }, "bob")
        const stolen = [
          { op: "add", path: "person.ts", content: `export { Person } from "${publicUrl}people/person"\n` },
          { op: "add", path: "eve.json", content: person("Eve") }
        ]
        yield* post(first, "/thief/_atomic", { operations: stolen }, "bob")
        const failed = yield* eventually(
          "the thief's rendering failed",
          ask(second, "/thief/eve", "bob", { headers: { accept: "text/html" } }),
          ({ status }) => status === 422
        )
        assert.notInclude(failed.text, "<b>person")
        assert.include(failed.text, "is in no realm that is served here")
        const [row] = yield* sql("SELECT secret FROM fleet_secret")
        for (const pass of [String(row?.["secret"]), adminToken, yield* tokenOf("alice")]) {
          const forged = yield* first.ask("/people/ann.json", { headers: { "x-lockstep-fleet": pass } })
          assert.strictEqual(forged.status, 401)
        }
      }))
  }
)
