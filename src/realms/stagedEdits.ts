import * as fs from "node:fs"
import * as path from "node:path"
import { Effect } from "effect"
import { FileConflict, FileFailure, FileNotFound } from "../domain/errors.ts"
import type { RealmRow } from "../store/RealmTable.ts"
import type { Edit } from "../store/WriteIntentTable.ts"
import { absent, io, isWithin, removeTree, syncDirectory, unless } from "./fileSystem.ts"

/** What is asked of one file. `put` replaces or creates it; the others insist on what is there. */
export type Operation =
  | { readonly op: "put" | "add" | "update"; readonly path: string; readonly bytes: Uint8Array }
  | { readonly op: "remove"; readonly path: string }

export type Outcome = "created" | "replaced" | "removed"

type Place = Pick<RealmRow, "realmUrl" | "kind" | "directory">

interface Surroundings {
  readonly realmsDir: string
  readonly rootOf: (realm: Place) => string
  /** The real path of something in the realm. */
  readonly locate: (realm: Place, file: string) => Effect.Effect<string, FileNotFound | FileFailure>
}

const prefix = ".lockstep-batch-"

/** A batch that has a staging directory. */
export interface StagedBatch {
  /** The source realm's directory. */
  readonly directory: string
  readonly batch: string
}

const isMissing = (file: string) =>
  fs.promises.lstat(file).then(() => false, (error: NodeJS.ErrnoException) => {
    unless("ENOENT")(error)
    return true
  })

/**
 * Edits of several files in three steps, so that a crash between any two leaves none or all of them: staged beside the
 * realms, durable and checked; then, once they are decided on elsewhere, moved into their places; then forgotten.
 *
 * Each staged file can be moved once, and what is removed is moved *into* the staging directory. So the steps may be
 * repeated by anyone, and a writer that wakes after another has done its work finds nothing left to move (I4).
 */
