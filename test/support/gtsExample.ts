import { existsSync } from "node:fs"
import { fileURLToPath } from "node:url"

/** The example project of template modules: its directory, as a URL that packages are resolved from. */
export const gtsExample = new URL("../../examples/gts/", import.meta.url)

const installed = existsSync(new URL("node_modules/ember-source/package.json", gtsExample))

if (!installed && process.env["LOCKSTEP_TEST_GTS"] === "required") {
  throw new Error(`LOCKSTEP_TEST_GTS is required: run npm ci --prefix ${fileURLToPath(gtsExample)}`)
}

/** Its packages are not the project's: what needs them is tested where they are. */
export const withoutGtsPackages = !installed
