// Names in package-lock.json every platform package that a locked package wants, also those which the registry
// in use does not carry. `npm install` leaves those out, and `npm ci` of npm 11 then refuses the lock.
// An entry made here has no address and no hash: npm asks for one only on that platform, where the package is optional.
import { readFileSync, writeFileSync } from "node:fs"

const file = new URL("../package-lock.json", import.meta.url)
const lock = JSON.parse(readFileSync(file, "utf8"))

const systems = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"]
const processors = ["arm64", "ia32", "ppc64", "riscv64", "s390x", "x64", "arm"]

const platformEntry = (name, version, parent) => ({
  version,
  cpu: [processors.find((cpu) => name.includes(cpu))],
  ...(parent.dev ? { dev: true } : {}),
  optional: true,
  os: [systems.find((os) => name.includes(os))]
})

const added = []
for (const parent of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
    const isLocked = Object.keys(lock.packages).some((path) => path.endsWith(`node_modules/${name}`))
    if (isLocked) continue
    lock.packages[`node_modules/${name}`] = platformEntry(name, version, parent)
    added.push(name)
  }
}

lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en")))
writeFileSync(file, JSON.stringify(lock, null, 2) + "\n")
process.stdout.write(`package-lock.json: ${added.length} platform packages added ${added.join(" ")}\n`)
