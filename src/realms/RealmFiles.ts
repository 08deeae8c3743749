import * as fs from "node:fs"
import * as path from "node:path"
import { Context, Effect, Layer } from "effect"
import { type FileConflict, FileFailure, FileNotFound } from "../domain/errors.ts"
import type { RecordedFiles } from "../store/RealmFileTable.ts"
import type { RealmRow } from "../store/RealmTable.ts"
import type { Edit } from "../store/WriteIntentTable.ts"
import { copyTree } from "./copyTree.ts"
import {
  absent,
  io,
  isWithin,
  readToEnd,
  removeTree,
  type Stamp,
  stampOf,
  syncDirectory,
  unless
} from "./fileSystem.ts"
import { measureTree, type TreeSize } from "./measureTree.ts"
import { listTree, scanTree } from "./scanTree.ts"
import { makeStagedEdits, type Operation, type Outcome, type StagedBatch } from "./stagedEdits.ts"

export type { Stamp } from "./fileSystem.ts"
export type { Operation, Outcome } from "./stagedEdits.ts"

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
  /** Which of these paths name something now, in their order: a look that costs a fraction of a `read` that fails. */
  readonly present: (realm: Place, paths: ReadonlyArray<string>) => Effect.Effect<ReadonlyArray<string>, FileFailure>
  /** The stamp of the file that lies at the path now: only to be compared with that of an earlier `read`. */
  readonly stamp: (realm: Place, path: string) => Effect.Effect<Stamp, FileNotFound | FileFailure>
  /** Asks the same of that file, any number of times, outside of any fiber: whether its stamp is this one. */
  readonly unchanged: (
    realm: Place,
    path: string,
    stamp: Stamp | undefined
  ) => (then: (isUnchanged: boolean) => void) => void
  /** The names in a directory, sorted; names beginning with a dot are left out. */
  readonly list: (
    realm: Place,
    path: string
  ) => Effect.Effect<ReadonlyArray<DirectoryEntry>, FileNotFound | FileFailure>
  /**
   * Checks a batch of operations against what is on disk and makes its bytes durable beside the realms, under the batch's
   * name (a UUID). Nothing in the realm changes but directories that the files will need. Answers what each will do.
   */
  readonly stage: (
    realm: Place,
    batch: string,
    operations: ReadonlyArray<Operation>
  ) => Effect.Effect<ReadonlyArray<Outcome>, FileConflict | FileNotFound | FileFailure>
  /**
   * Moves a staged batch into its places, in its order; each file in one step, so that readers see the old bytes or the
   * new. May be repeated, after a crash or by somebody else: what is done already is passed over.
   */
  readonly apply: (realm: Place, batch: string, edits: ReadonlyArray<Edit>) => Effect.Effect<void, FileFailure>
  /** Removes what a batch has staged. */
  readonly discard: (realm: Pick<Place, "directory">, batch: string) => Effect.Effect<void, FileFailure>
  /** Every batch that is staged, of any realm. */
  readonly staged: Effect.Effect<ReadonlyArray<StagedBatch>, FileFailure>
  /**
   * The files of a source realm and the hashes of their bytes; only those at and below some paths if these are given. Files
   * that have the stamp in `recorded` are not read again.
   */
  readonly scan: (
    realm: Pick<Place, "directory">,
    below: ReadonlyArray<string> | undefined,
    recorded: RecordedFiles
  ) => Effect.Effect<RecordedFiles, FileFailure>
  /** The paths of everything in a source realm that can be removed: not what is hidden or reserved. */
  readonly listAll: (realm: Pick<Place, "directory">) => Effect.Effect<ReadonlyArray<string>, FileFailure>
  /** How many files a realm has, and their bytes; links are not followed, nor counted. */
  readonly measure: (realm: Place) => Effect.Effect<TreeSize, FileFailure>
  /** Removes directories of a source realm that hold nothing, from the deepest up. */
  readonly prune: (realm: Pick<Place, "directory">) => Effect.Effect<void>
  /** Removes the directories that held these files, and those above them, where they hold nothing now. */
  readonly pruneAbove: (realm: Pick<Place, "directory">, files: ReadonlyArray<string>) => Effect.Effect<void>
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

