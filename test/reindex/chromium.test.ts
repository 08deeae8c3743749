import { it } from "vitest"
import { findChromium, layerChromium } from "../../src/reindex/chromium/layer.ts"
import { prerenderer } from "./prerenderer.ts"

const chromium = findChromium()

if (chromium !== undefined) {
  prerenderer("in Chromium", layerChromium({ timeoutMillis: 4000 }))
} else if (process.env["LOCKSTEP_TEST_CHROMIUM"] === "required") {
  it("Chromium is there, as LOCKSTEP_TEST_CHROMIUM requires", () => {
    throw new Error("no Chromium was found")
  })
} else {
  it.skip("Prerenderer in Chromium: skipped, as there is no Chromium on this machine", () => {})
}