export const makeStagedEdits = ({ locate, realmsDir, rootOf }: Surroundings) => {
  const stagingOf = (realm: Pick<Place, "directory">, batch: string) =>
    path.join(realmsDir, `${prefix}${realm.directory}-${batch}`)

  const conflict = (realm: Place, file: string, detail: string) =>
    new FileConflict({ realmUrl: realm.realmUrl, path: file, detail })

  const notADirectory = (realm: Place, file: string) => (error: FileFailure) =>
    absent.has(error.code) ? conflict(realm, file, "lies below something that is not a directory") : error

  const within = (realm: Place, file: string, root: string, parent: string) =>
    isWithin(root, parent)
      ? Effect.void
      : Effect.fail(conflict(realm, file, "lies below a symbolic link that leaves the realm"))

  const rootPath = (realm: Place) => io("open", realm.realmUrl, () => fs.promises.realpath(rootOf(realm)))

  // The nearest directory above the file that is there; nothing is made yet.
  const existingParent = Effect.fnUntraced(function*(realm: Place, file: string) {
    const root = yield* rootPath(realm)
    let parent = root
    for (const name of file.split("/").slice(0, -1)) {
      const next = path.join(parent, name)
      const real = yield* io("look at", file, async () => {
        const real = await fs.promises.realpath(next).catch(unless("ENOENT"))
        if (real === undefined || (await fs.promises.stat(real)).isDirectory()) return real
        throw Object.assign(new Error("not a directory"), { code: "ENOTDIR" })
      }).pipe(Effect.mapError(notADirectory(realm, file)))
      if (real === undefined) return { parent, isWhole: false }
      yield* within(realm, file, root, real)
      parent = real
    }
    return { parent, isWhole: true }
  })

  // Made one by one, each looked at before the next: none is ever made behind a link that leaves the realm.
  const makeParent = Effect.fnUntraced(function*(realm: Place, file: string) {
    const root = yield* rootPath(realm)
    let parent = root
    for (const name of file.split("/").slice(0, -1)) {
      const next = path.join(parent, name)
      const above = parent
      parent = yield* io("create the directory of", file, async () => {
        const made = await fs.promises.mkdir(next).then(() => true, unless("EEXIST"))
        if (made === true) await syncDirectory(above)
        return await fs.promises.realpath(next)
      }).pipe(Effect.mapError(notADirectory(realm, file)))
      yield* within(realm, file, root, parent)
    }
    return parent
  })

  // A batch that was decided on must not fail for what could have been known before.
  const checkMovable = (file: string, parent: string, device: number) =>
    io("write", file, async () => {
      await fs.promises.access(parent, fs.constants.W_OK | fs.constants.X_OK)
      if ((await fs.promises.stat(parent)).dev === device) return
      throw Object.assign(new Error("it lies on another file system than the realms directory"), { code: "EXDEV" })
    })

  const check = Effect.fnUntraced(function*(realm: Place, operation: Operation, device: number) {
    const { op, path: file } = operation
    const notFound = (detail?: string) =>
      new FileNotFound({ realmUrl: realm.realmUrl, path: file, ...(detail === undefined ? {} : { detail }) })
    if (op === "remove") {
      const parent = yield* locate(realm, path.dirname(file)).pipe(
        Effect.mapError((error) => error._tag === "FileNotFound" ? notFound(error.detail) : error)
      )
      const stat = yield* io("look at", file, () => fs.promises.lstat(path.join(parent, path.basename(file)))).pipe(
        Effect.mapError((error) => absent.has(error.code) ? notFound() : error)
      )
      if (stat.isDirectory()) return yield* notFound("is a directory, not a file")
      yield* checkMovable(file, parent, device)
      return "removed" as const
    }
    const { isWhole, parent } = yield* existingParent(realm, file)
    const target = path.join(parent, path.basename(file))
    const existing = isWhole
      ? yield* io("look at", file, () => fs.promises.lstat(target).catch(unless("ENOENT"))).pipe(
        Effect.mapError(notADirectory(realm, file))
      )
      : undefined
    if (existing?.isDirectory() === true) return yield* conflict(realm, file, "is a directory")
    if (op === "add" && existing !== undefined) return yield* conflict(realm, file, "exists already")
    if (op === "update" && existing === undefined) return yield* notFound()
    yield* checkMovable(file, parent, device)
    return existing === undefined ? "created" as const : "replaced" as const
  })

  const stage = Effect.fnUntraced(function*(realm: Place, batch: string, operations: ReadonlyArray<Operation>) {
    const { dev } = yield* io("open", realmsDir, () => fs.promises.stat(realmsDir))
    const outcomes = yield* Effect.forEach(operations, (operation) => check(realm, operation, dev), { concurrency: 8 })
    const staging = stagingOf(realm, batch)
    yield* io("stage", realm.realmUrl, () => fs.promises.mkdir(staging))
    yield* Effect.forEach(operations, (operation, index) =>
      operation.op === "remove"
        ? Effect.void
        : Effect.andThen(
          makeParent(realm, operation.path),
          io("write", operation.path, () =>
            fs.promises.writeFile(path.join(staging, String(index)), operation.bytes, { flush: true, flag: "wx" }))
        ), { discard: true, concurrency: 8 }).pipe(
        Effect.andThen(io("sync", realm.realmUrl, async () => {
          await syncDirectory(staging)
          await syncDirectory(realmsDir)
        })),
        Effect.onError(() => Effect.ignore(removeTree(staging)))
      )
    return outcomes
  }, Effect.uninterruptible)

  /** Moves one edit into its place, if nobody has; answers the directory that has changed. */
  const move = Effect.fnUntraced(function*(realm: Place, staged: string, { hash, path: file }: Edit) {
    if (hash === null) {
      const parent = yield* Effect.option(locate(realm, path.dirname(file)))
      if (parent._tag === "None") return undefined
      const target = path.join(parent.value, path.basename(file))
      return yield* io("remove", file, async () => {
        if (!(await isMissing(staged))) return undefined
        const existing = await fs.promises.lstat(target).catch(unless("ENOENT"))
        if (existing === undefined || existing.isDirectory()) return undefined
        // Without the staging directory this fails: the file is another's by now.
        await fs.promises.rename(target, staged).catch(unless("ENOENT"))
        return parent.value
      })
    }
    // A directory that is removed between the two steps is made once more.
    for (let attempt = 0; attempt < 3; attempt++) {
      if (yield* io("look at", file, () => isMissing(staged))) return undefined
      const parent = yield* makeParent(realm, file)
      const moved = yield* io(
        "write",
        file,
        () => fs.promises.rename(staged, path.join(parent, path.basename(file))).then(() => true, unless("ENOENT"))
      )
      if (moved === true) return parent
    }
    return yield* new FileFailure({
      operation: "write",
      path: file,
      code: "ENOENT",
      detail: "its directory is being removed (ENOENT)"
    })
  })

  const apply = Effect.fnUntraced(function*(realm: Place, batch: string, edits: ReadonlyArray<Edit>) {
    const staging = stagingOf(realm, batch)
    const changed = new Set<string>()
    for (const [index, edit] of edits.entries()) {
      const parent = yield* move(realm, path.join(staging, String(index)), edit).pipe(
        // Somebody has made a directory where the file was to be, or the reverse: theirs is the later change.
        Effect.catchIf(
          (error) => error._tag === "FileConflict" || ["EISDIR", "ENOTEMPTY", "EEXIST", "ENOTDIR"].includes(error.code),
          (error) =>
            Effect.as(Effect.logWarning(`${edit.path} was changed on disk meanwhile; left as it is`, error), undefined)
        ),
        Effect.mapError((error) =>
          error._tag === "FileConflict"
            ? new FileFailure({ operation: "write", path: error.path, code: "EEXIST", detail: error.detail })
            : error
        )
      )
      if (parent !== undefined) changed.add(parent)
    }
    yield* Effect.forEach(
      changed,
      (parent) => io("sync", realm.realmUrl, () => syncDirectory(parent).catch(unless("ENOENT"))),
      { discard: true, concurrency: 8 }
    )
  }, Effect.uninterruptible)

  return {
    stage,
    apply,
    discard: (realm: Pick<Place, "directory">, batch: string) => removeTree(stagingOf(realm, batch)),
    staged: io("list", realmsDir, () => fs.promises.readdir(realmsDir)).pipe(
      Effect.map((names) =>
        names.flatMap((name): ReadonlyArray<StagedBatch> => {
          const found = /^(.+)-([0-9a-f-]{36})$/.exec(name.startsWith(prefix) ? name.slice(prefix.length) : "")
          return found === null ? [] : [{ directory: found[1] ?? "", batch: found[2] ?? "" }]
        })
      )
    )
  }
}
