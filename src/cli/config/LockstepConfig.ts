import type { Layer, Option } from "effect"
import type { Preset, Transpiler, TranspilerUnavailable } from "../../transpile/Transpiler.ts"
import type { ServeOptions } from "../serveFlags.ts"

/** How a flag's value is written: a duration as `"3s"`, a size as `"256MiB"`, a list as an array. */
type Written<A> = A extends Option.Option<infer B> ? Written<B>
  : A extends boolean ? boolean
  : A extends string ? A
  : A extends ReadonlyArray<string> ? ReadonlyArray<string>
  : string | number

/**
 * What `lockstep.config.ts` exports as its default. Every flag of `lockstep serve` is an option, by its name in camel case
 * and with the same meaning; `lockstep worker` takes those that it has. A flag wins over its environment variable, which
 * wins over this file. Relative paths are relative to the file.
 */
export type LockstepConfig =
  & {
    readonly [Name in Exclude<keyof ServeOptions, "config" | "preset" | "realmsDir" | "transpiler">]?: Written<
      ServeOptions[Name]
    >
  }
  & {
    /** Every directory in it is a source realm. */
    readonly realmsDir?: string
    /** Compiles some modules in another way: `"ember"` for `.gts` and `.gjs`, or a preset of your own. */
    readonly preset?: "ember" | "none" | Preset
    /** What makes JavaScript: Babel, oxc, or a layer of your own in their place, to which presets mean nothing. */
    readonly transpiler?: "babel" | "oxc" | Layer.Layer<Transpiler, TranspilerUnavailable>
    /** URL of the directory, with a slash at the end, that a preset's packages are resolved from. Default: this file's. */
    readonly packagesFrom?: string | URL
  }

/** Gives `lockstep.config.ts` its types. It returns what it is given. */
export const defineConfig = (config: LockstepConfig): LockstepConfig => config
