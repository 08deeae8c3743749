import { layerChromium } from "../reindex/chromium/layer.ts"
import { layerIsolated } from "../reindex/isolated/layer.ts"

/** What a worker does, from what the command line says. */
export const reindexOptions = (
  flags: { readonly replicaUrls: ReadonlyArray<string>; readonly prerenderer: "isolated" | "chromium" }
) => ({
  urls: flags.replicaUrls,
  prerenderer: flags.prerenderer === "chromium" ? layerChromium() : layerIsolated()
})
