import { Effect, type Scope } from "effect"
import type { Browser, BrowserContextOptions, Page } from "playwright-core"
import { findChromium } from "../../../src/reindex/chromium/layer.ts"

/** Where Chromium is required, its absence is a failure of every test. */
export const isSkipped = findChromium() === undefined && process.env["LOCKSTEP_TEST_CHROMIUM"] !== "required"

if (isSkipped) {
  console.warn("The dashboard is not tried in a browser: there is no Chromium here (apt-get install chromium)")
}

export const launchChromium: Effect.Effect<Browser, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const { chromium } = await import("playwright-core")
    const executablePath = findChromium()
    if (executablePath === undefined) throw new Error("there is no Chromium here (apt-get install chromium)")
    return await chromium.launch({
      executablePath,
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
      timeout: 120_000
    })
  }),
  (browser) => Effect.promise(() => browser.close())
)

/** A page of its own, and everything that the browser complains of. */
export const openPage = (
  browser: Browser,
  options: BrowserContextOptions = {}
): Effect.Effect<{ readonly page: Page; readonly complaints: ReadonlyArray<string> }, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const context = await browser.newContext({ viewport: { width: 1600, height: 1000 }, ...options })
      const page = await context.newPage()
      page.setDefaultTimeout(60_000)
      const complaints: Array<string> = []
      page.on("console", (message) => {
        if (message.type() === "error" || message.type() === "warning") complaints.push(message.text())
      })
      page.on("pageerror", (error) => complaints.push(error.message))
      return { context, page, complaints }
    }),
    ({ context }) => Effect.promise(() => context.close())
  )

/** Texts whose contrast with what is behind them is below 4.5 to 1 (WCAG 2.2, 1.4.3). Runs in the page. */
export const faintTexts = (page: Page): Promise<ReadonlyArray<string>> =>
  page.evaluate<ReadonlyArray<string>>(`(() => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })
    const rgba = (colour) => {
      canvas.clearRect(0, 0, 1, 1)
      canvas.fillStyle = colour
      canvas.fillRect(0, 0, 1, 1)
      return Array.from(canvas.getImageData(0, 0, 1, 1).data)
    }
    const luminance = ([r, g, b]) => [r, g, b]
      .map((each) => each / 255)
      .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
      .reduce((sum, each, index) => sum + each * [0.2126, 0.7152, 0.0722][index], 0)
    const groundOf = (element) => {
      for (let each = element; each !== null; each = each.parentElement) {
        const ground = rgba(getComputedStyle(each).backgroundColor)
        if (ground[3] === 255) return ground
      }
      return [255, 255, 255, 255]
    }
    const faint = new Set()
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (texts.nextNode()) {
      const text = texts.currentNode.textContent.trim()
      const element = texts.currentNode.parentElement
      if (text === "" || element.closest(".unseen, option, script, noscript") !== null) continue
      const [a, b] = [rgba(getComputedStyle(element).color), groundOf(element)].map(luminance).toSorted((x, y) => y - x)
      if ((a + 0.05) / (b + 0.05) < 4.5) faint.add(text.slice(0, 40) + " " + ((a + 0.05) / (b + 0.05)).toFixed(2))
    }
    return Array.from(faint)
  })()`)
