import { pathToFileURL } from "node:url"
import type { Preset } from "../Preset.ts"
import { emberPackages, missingPackages } from "./packages.ts"

/** What the ember preset may be told. */
export interface EmberOptions {
  /**
   * Which modules have the decorators of TypeScript's `experimentalDecorators`, that Ember's own are written for: template
   * modules alone, or all. Default `templates`: others have the standard ones.
   */
  readonly legacyDecorators?: "templates" | "everywhere"
  /** Where the preset's packages are installed. Default: the working directory, or that of the configuration file. */
  readonly from?: string | URL
}

/**
 * Template modules (`.gts`, `.gjs`): content-tag, Ember's template compiler, TypeScript, and decorator-transforms. The
 * packages are the host's (docs/PRESETS.md). Where one is missing, a request for a template module says so (422), and all
 * other modules compile.
 */
export const ember = ({ from, legacyDecorators = "templates" }: EmberOptions = {}): Preset => ({
  name: "ember",
  // .ts when run from source, .js when built: whatever this file is
  module: new URL(import.meta.url.endsWith(".ts") ? "./preset.ts" : "./preset.js", import.meta.url),
  options: { legacyDecorators },
  packages: Object.keys(emberPackages),
  ...(from !== undefined && { from }),
  lacks: (directory) => missingPackages(directory)
})

/** A directory as a URL that packages are resolved from. */
export const directoryUrl = (directory: string): URL =>
  pathToFileURL(directory.endsWith("/") ? directory : `${directory}/`)
