import * as fs from "node:fs"
import { registerHooks } from "node:module"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { type Mutant, mutants } from "./mutants.ts"

const root = path.resolve(import.meta.dirname, "../..")
const own = [pathToFileURL(`${root}/src/`).href, pathToFileURL(`${root}/test/`).href]

/** The text with the mutant's edits of this file; fails loudly when one of them no longer fits. */
const mutate = (mutant: Mutant, file: string, text: string): string =>
  mutant.edits.filter((edit) => edit.file === file).reduce((edited, { find, replace }) => {
    const parts = edited.split(find)
    if (parts.length !== 2) {
      throw new Error(`mutant ${mutant.name}: found ${parts.length - 1} times in ${file}: ${find}`)
    }
    return parts.join(replace)
  }, text)

/** Every edit of every mutant is tried: a change of the code must not leave one without effect. */
export const checkMutants = (): void => {
  for (const mutant of mutants) {
    for (const { file } of mutant.edits) mutate(mutant, file, fs.readFileSync(path.join(root, file), "utf8"))
  }
}

/**
 * Lets modules be imported as `?mutant=NAME`: that module and all of this project's that it imports are loaded anew, with
 * the mutant's edits. The code on disk has no trace of mutants.
 */
export const hookMutants = (): void => {
  const byName = new Map(mutants.map((mutant) => [mutant.name, mutant]))
  registerHooks({
    resolve: (specifier, context, next) => {
      const resolved = next(specifier, context)
      const query = context.parentURL === undefined ? "" : new URL(context.parentURL).search
      return query !== "" && own.some((prefix) => resolved.url.startsWith(prefix)) && !resolved.url.includes("?")
        ? { ...resolved, url: resolved.url + query }
        : resolved
    },
    load: (url, context, next) => {
      const loaded = next(url, context)
      const mutant = url.includes("?mutant=") ? byName.get(new URL(url).searchParams.get("mutant") ?? "") : undefined
      if (mutant === undefined) return loaded
      const file = path.relative(root, fileURLToPath(url.slice(0, url.indexOf("?"))))
      return { ...loaded, source: mutate(mutant, file, Buffer.from(loaded.source as Uint8Array | string).toString()) }
    }
  })
}
