// Writes docs/CLI.md and man/lockstep.1 from the definitions that parse the command line.
// `node tools/cli-reference.js` writes; with --check it only names the files that differ, and fails.
import { readFileSync, writeFileSync } from "node:fs"
import { Effect } from "effect"
import { entries, manual, markdown } from "../src/cli/reference.ts"

const all = await Effect.runPromise(entries)
const files = { "docs/CLI.md": markdown(all), "man/lockstep.1": manual(all) }
for (const [name, text] of Object.entries(files)) {
  const place = new URL(`../${name}`, import.meta.url)
  if (!process.argv.includes("--check")) {
    writeFileSync(place, text)
  } else if (readFileSync(place, "utf8") !== text) {
    console.error(`${name} is not what npm run reference makes`)
    process.exitCode = 1
  }
}
