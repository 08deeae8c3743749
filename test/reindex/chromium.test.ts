import { describe } from "vitest"
import { findChromium, layerChromium } from "../../src/reindex/chromium/layer.ts"
import { prerenderer } from "./prerenderer.ts"

// Where it is required, its absence is a failure of every test.
const skipped = findChromium() === undefined && process.env["LOCKSTEP_TEST_CHROMIUM"] !== "required"

if (skipped) {
  console.warn("The Chromium prerenderer is not tested: there is no Chromium here (apt-get install chromium)")
}

describe.skipIf(skipped)("Chromium", () => {
  prerenderer("in Chromium", layerChromium({ timeoutMillis: 10_000 }))
})
