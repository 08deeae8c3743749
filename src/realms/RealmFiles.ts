import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { Context, Effect, Layer } from "effect"
import { FileConflict, FileFailure, FileNotFound } from "../domain/errors.ts"
import type { RealmRow } from "../store/RealmTable.ts"
import { copyTree } from "./copyTree.ts"

/** Changes whenever a file is written or replaced: device, inode, size, and times in nanoseconds. */
export type Stamp = string

export interface FileBytes {
  readonly bytes: Uint8Array
  readonly stamp: Stamp
}

export interface DirectoryEntry {
  readonly name: string
  readonly kind: "file" | "directory"
}

/** Where realms live on disk. Both directories are shared by all replicas. */
export interface Roots {
  /** Every source realm is a directory in here; none without one. */
  readonly realmsDir: string
  /** Every published version is a directory in here. */
  readonly versionsDir: string
}

type Place = Pick<RealmRow, "realmUrl" | "kind" | "directory">

/**
 * The files of realms. Nothing outside a realm is ever opened: a path is resolved through its symbolic links first, and
 * must still lie in the realm.
 */
export class RealmFiles extends Context.Service<RealmFiles, {
  readonly read: (realm: Place, path: string) => Effect.Effect<FileBytes, FileNotFound | FileFailure>
  /** The stamp that `read` would return now. */
  readonly stamp: (realm: Place, path: string) => Effect.Effect<Stamp, FileNotFound | FileFailure>
  /** The names in a directory, sorted; names beginning with a dot are left out. */
  readonly list: (
    realm: Place,
    path: string
  ) => Effect.Effect<ReadonlyArray<DirectoryEntry>, FileNotFound | FileFailure>
  /** Replaces or creates a file in one step: readers see the old bytes or the new. Says whether it existed. */
  readonly write: (
    realm: Place,
    path: string,
    bytes: Uint8Array
  ) => Effect.Effect<"created" | "replaced", FileConflict | FileFailure>
  readonly remove: (realm: Place, path: string) => Effect.Effect<void, FileNotFound | FileFailure>
  /**
   * Copies a source realm into a new version directory of this name, which appears whole or not at all. It may be there
   * even if this fails or is interrupted at its very end: whoever gave the name removes it then.
   */
  readonly snapshot: (source: Place, directory: string) => Effect.Effect<void, FileFailure>
  /** Removes a version directory, also one that a crash left half copied. */
  readonly removeVersion: (directory: string) => Effect.Effect<void, FileFailure>
  /** Makes a source realm's directory, with a copy of `from` when given; keeps a directory that is there already. */
  readonly createSource: (name: string, from: string | undefined) => Effect.Effect<void, FileFailure>
  readonly removeSource: (name: string) => Effect.Effect<void, FileFailure>
  /** Names of the source realms' directories. */
  readonly sources: Effect.Effect<ReadonlyArray<string>, FileFailure>
}>()("lockstep/realms/RealmFiles") {
  static readonly layer = (roots: Roots) => Layer.effect(RealmFiles, make(roots))
}

const temporaryPrefix = ".lockstep-"

const failure = (operation: string, file: string) => (cause: unknown) => {
  const { code = "UNKNOWN", message } = cause as NodeJS.ErrnoException
  return new FileFailure({ operation, path: file, code, detail: describe(code, message) })
}

const describe = (code: string, message: string) =>
  ({
    EACCES: "permission denied (EACCES)",
    EPERM: "operation not permitted (EPERM)",
    ENOSPC: "the disk is full (ENOSPC)",
    EDQUOT: "the disk quota is used up (EDQUOT)",
    EROFS: "the file system is read-only (EROFS)",
    EMFILE: "too many open files (EMFILE)",
    ENAMETOOLONG: "its name is too long (ENAMETOOLONG)"
  })[code] ?? message.replace(/,? '.*$/, "")

const io = <A>(operation: string, file: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: failure(operation, file) })

// What lstat and open say of a path that names nothing, of one below a file, and of links that go round in circles.
const absent = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EISDIR", "ENXIO"])

const stampOf = (stat: fs.BigIntStats): Stamp => `${stat.dev}.${stat.ino}.${stat.size}.${stat.mtimeNs}.${stat.ctimeNs}`