const make = Effect.fnUntraced(function*(roots: Roots) {
  const realmsDir = path.resolve(roots.realmsDir)
  const versionsDir = path.resolve(roots.versionsDir)
  yield* io("create", versionsDir, () => fs.promises.mkdir(versionsDir, { recursive: true }))

  const rootOf = ({ directory, kind }: Place) => path.join(kind === "source" ? realmsDir : versionsDir, directory)

  const notFound = (realm: Place, file: string, detail?: string) =>
    new FileNotFound({ realmUrl: realm.realmUrl, path: file, ...(detail === undefined ? {} : { detail }) })

  // A replica that was cut off may know a version that the others have collected: what it lacks then is not missing from the
  // realm (I1). Looked at last: a version goes at once and does not come back.
  const failIfGone = Effect.fnUntraced(function*(realm: Place, file: string) {
    const isGone = realm.kind === "published" &&
      (yield* Effect.promise(() => fs.promises.access(rootOf(realm)).then(() => false, () => true)))
    if (!isGone) return
    return yield* new FileFailure({
      operation: "read",
      path: file,
      code: "ENOENT",
      detail: "the version of the realm that this replica knows is not on disk any more"
    })
  })

  const orAbsent = (realm: Place, file: string) => <A>(step: Effect.Effect<A, FileFailure>) =>
    Effect.catchIf(
      step,
      ({ code }) => absent.has(code),
      () => Effect.andThen(failIfGone(realm, file), Effect.fail(notFound(realm, file)))
    )

  // The real path of something in the realm, every symbolic link followed.
  const locate = Effect.fnUntraced(function*(realm: Place, file: string) {
    const place = rootOf(realm)
    const real = yield* io("open", file, () => fs.promises.realpath(path.join(place, file))).pipe(
      orAbsent(realm, file)
    )
    // A real path has no link in it, so neither has the realm's above it.
    if (isWithin(place, real)) return real
    const root = yield* io("open", realm.realmUrl, () => fs.promises.realpath(place)).pipe(
      orAbsent(realm, file)
    )
    if (isWithin(root, real)) return real
    return yield* notFound(realm, file, "is a symbolic link that leaves the realm; it is not served")
  })

  const regular = (realm: Place, file: string, stat: fs.BigIntStats) =>
    stat.isFile() ? Effect.succeed(stat) : Effect.fail(notFound(realm, file, "is not a file"))

  // In Node's own terms, and in their order: of a file that takes a later name meanwhile, one of the two is seen. What may
  // not be looked at is there: its `read` says why it cannot be had.
  const present = Effect.fnUntraced(function*(realm: Place, files: ReadonlyArray<string>) {
    const root = rootOf(realm)
    const isThere = (file: string) =>
      new Promise<boolean>((resolve) =>
        fs.access(path.join(root, file), (error) => resolve(error === null || !absent.has(error.code ?? "")))
      )
    const there = yield* Effect.promise(async () => {
      const there: Array<string> = []
      for (const file of files) if (await isThere(file)) there.push(file)
      return there
    })
    if (there.length === 0) yield* failIfGone(realm, files.join(" "))
    return there
  })

  // One question to the system, which follows the links anew each time: that the same file lies there is all that matters.
  const stamp = Effect.fnUntraced(function*(realm: Place, file: string) {
    const place = path.join(rootOf(realm), file)
    const stat = yield* io("read", file, () => fs.promises.stat(place, { bigint: true })).pipe(
      orAbsent(realm, file)
    )
    return stampOf(yield* regular(realm, file, stat))
  })

  const unchanged = (realm: Place, file: string, known: Stamp | undefined) => {
    const place = path.join(rootOf(realm), file)
    return (then: (isUnchanged: boolean) => void) =>
      fs.stat(place, { bigint: true }, (error, stat) => then(error === null && stampOf(stat) === known))
  }

  const read = Effect.fnUntraced(function*(realm: Place, file: string) {
    const real = yield* locate(realm, file)
    // A pipe would block the open for ever and a link may have been put there since: neither is opened.
    const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK
    return yield* Effect.acquireUseRelease(
      io("read", file, () => fs.promises.open(real, flags)).pipe(orAbsent(realm, file)),
      Effect.fnUntraced(function*(handle) {
        const before = yield* io("read", file, () => handle.stat({ bigint: true }))
        yield* regular(realm, file, before)
        const bytes = yield* io("read", file, () => readToEnd(handle, Number(before.size)))
        return { bytes, stamp: stampOf(before) }
      }),
      (handle) => Effect.ignore(io("close", file, () => handle.close()))
    )
  })

  const list = Effect.fnUntraced(function*(realm: Place, directory: string) {
    const real = yield* locate(realm, directory)
    const entries = yield* io("list", directory, () => fs.promises.readdir(real, { withFileTypes: true })).pipe(
      orAbsent(realm, directory)
    )
    return entries
      .filter((entry) => !entry.name.startsWith(".") && (entry.isFile() || entry.isDirectory()))
      .map((entry): DirectoryEntry => ({ name: entry.name, kind: entry.isDirectory() ? "directory" : "file" }))
      .sort((a, b) => a.name < b.name ? -1 : 1)
  })

  const { apply, discard, stage, staged } = makeStagedEdits({ realmsDir, rootOf, locate })

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
    present,
    stamp,
    unchanged,
    list,
    stage,
    apply,
    discard,
    staged,
    scan: (realm, below, recorded) => scanTree(path.join(realmsDir, realm.directory), below, recorded),
    listAll: (realm) => listTree(path.join(realmsDir, realm.directory)),
    measure: (realm) => measureTree(rootOf(realm)),
    prune: (realm) => Effect.promise(() => prune(path.join(realmsDir, realm.directory), true)),
    pruneAbove: (realm, files) => Effect.promise(() => pruneAbove(path.join(realmsDir, realm.directory), files)),
    snapshot: Effect.fn("RealmFiles.snapshot")((source: Place, directory: string) =>
      copyInto(rootOf(source), versionsDir, path.basename(directory))
    ),
    removeVersion: Effect.fnUntraced(function*(directory: string) {
      const name = path.basename(directory)
      const temporary = path.join(versionsDir, temporaryPrefix + name)
      yield* removeTree(temporary)
      // It is gone at once, and not file by file.
      yield* io(
        "remove",
        name,
        () => fs.promises.rename(path.join(versionsDir, name), temporary).catch(unless("ENOENT"))
      )
      yield* removeTree(temporary)
    }),
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

// Directories that are not empty, or not ours to remove, stay.
const prune = async (directory: string, isRoot: boolean): Promise<void> => {
  const entries = await fs.promises.readdir(directory, { withFileTypes: true }).catch(() => [])
  for (const entry of entries) {
    if (entry.isDirectory() && !entry.name.startsWith(".")) await prune(path.join(directory, entry.name), false)
  }
  if (!isRoot) await fs.promises.rmdir(directory).catch(() => {})
}

const pruneAbove = async (directory: string, files: ReadonlyArray<string>): Promise<void> => {
  const root = await fs.promises.realpath(directory).catch(() => undefined)
  if (root === undefined) return
  for (const above of new Set(files.map((file) => path.dirname(file)))) {
    for (let each = above; each !== "."; each = path.dirname(each)) {
      const place = path.join(root, each)
      // Nothing behind a link is ours to remove.
      const isOurs = (await fs.promises.realpath(place).catch(() => undefined)) === place
      if (!isOurs || !(await fs.promises.rmdir(place).then(() => true, () => false))) break
    }
  }
}
