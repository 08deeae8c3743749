import { existsSync } from "node:fs"
import { registerHooks } from "node:module"
import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { Effect } from "effect"
import { CommandFailed } from "../CommandFailed.ts"
import type { LockstepConfig } from "./LockstepConfig.ts"

const names = ["lockstep.config.ts", "lockstep.config.mts", "lockstep.config.js", "lockstep.config.mjs"]

/** A configuration file, and where it is. */
export interface ConfigFile {
  readonly file: string
  readonly config: LockstepConfig
}

/** Loads the file that is named, or one of the known names in the working directory; undefined if there is none. */
export const loadConfig = Effect.fnUntraced(function*(named: string | undefined) {
  if (named === "none") return undefined
  const found = named === undefined ? names.find((name) => existsSync(name)) : named
  if (found === undefined) return undefined
  const file = path.resolve(found)
  if (!existsSync(file)) {
    return yield* new CommandFailed({ message: `there is no ${file}: name a configuration file with --config` })
  }
  const loaded = yield* Effect.tryPromise({
    try: () => importConfig(file),
    catch: (cause) =>
      new CommandFailed({
        message: `cannot load ${file}: ${cause instanceof Error ? cause.message.split("\n", 1)[0] : String(cause)}`
      })
  })
  const config = loaded.default
  if (typeof config !== "object" || config === null) {
    return yield* new CommandFailed({
      message: `${file} has no configuration as its default export: write export default defineConfig({ ... })`
    })
  }
  return { file, config } satisfies ConfigFile
})

/**
 * In a configuration file `lockstep` is the program that loads it, and `effect` the one that it runs on, installed beside
 * the file or not: a layer of another copy would be a layer of other services.
 */
const importConfig = async (file: string): Promise<{ readonly default?: LockstepConfig }> => {
  const door = new URL(import.meta.url.endsWith(".ts") ? "../../index.ts" : "../../index.js", import.meta.url).href
  const hooks = registerHooks({
    resolve: (specifier, context, next) => {
      if (specifier === "lockstep") return { url: door, shortCircuit: true }
      return /^effect(?:\/|$)/.test(specifier)
        ? next(specifier, { ...context, parentURL: import.meta.url })
        : next(specifier, context)
    }
  })
  try {
    return await import(pathToFileURL(file).href)
  } finally {
    hooks.deregister()
  }
}
