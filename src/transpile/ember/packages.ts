import { readFileSync } from "node:fs"
import { findPackageJSON } from "node:module"

/** The packages that the ember preset needs, with the major version of each. They are optional peers of this one. */
export const emberPackages: Readonly<Record<string, number>> = {
  "babel-plugin-ember-template-compilation": 3,
  "content-tag": 4,
  "decorator-transforms": 2,
  "ember-source": 6
}

const installing = (names: ReadonlyArray<string>) =>
  `npm install --save-dev ${names.map((name) => `${name}@${emberPackages[name]}`).join(" ")}`

/** What whoever asks for a template module without the preset is told. */
export const howToHaveTemplates = "template modules (.gts, .gjs) need the ember preset: install its packages beside " +
  `lockstep.config.ts (${installing(Object.keys(emberPackages))}) and say preset: "ember" there, or --preset ember`

/** Why the preset cannot work with what is installed: which packages, and how to install them. Undefined if it can. */
export const missingPackages = (from: string): string | undefined => {
  const faults = Object.entries(emberPackages).flatMap(([name, major]) => {
    const version = installedVersion(name, from)
    if (version === undefined) return [{ name, fault: `${name} is not installed` }]
    return Number(version.split(".")[0]) === major ? [] : [{ name, fault: `${name} is ${version}` }]
  })
  return faults.length === 0
    ? undefined
    : `template modules (.gts, .gjs) cannot be compiled here: ${faults.map(({ fault }) => fault).join(", ")}; run ` +
      `${installing(faults.map(({ name }) => name))} where lockstep.config.ts is, then start Lockstep again`
}

const installedVersion = (name: string, from: string): string | undefined => {
  try {
    const file = findPackageJSON(name, from)
    if (file === undefined) return undefined
    const manifest: { readonly version?: string } = JSON.parse(readFileSync(file, "utf8"))
    return manifest.version
  } catch {
    return undefined
  }
}
