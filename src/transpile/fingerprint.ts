import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { findPackageJSON } from "node:module"
import type { PipelineOptions } from "./babelOptions.ts"
import { loadable, type Preset } from "./Preset.ts"
import type { Compiler } from "./TranspileJob.ts"

/** Raise it with every change of this folder that changes output for some input. */
const pipelineVersion = 1

const roots = ["@babel/core", "@babel/plugin-proposal-decorators", "@babel/preset-react", "@babel/preset-typescript"]

/**
 * Names everything but the source that decides the output: this pipeline, every Babel package as installed, and the
 * options. Replicas whose fingerprints differ, as during a deploy, must not share output.
 */
export const fingerprintOf = (compiler: Compiler, options: PipelineOptions, preset?: Preset): string =>
  createHash("sha256")
    .update(JSON.stringify([
      pipelineVersion,
      options.jsxImportSource,
      ...babelVersions(),
      ...oxcVersion(compiler),
      ...preset === undefined ? [] : presetParts(preset)
    ]))
    .digest("hex")
    .slice(0, 32)

/** Not where it is: another machine may have it elsewhere. */
const presetParts = (preset: Preset): ReadonlyArray<unknown> => {
  const { from, module, name, options } = loadable(preset)
  const program = createHash("sha256").update(readFileSync(new URL(module))).digest("hex")
  return [name, options, program, ...versionsOf(preset.packages ?? [], from, () => true)]
}

/** oxc's own part has no versions but its own: it is one binary. What it leaves to Babel depends on Babel's. */
const oxcVersion = (compiler: Compiler): ReadonlyArray<string> => {
  const file = compiler === "oxc" ? findPackageJSON("oxc-transform", import.meta.url) : undefined
  if (file === undefined) return []
  const manifest: { readonly version?: string } = JSON.parse(readFileSync(file, "utf8"))
  return [`oxc-transform@${manifest.version}`]
}

/**
 * Babel's packages depend on each other by range, so two installs of the same roots may print differently. Others than
 * Babel's and its string printer cannot.
 */
const babelVersions = () => versionsOf(roots, import.meta.url, (name) => name.startsWith("@babel/") || name === "jsesc")

/** `name@version` of packages and of what they bring along and `follow` wants, sorted; of one that is not there, its name. */
const versionsOf = (
  names: ReadonlyArray<string>,
  from: string,
  follow: (name: string) => boolean
): ReadonlyArray<string> => {
  const versions = new Map<string, string>()
  const visit = (name: string, base: string) => {
    const file = manifestOf(name, base)
    if (file === undefined) return void versions.set(name, name)
    if (versions.has(file)) return
    const manifest: { version?: string; dependencies?: Record<string, string> } = JSON.parse(readFileSync(file, "utf8"))
    versions.set(file, `${name}@${manifest.version}`)
    for (const dependency of Object.keys(manifest.dependencies ?? {})) {
      if (follow(dependency)) visit(dependency, file)
    }
  }
  for (const name of names) visit(name, from)
  return [...new Set(versions.values())].sort()
}

const manifestOf = (name: string, from: string): string | undefined => {
  try {
    return findPackageJSON(name, from)
  } catch {
    return undefined
  }
}
