import * as path from "node:path"
import { pathToFileURL } from "node:url"
import { Context, Effect, Layer } from "effect"
import { ember, type Preset, type Transpiler, type TranspilerUnavailable } from "../../transpile/Transpiler.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { serveFlags, workerFlags } from "../serveFlags.ts"
import { type ConfigFile, loadConfig } from "./loadConfig.ts"

/** Of a configuration file, what flags cannot say. */
export interface Configured {
  /** The file that was loaded. */
  readonly file?: string
  readonly realmsDir?: string
  readonly preset?: Preset
  readonly transpiler?: Layer.Layer<Transpiler, TranspilerUnavailable>
  /** URL of the directory that presets' packages are resolved from. */
  readonly packagesFrom?: string
}

/** What the configuration file says, for the commands that take one. */
export const CurrentConfig = Context.Reference<Configured>("lockstep/cli/CurrentConfig", {
  defaultValue: () => ({})
})

const taken: ReadonlyMap<string, ReadonlyArray<string>> = new Map([
  ["serve", Object.keys(serveFlags)],
  ["worker", Object.keys(workerFlags)],
  ["demo", []]
])

const ownOptions = ["realmsDir", "preset", "transpiler", "packagesFrom"]

/**
 * The command line with what the configuration file adds to it: flags that it does not have, and whose environment
 * variables are not set.
 */
export const configured = Effect.fnUntraced(function*(args: ReadonlyArray<string>, env: NodeJS.ProcessEnv) {
  const at = commandIndex(args)
  const flags = taken.get(args[at] ?? "")
  if (flags === undefined || args.some((arg) => arg === "--help" || arg === "-h" || arg === "--version")) {
    return { args, config: {} as Configured, added: [] }
  }
  const loaded = yield* loadConfig(valueOf("config", args))
  if (loaded === undefined) return { args, config: {} as Configured, added: [] }
  yield* checkNames(loaded)
  const added = yield* flagsOf(loaded, (name, flag) => flags.includes(name) && !isGiven(flag, args, env))
  return { args: [...args.slice(0, at + 1), ...added, ...args.slice(at + 1)], added, config: beyondFlags(loaded, args) }
})

/** Where the command's name is: what comes before it are flags of the whole program. */
const commandIndex = (args: ReadonlyArray<string>): number => {
  let at = 0
  while (args[at]?.startsWith("-")) at += args[at] === "--log-level" ? 2 : 1
  return at
}

const valueOf = (flag: string, args: ReadonlyArray<string>): string | undefined => {
  const index = args.findIndex((arg) => arg === `--${flag}` || arg.startsWith(`--${flag}=`))
  if (index === -1) return undefined
  const arg = args[index] ?? ""
  return arg.includes("=") ? arg.slice(arg.indexOf("=") + 1) : args[index + 1]
}

const flagName = (name: string) => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)

const isGiven = (flag: string, args: ReadonlyArray<string>, env: NodeJS.ProcessEnv): boolean => {
  const variable = flag.toUpperCase().replaceAll("-", "_")
  return args.some((arg) => arg === `--${flag}` || arg === `--no-${flag}` || arg.startsWith(`--${flag}=`)) ||
    Boolean(env[`LOCKSTEP_${variable}`] || (flag === "database-url" && env[variable]))
}

const checkNames = Effect.fnUntraced(function*({ config, file }: ConfigFile) {
  const known = [...Object.keys(serveFlags).filter((name) => name !== "config"), ...ownOptions]
  for (const name of Object.keys(config)) {
    if (!known.includes(name)) {
      return yield* new CommandFailed({
        message: `${file} has an option "${name}", which there is not; there are ${
          [...new Set(known)].sort().join(", ")
        }`
      })
    }
  }
})

const flagsOf = Effect.fnUntraced(function*(
  { config, file }: ConfigFile,
  wants: (name: string, flag: string) => boolean
) {
  const added: Array<string> = []
  for (const [name, value] of Object.entries(config)) {
    const flag = flagName(name)
    if (value === undefined || name === "realmsDir" || isOfOwn(value) || !wants(name, flag)) continue
    if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
      added.push(`--${flag}=${name === "dataDir" ? path.resolve(path.dirname(file), String(value)) : value}`)
    } else if (Array.isArray(value)) added.push(`--${flag}=${value.join(",")}`)
    else {
      return yield* new CommandFailed({
        message: `${file}: the option "${name}" has to be text, a number or a boolean`
      })
    }
  }
  return added
})

/** A preset or a layer, which no flag can name. */
const isOfOwn = (value: unknown): boolean =>
  Layer.isLayer(value) || (typeof value === "object" && value !== null && ("module" in value || value instanceof URL))

const beyondFlags = ({ config, file }: ConfigFile, args: ReadonlyArray<string>): Configured => {
  const { packagesFrom, preset, realmsDir, transpiler } = config
  const directory = path.dirname(file)
  return {
    file,
    packagesFrom: String(packagesFrom ?? pathToFileURL(`${directory}/`)),
    ...(realmsDir !== undefined && { realmsDir: path.resolve(directory, realmsDir) }),
    ...(typeof preset === "object" && valueOf("preset", args) === undefined && { preset }),
    ...(Layer.isLayer(transpiler) && valueOf("transpiler", args) === undefined &&
      { transpiler: transpiler as NonNullable<Configured["transpiler"]> })
  }
}

/** The preset that the flags and the configuration file name, resolved from where it says. */
export const presetOf = (
  flag: "ember" | "none" | undefined,
  { packagesFrom, preset }: Configured
): Preset | undefined => {
  const chosen = flag === "ember" ? ember() : flag === "none" ? undefined : preset
  return chosen && packagesFrom !== undefined ? { from: packagesFrom, ...chosen } : chosen
}
