import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { Effect, FileSystem } from "effect"
import { CurrentConfig } from "../config/configured.ts"

/**
 * Writes the configuration of the demo's replicas, and returns its path: how modules are compiled is the user's, and
 * nothing else, such as a database.
 */
export const demoConfig = Effect.fnUntraced(function*(directory: string) {
  const { file, packagesFrom } = yield* CurrentConfig
  if (file === undefined) return "none"
  const fs = yield* FileSystem.FileSystem
  const own = path.join(directory, "lockstep.config.mjs")
  yield* fs.writeFileString(
    own,
    [
      `import config from ${JSON.stringify(pathToFileURL(file))}`,
      "const { jsxImportSource, preset, transpileTimeout, transpiler, workers } = config",
      `const packagesFrom = ${JSON.stringify(packagesFrom)}`,
      "export default { jsxImportSource, packagesFrom, preset, transpileTimeout, transpiler, workers }",
      ""
    ].join("\n")
  )
  return own
})
