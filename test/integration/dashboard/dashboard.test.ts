import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import type { Page } from "playwright-core"
import { describe } from "vitest"
import { Fleet, temporaryDirectory } from "../../support/fleet.ts"
import { expectStatus } from "../main-job/expectations.ts"
import { versioned } from "../main-job/sources.ts"
import { faintTexts, isSkipped, launchChromium, openPage } from "./chromium.ts"

const step = <A>(run: () => Promise<A>) => Effect.promise(run)

const load = async (page: Page, url: string) => {
  await page.goto(url)
  await page.getByRole("heading", { name: "Replicas" }).waitFor()
}

describe.skipIf(isSkipped)("in Chromium", () => {
  layer(Fleet.layer(), { excludeTestServices: true, timeout: "90 seconds" })("the dashboard", (it) => {
    it.effect("shows both replicas, an event as it happens, and what happened to its module", () =>
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
        yield* second.ask(source.path("seen.ts"), { method: "PUT", body: versioned(2) })
        yield* step(() => events.getByRole("button", { name: "seen.ts" }).first().click())
        const history = page.getByRole("table", { name: "What happened to the module" })
        yield* step(() => history.getByRole("cell", { name: "Voided by a write on replica-2" }).waitFor())
        yield* step(() => history.getByRole("cell", { name: "Voided by a write here" }).waitFor())
        yield* step(() => history.getByRole("cell", { name: /^Transpiled in/ }).waitFor())
        yield* step(() => page.getByText(/Last transpiled by replica-2 at .*Voided since/).waitFor())
        assert.deepStrictEqual(complaints, [])
      }).pipe(Effect.scoped))

    it.effect("can be used with the keyboard alone, and speaks to a screen reader", () =>
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

    it.effect("has room at 400 and at 1600 pixels, and contrast in light and in dark", () =>
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
          yield* step(() =>
            load(page, `${first.url}/_dashboard#module=${encodeURIComponent(`${source.url}broken.ts`)}`)
          )
          yield* step(() => page.getByRole("cell", { name: /Unexpected token/ }).waitFor())
          for (const width of [1600, 400]) {
            yield* step(() => page.setViewportSize({ width, height: 1000 }))
            assert.deepStrictEqual(yield* step(() => faintTexts(page)), [], `${colorScheme} ${width}`)
            const overflow = yield* step(() =>
              page.evaluate<number>("document.documentElement.scrollWidth - innerWidth")
            )
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

    it.effect("asks for a token where the data is not for everybody, and sends it with every question", () =>
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
      }).pipe(Effect.scoped))
  })
})