const make = Effect.fnUntraced(function*(roots: Roots) {
  const realmsDir = path.resolve(roots.realmsDir)
  const versionsDir = path.resolve(roots.versionsDir)
  yield* io("create", versionsDir, () => fs.promises.mkdir(versionsDir, { recursive: true }))

  const rootOf = ({ directory, kind }: Place) => path.join(kind === "source" ? realmsDir : versionsDir, directory)

  const notFound = (realm: Place, file: string, detail?: string) =>
    new FileNotFound({ realmUrl: realm.realmUrl, path: file, ...(detail === undefined ? {} : { detail }) })

  // The real path of something in the realm, every symbolic link followed.
  const locate = Effect.fnUntraced(function*(realm: Place, file: string) {
    // A version that is being removed has a row no more, or will not have one in a moment: its files are not there.
    const root = yield* io("open", realm.realmUrl, () => fs.promises.realpath(rootOf(realm))).pipe(
      Effect.mapError((error) => absent.has(error.code) ? notFound(realm, file, "is gone with its version") : error)
    )
    const real = yield* io("open", file, () => fs.promises.realpath(path.join(root, file))).pipe(
      Effect.mapError((error) => absent.has(error.code) ? notFound(realm, file) : error)
    )
    if (isWithin(root, real)) return real
    return yield* notFound(realm, file, "is a symbolic link that leaves the realm; it is not served")
  })

  const orAbsent = (realm: Place, file: string) => (error: FileFailure) =>
    absent.has(error.code) ? notFound(realm, file) : error

  const regular = (realm: Place, file: string, stat: fs.BigIntStats) =>
    stat.isFile() ? Effect.succeed(stat) : Effect.fail(notFound(realm, file, "is not a file"))

  const stamp = Effect.fnUntraced(function*(realm: Place, file: string) {
    const real = yield* locate(realm, file)
    const stat = yield* io("read", file, () => fs.promises.stat(real, { bigint: true })).pipe(
      Effect.mapError(orAbsent(realm, file))
    )
    return stampOf(yield* regular(realm, file, stat))
  })

  const read = Effect.fnUntraced(function*(realm: Place, file: string) {
    const real = yield* locate(realm, file)
    // A pipe would block the open for ever and a link may have been put there since: neither is opened.
    const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK
    return yield* Effect.acquireUseRelease(
      io("read", file, () => fs.promises.open(real, flags)).pipe(Effect.mapError(orAbsent(realm, file))),
      Effect.fnUntraced(function*(handle) {
        const before = yield* io("read", file, () => handle.stat({ bigint: true }))
        yield* regular(realm, file, before)
        const bytes = yield* io("read", file, () => handle.readFile())
        return { bytes, stamp: stampOf(before) }
      }),
      (handle) => Effect.ignore(io("close", file, () => handle.close()))
    )
  })

  const list = Effect.fnUntraced(function*(realm: Place, directory: string) {
    const real = yield* locate(realm, directory)
    const entries = yield* io("list", directory, () => fs.promises.readdir(real, { withFileTypes: true })).pipe(
      Effect.mapError(orAbsent(realm, directory))
    )
    return entries
      .filter((entry) => !entry.name.startsWith(".") && (entry.isFile() || entry.isDirectory()))
      .map((entry): DirectoryEntry => ({ name: entry.name, kind: entry.isDirectory() ? "directory" : "file" }))
      .sort((a, b) => a.name < b.name ? -1 : 1)
  })

  const conflict = (realm: Place, file: string, detail: string) =>
    new FileConflict({ realmUrl: realm.realmUrl, path: file, detail })

  // Made one by one, each looked at before the next: none is ever made behind a link that leaves the realm.
  const makeParent = Effect.fnUntraced(function*(realm: Place, file: string) {
    const root = yield* io("open", realm.realmUrl, () => fs.promises.realpath(rootOf(realm)))
    let parent = root
    for (const name of file.split("/").slice(0, -1)) {
      const next = path.join(parent, name)
      parent = yield* io("create the directory of", file, async () => {
        await fs.promises.mkdir(next).catch(unlessItExists)
        return await fs.promises.realpath(next)
      }).pipe(
        Effect.mapError((error) =>
          absent.has(error.code) ? conflict(realm, file, "lies below something that is not a directory") : error
        )
      )
      if (!isWithin(root, parent)) {
        return yield* conflict(realm, file, "lies below a symbolic link that leaves the realm")
      }
    }
    return parent
  })

  const write = Effect.fnUntraced(function*(realm: Place, file: string, bytes: Uint8Array) {
    const parent = yield* makeParent(realm, file)
    const target = path.join(parent, path.basename(file))
    const existing = yield* io("look at", file, () => fs.promises.lstat(target).catch(unlessItIsMissing)).pipe(
      Effect.mapError((error) =>
        absent.has(error.code) ? conflict(realm, file, "lies below something that is not a directory") : error
      )
    )
    if (existing?.isDirectory() === true) return yield* conflict(realm, file, "is a directory")
    const temporary = path.join(realmsDir, `${temporaryPrefix}${crypto.randomUUID()}`)
    yield* io("write", file, async () => {
      await fs.promises.writeFile(temporary, bytes, { flush: true, flag: "wx" })
      await fs.promises.rename(temporary, target)
      await syncDirectory(parent)
    }).pipe(
      Effect.onError(() => Effect.ignore(io("remove", temporary, () => fs.promises.rm(temporary, { force: true }))))
    )
    return existing === undefined ? "created" as const : "replaced" as const
  }, Effect.uninterruptible)

  const remove = Effect.fnUntraced(function*(realm: Place, file: string) {
    const real = yield* locate(realm, path.dirname(file))
    const target = path.join(real, path.basename(file))
    const stat = yield* io("look at", file, () => fs.promises.lstat(target)).pipe(
      Effect.mapError(orAbsent(realm, file))
    )
    if (stat.isDirectory()) return yield* notFound(realm, file, "is a directory, not a file")
    yield* io("remove", file, async () => {
      await fs.promises.unlink(target)
      await syncDirectory(real)
    }).pipe(Effect.mapError(orAbsent(realm, file)))
  }, Effect.uninterruptible)

  const removeTree = (directory: string) =>
    io("remove", path.basename(directory), () => fs.promises.rm(directory, { recursive: true, force: true }))

  // Copied beside its place and renamed into it, so that a directory under its final name is always whole.
  const copyInto = (from: string, into: string, name: string) => {
    const temporary = path.join(into, temporaryPrefix + name)
    // What was begun is awaited even when it is interrupted: it would go on while its directory is being removed.
    const step = (operation: string, run: () => Promise<void>) => Effect.uninterruptible(io(operation, name, run))
    return step("copy", () => fs.promises.mkdir(temporary)).pipe(
      Effect.andThen(copyTree(from, temporary)),
      Effect.andThen(step("rename", () => fs.promises.rename(temporary, path.join(into, name)))),
      Effect.andThen(step("sync", () => syncDirectory(into))),
      Effect.onError(() => Effect.ignore(removeTree(temporary)))
    )
  }

  return RealmFiles.of({
    read,
    stamp,
    list,
    write,
    remove,
    snapshot: Effect.fn("RealmFiles.snapshot")((source: Place, directory: string) =>
      copyInto(rootOf(source), versionsDir, path.basename(directory))
    ),
    removeVersion: (directory) =>
      Effect.andThen(
        removeTree(path.join(versionsDir, temporaryPrefix + path.basename(directory))),
        removeTree(path.join(versionsDir, path.basename(directory)))
      ),
    createSource: Effect.fnUntraced(function*(name: string, from: string | undefined) {
      if (from !== undefined) return yield* copyInto(from, realmsDir, name)
      yield* io("create", name, () => fs.promises.mkdir(path.join(realmsDir, name), { recursive: true }))
    }),
    removeSource: (name) => removeTree(path.join(realmsDir, path.basename(name))),
    sources: io("list", realmsDir, () => fs.promises.readdir(realmsDir, { withFileTypes: true })).pipe(
      Effect.map((entries) =>
        entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).map((entry) => entry.name)
      )
    )
  })
})

const isWithin = (root: string, real: string) => real === root || real.startsWith(root + path.sep)

const unlessItExists = (error: NodeJS.ErrnoException) => {
  if (error.code !== "EEXIST") throw error
}

const unlessItIsMissing = (error: NodeJS.ErrnoException) => {
  if (error.code !== "ENOENT") throw error
}

const syncDirectory = async (directory: string) => {
  const handle = await fs.promises.open(directory, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
