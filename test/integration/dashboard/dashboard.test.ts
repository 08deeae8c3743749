import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as crypto from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import type { Locator, Page } from "playwright-core"
import { eventually } from "../../support/eventually.ts"
import { Fleet, longLease, temporaryDirectory } from "../../support/fleet.ts"
import { cacheOf, expectProblem, expectStatus } from "../main-job/expectations.ts"
import { versioned } from "../main-job/sources.ts"
import { faintTexts, isSkipped, launchChromium, openPage } from "./chromium.ts"

const step = <A>(run: () => Promise<A>) => Effect.promise(run)

const load = async (page: Page, url: string) => {
  await page.goto(url)
  await page.getByRole("heading", { name: "Replicas" }).waitFor()
}

/** A module's history is of the moment when it was asked for, and asks members that may be late: it is asked for again. */
const appears = (page: Page, cell: Locator) =>
  eventually(
    "the history has it",
    step(async () => {
      const isThere = await cell.first().waitFor({ timeout: 3000 }).then(() => true, () => false)
      if (!isThere) await page.getByRole("button", { name: "Show" }).click()
      return isThere
    }),
    (isThere) => isThere
  )

layer(Fleet.layer({ args: longLease }), { excludeTestServices: true })("the dashboard", (it) => {
  const inChromium = it.effect.skipIf(isSkipped)

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

  inChromium(
    "shows both replicas, an event as it happens, and what happened to its module",
    () =>
      Effect.gen(function*() {
        const { first, publish, realm, second, unused } = yield* Fleet
        const source = yield* realm({ "seen.ts": versioned(1) })
        const target = unused()
        expectStatus(yield* second.ask(source.path("seen.ts")), 200)
        const { complaints, page } = yield* openPage(yield* launchChromium)
        yield* step(() => load(page, `${first.url}/_dashboard`))
        const replicas = page.getByRole("table", { name: "Replicas" })
        for (const name of ["replica-1", "replica-2"]) {
          yield* step(() => replicas.getByRole("rowheader", { name }).waitFor())
        }
        yield* step(() => replicas.getByText("Well").nth(1).waitFor())
        assert.strictEqual(yield* step(() => replicas.getByText("Well").count()), 2)
        yield* step(() => page.getByText("All 2 replicas answer").waitFor())
        yield* step(() => page.getByText("Live", { exact: true }).waitFor())
        const events = page.getByRole("list", { name: "Events" })
        // The publish is made by the other replica than the one that the page is of.
        expectStatus(yield* publish(source, target, second), 202)
        const place = new URL(target.url).pathname
        yield* step(() =>
          events.getByRole("listitem").filter({ hasText: place }).filter({ hasText: "Published" })
            .filter({ hasText: "2 of 2 replicas applied it" }).first().waitFor()
        )
        yield* step(() =>
          events.getByRole("listitem").filter({ hasText: place }).filter({ hasText: "by a publish on replica-2" })
            .first().waitFor()
        )
        yield* step(() => page.getByRole("table", { name: "Realms" }).getByText(place).waitFor())

        // An event leads to its module.
        const put = yield* second.ask(source.path("seen.ts?wait=all"), { method: "PUT", body: versioned(2) })
        expectStatus(put, 200)
        yield* step(() => events.getByRole("button", { name: "seen.ts" }).first().click())
        const history = page.getByRole("table", { name: "What happened to the module" })
        for (const name of ["Voided by a write on replica-2", "Voided by a write here", /^Transpiled in/]) {
          yield* appears(page, history.getByRole("cell", { name }))
        }
        yield* step(() => page.getByText(/Last transpiled by replica-2 at .*Since then: voided by/).waitFor())
        assert.deepStrictEqual(complaints, [])
      }).pipe(Effect.scoped)
  )

  inChromium("can be used with the keyboard alone, and speaks to a screen reader", () =>
    Effect.gen(function*() {
      const { first, realm } = yield* Fleet
      const source = yield* realm({ "keys.ts": versioned(1) })
      expectStatus(yield* first.ask(source.path("keys.ts")), 200)
      const { complaints, page } = yield* openPage(yield* launchChromium, { reducedMotion: "reduce" })
      yield* step(() => load(page, `${first.url}/_dashboard`))
      const focused = () => page.evaluate<string>("document.activeElement.textContent || document.activeElement.id")
      yield* step(() => page.keyboard.press("Tab"))
      assert.strictEqual(yield* step(focused), "Skip to the fleet")
      yield* step(() => page.keyboard.press("Tab"))
      assert.strictEqual(yield* step(focused), "Pause")
      yield* step(() => page.keyboard.press("Space"))
      yield* step(() => page.getByRole("button", { name: "Resume", pressed: true }).waitFor())
      yield* step(() => page.keyboard.press("Enter"))
      yield* step(() => page.getByRole("button", { name: "Pause", pressed: false }).waitFor())
      yield* step(() => page.keyboard.press("Tab"))
      // Once down is light, twice dark.
      yield* step(() => page.keyboard.press("ArrowDown"))
      yield* step(() => page.keyboard.press("ArrowDown"))
      assert.strictEqual(yield* step(() => page.evaluate("document.documentElement.dataset.theme")), "dark")

      const event = page.getByRole("list", { name: "Events" }).getByRole("button", { name: "keys.ts" }).first()
      yield* step(() => event.waitFor())
      const isReached = () => event.evaluate((element) => element === element.ownerDocument.activeElement)
      for (let presses = 0; presses < 80 && !(yield* step(isReached)); presses++) {
        yield* step(() => page.keyboard.press("Tab"))
      }
      yield* step(() => page.keyboard.press("Enter"))
      assert.strictEqual(yield* step(focused), "What happened to a module")
      yield* step(() => page.getByRole("cell", { name: /^Transpiled in/ }).waitFor())
      assert.strictEqual(
        yield* step(() => page.getByRole("textbox", { name: "URL of a module" }).inputValue()),
        `${source.url}keys.ts`
      )

      for (const role of ["banner", "main", "contentinfo", "search"] as const) {
        assert.strictEqual(yield* step(() => page.getByRole(role).count()), 1, role)
      }
      const headings = yield* step(() =>
        page.getByRole("heading").evaluateAll((all) => all.map(({ tagName }) => tagName))
      )
      assert.deepStrictEqual(headings.slice(0, 2), ["H1", "H2"])
      for (const name of ["Where modules came from", "Publish barrier", "Staleness", "Realms", "Reindex queue"]) {
        yield* step(() => page.getByRole("heading", { name, exact: true }).waitFor())
      }
      // Every picture has a text, every control a name, and only short sentences are announced.
      assert.strictEqual(yield* step(() => page.locator("svg[role=img]:not([aria-label])").count()), 0)
      const tree = yield* step(() => page.locator("body").ariaSnapshot())
      assert.notMatch(tree, /- (?:button|link|textbox|combobox|checkbox)\s*$/m)
      assert.match(tree, /img "Publish barrier\. /)
      assert.strictEqual(yield* step(() => page.locator("ol[aria-live]").count()), 0)
      assert.deepStrictEqual(complaints, [])
    }).pipe(Effect.scoped))

  inChromium("has room at 400 and at 1600 pixels, and contrast in light and in dark", () =>
    Effect.gen(function*() {
      const { first, publish, realm, unused } = yield* Fleet
      const source = yield* realm({ "a.ts": versioned(1), "broken.ts": "export const = 1" })
      expectStatus(yield* publish(source, unused()), 202)
      expectStatus(yield* first.ask(source.path("broken.ts")), 422)
      const browser = yield* launchChromium
      const directory = process.env["LOCKSTEP_TEST_SCREENSHOTS"] ??
        (yield* temporaryDirectory("lockstep-screenshots-"))
      yield* step(() => Fs.mkdir(directory, { recursive: true }))
      const grounds = new Set<string>()
      for (const colorScheme of ["light", "dark"] as const) {
        const { complaints, page } = yield* openPage(browser, { colorScheme })
        yield* step(() => load(page, `${first.url}/_dashboard#module=${encodeURIComponent(`${source.url}broken.ts`)}`))
        yield* step(() => page.getByRole("cell", { name: /Unexpected token/ }).waitFor())
        for (const width of [1600, 400]) {
          yield* step(() => page.setViewportSize({ width, height: 1000 }))
          assert.deepStrictEqual(yield* step(() => faintTexts(page)), [], `${colorScheme} ${width}`)
          const overflow = yield* step(() => page.evaluate<number>("document.documentElement.scrollWidth - innerWidth"))
          assert.isAtMost(overflow, 0, `${colorScheme} ${width}`)
          const path = Path.join(directory, `dashboard-${colorScheme}-${width}.png`)
          yield* step(() => page.screenshot({ path, fullPage: true }))
          assert.isAbove((yield* step(() => Fs.stat(path))).size, 20_000)
        }
        grounds.add(yield* step(() => page.evaluate<string>("getComputedStyle(document.body).backgroundColor")))
        assert.deepStrictEqual(complaints, [])
      }
      assert.strictEqual(grounds.size, 2)
    }).pipe(Effect.scoped))

  inChromium(
    "asks for a token where the data is not for everybody, and sends it with every question",
    () =>
      Effect.gen(function*() {
        const { first } = yield* Fleet
        const { page } = yield* openPage(yield* launchChromium)
        const sent: Array<string> = []
        const detail = "this needs a token"
        yield* step(() =>
          page.route(/\/_(?:fleet|events|module-history)\b/, async (route) => {
            const authorization = route.request().headers()["authorization"] ?? ""
            sent.push(`${new URL(route.request().url()).pathname} ${authorization}`)
            if (authorization === "Bearer right") return await route.continue()
            return await route.fulfill({
              status: 401,
              contentType: "application/problem+json",
              body: JSON.stringify({ type: "urn:lockstep:unauthorized", title: "No", status: 401, detail })
            })
          })
        )
        yield* step(() => page.goto(`${first.url}/_dashboard`))
        const field = page.getByRole("textbox", { name: "Token" })
        yield* step(() => field.waitFor())
        yield* step(() => field.fill("wrong"))
        yield* step(() => page.keyboard.press("Enter"))
        yield* step(() => page.getByRole("alert").getByText(detail).waitFor())
        yield* step(() => field.fill("right"))
        yield* step(() => page.getByRole("button", { name: "Use it" }).click())
        yield* step(() => page.getByRole("heading", { name: "Replicas" }).waitFor())
        yield* step(() => page.getByText("Live", { exact: true }).waitFor())
        assert.includeMembers(sent, [
          "/_fleet ",
          "/_fleet Bearer wrong",
          "/_fleet Bearer right",
          "/_events Bearer right"
        ])
        // For this tab alone, until it is forgotten.
        assert.isNull(yield* step(() => page.evaluate("localStorage.getItem('lockstep-token')")))
        yield* step(() => page.getByRole("button", { name: "Forget token" }).click())
        yield* step(() => field.waitFor())
        assert.isNull(yield* step(() => page.evaluate("sessionStorage.getItem('lockstep-token')")))
      }).pipe(Effect.scoped)
  )
})
