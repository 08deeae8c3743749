import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as crypto from "node:crypto"
import { Fleet } from "../../support/fleet.ts"
import { cacheOf, expectProblem, expectStatus } from "../main-job/expectations.ts"

layer(Fleet.layer(), { excludeTestServices: true, timeout: "60 seconds" })("the dashboard's realm", (it) => {
  it.effect("its modules go the way of all modules: one replica transpiles, the other shares, and memory answers then", () =>
    Effect.gen(function*() {
      const { first, second } = yield* Fleet
      const path = "/_dashboard/main.tsx"
      const made = expectStatus(yield* first.ask(path), 200)
      assert.strictEqual(cacheOf(made), "transpiled")
      assert.match(made.headers["content-type"] ?? "", /^text\/javascript\b/)
      assert.include(made.text, "preact/jsx-runtime")
      const shared = expectStatus(yield* second.ask(path), 200)
      assert.strictEqual(cacheOf(shared), "l2")
      assert.deepStrictEqual(shared.body, made.body)
      for (const replica of [first, second]) assert.strictEqual(cacheOf(yield* replica.ask(path)), "l1")
      const etag = String(made.headers["etag"])
      assert.strictEqual((yield* second.ask(path, { headers: { "if-none-match": etag } })).status, 304)
    }))

  it.effect("it is in no list of realms, has no row, and nobody can write to it or leave it", () =>
    Effect.gen(function*() {
      const { first, sql } = yield* Fleet
      expectStatus(yield* first.ask("/_dashboard/theme.ts"), 200)
      for (const path of ["/_realms", "/_fleet"]) assert.notInclude((yield* first.ask(path)).text, "lockstep:dashboard")
      const rows = yield* sql("SELECT 1 FROM realm_generations WHERE realm_url LIKE 'lockstep:%'")
      assert.isEmpty(rows)
      for (const method of ["PUT", "DELETE", "POST", "PATCH"]) {
        const refused = yield* first.ask("/_dashboard/theme.ts", { method, body: "x" })
        expectProblem(refused, 405)
        assert.strictEqual(refused.headers["allow"], "GET, HEAD")
      }
      for (
        const path of [
          "/_dashboard/nothing.tsx",
          "/_dashboard/../package.json",
          "/_dashboard/%2e%2e/package.json",
          "/_dashboard/vendor/../theme.ts",
          "/_dashboard/tsconfig.json",
          "/_dashboards"
        ]
      ) {
        expectProblem(yield* first.ask(path), 404)
      }
      assert.strictEqual((yield* first.ask("/_dashboard/", {})).headers["location"], "../_dashboard")
    }))

  it.effect("the page loads nothing from elsewhere, and runs no script but its own", () =>
    Effect.gen(function*() {
      const { first } = yield* Fleet
      const page = expectStatus(yield* first.ask("/_dashboard"), 200)
      assert.strictEqual(page.headers["content-type"], "text/html; charset=utf-8")
      const policy = String(page.headers["content-security-policy"])
      for (const part of ["default-src 'none'", "frame-ancestors 'none'", "connect-src 'self'", "base-uri 'none'"]) {
        assert.include(policy, part)
      }
      assert.notMatch(policy, /unsafe|https?:|\*/)
      const inline = Array.from(page.text.matchAll(/<script(?![^>]*\bsrc=)[^>]*>([^]*?)<\/script>/g), ([, text]) =>
        text ?? "")
      assert.lengthOf(inline, 1)
      const hash = crypto.createHash("sha256").update(inline[0] ?? "").digest("base64")
      assert.include(policy, `script-src 'self' 'sha256-${hash}'`)
      assert.notMatch(page.text, /(?:src|href)="(?:https?:)?\/\//)
      const { imports } = JSON.parse(inline[0] ?? "{}") as { readonly imports: Readonly<Record<string, string>> }
      assert.sameMembers(Object.keys(imports), ["preact", "preact/hooks", "preact/jsx-runtime"])
      for (const target of Object.values(imports)) {
        const vendored = expectStatus(yield* first.ask(new URL(target, `${first.url}/_dashboard`).pathname), 200)
        assert.match(vendored.headers["content-type"] ?? "", /^text\/javascript\b/)
      }
    }))
})
