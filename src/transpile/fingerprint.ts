import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { findPackageJSON } from "node:module"
import type { PipelineOptions } from "./babelOptions.ts"
import type { Compiler } from "./TranspileJob.ts"

/** Raise it with every change of this folder that changes output for some input. */
const pipelineVersion = 1

const roots = ["@babel/core", "@babel/plugin-proposal-decorators", "@babel/preset-react", "@babel/preset-typescript"]

/**
 * Names everything but the source that decides the output: this pipeline, every Babel package as installed, and the
 * options. Replicas whose fingerprints differ, as during a deploy, must not share output.
 */
export const fingerprintOf = (compiler: Compiler, options: PipelineOptions): string =>
  createHash("sha256")
    .update(JSON.stringify([pipelineVersion, options.jsxImportSource, ...babelVersions(), ...oxcVersion(compiler)]))
    .digest("hex")
    .slice(0, 32)

/** oxc's own part has no versions but its own: it is one binary. What it leaves to Babel depends on Babel's. */
const oxcVersion = (compiler: Compiler): ReadonlyArray<string> => {
  const file = compiler === "oxc" ? findPackageJSON("oxc-transform", import.meta.url) : undefined
  if (file === undefined) return []
  const manifest: { readonly version?: string } = JSON.parse(readFileSync(file, "utf8"))
  return [`oxc-transform@${manifest.version}`]
}

/**
 * `name@version` of the roots and of what they bring along, sorted. Babel's packages depend on each other by range, so
 * two installs of the same roots may print differently. Others than Babel's and its string printer cannot.
 */
const babelVersions = (): ReadonlyArray<string> => {
  const versions = new Map<string, string>()
  const visit = (name: string, base: string | URL) => {
    const file = findPackageJSON(name, base)
    if (file === undefined || versions.has(file)) return
    const manifest: { version?: string; dependencies?: Record<string, string> } = JSON.parse(readFileSync(file, "utf8"))
    versions.set(file, `${name}@${manifest.version}`)
    for (const dependency of Object.keys(manifest.dependencies ?? {})) {
      if (dependency.startsWith("@babel/") || dependency === "jsesc") visit(dependency, file)
    }
  }
  for (const root of roots) visit(root, import.meta.url)
  return [...new Set(versions.values())].sort()
}
