import { createRequire } from "node:module"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const require = createRequire(import.meta.url)

const { version }: { readonly version: string } = require("../../package.json")

/** This package's version. */
export { version }

/** The dashboard's own source, beside `src` and `dist` alike. */
export const dashboardDirectory = fileURLToPath(new URL("../../dashboard/", import.meta.url))

const preact = path.dirname(require.resolve("preact/package.json"))

/** What the dashboard's modules import by bare names, and where those files are: preact comes from npm as ES modules. */
export const vendored: ReadonlyMap<string, { readonly specifier: string; readonly file: string }> = new Map([
  ["preact.js", { specifier: "preact", file: path.join(preact, "dist/preact.mjs") }],
  ["hooks.js", { specifier: "preact/hooks", file: path.join(preact, "hooks/dist/hooks.mjs") }],
  ["jsx-runtime.js", { specifier: "preact/jsx-runtime", file: path.join(preact, "jsx-runtime/dist/jsxRuntime.mjs") }]
])
