import * as crypto from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import { Clock, Effect } from "effect"
import type { FileFailure } from "../domain/errors.ts"
import { isExecutable, isReserved } from "../domain/ModulePath.ts"
import type { RecordedFile, RecordedFiles } from "../store/RealmFileTable.ts"
import { absent, io, isWithin, stampOf } from "./fileSystem.ts"

/** A change within the clock tick of an earlier one leaves the same stamp: younger files are looked into again. */
const restlessMillis = 2000

/** Stands for the bytes of a file that may not be read. */
const unreadable = "!"

// What editors write beside a file while they save it: it is gone in a moment, and never a module.
const temporary =
  /~$|\.(?:swp|swx|swo|tmp|bak|part|crswap|crdownload)$|___jb_\w+___$|\.tmp[.-][^/]*$|(?:^|\/)4913$|\.sb-[^/]*$/

/** Whether edits of this path are of no interest to anyone. */
export const isPassing = (file: string): boolean =>
  isReserved(file) || hidden(file) || (temporary.test(file) && !isExecutable(file))

const hidden = (file: string) => file.split("/").some((name) => name.startsWith(".") && name !== ".well-known")

/**
 * The files of a directory that are served, with the hashes of their bytes: all of them, or those at and below the paths
 * given. A file whose stamp is the recorded one is not read again; `recorded` is empty where stamps are not to be trusted.
 * Links that stay inside are followed, as reads do.
 */
export const scanTree = Effect.fnUntraced(function*(
  directory: string,
  below: ReadonlyArray<string> | undefined,
  recorded: RecordedFiles
): Effect.fn.Return<RecordedFiles, FileFailure> {
  const now = yield* Clock.currentTimeMillis
  const root = yield* io("open", directory, () => fs.promises.realpath(directory).catch(noneIfAbsent))
  const found = new Map<string, RecordedFile>()
  if (root === undefined) return found

  const visitFile = (file: string, real: string, stat: fs.BigIntStats) =>
    io("read", file, async () => {
      const stamp = stampOf(stat)
      const known = recorded.get(file)
      const hash = known !== undefined && known.stamp === stamp ? known.hash : await hashOf(real)
      if (hash === undefined) return
      const changedMillis = Math.max(Number(stat.mtimeMs), Number(stat.ctimeMs))
      found.set(file, {
        hash,
        stamp: changedMillis < now - restlessMillis ? stamp : "",
        size: Number(stat.size)
      })
    })

  const visitDirectory = (file: string, real: string, above: ReadonlyArray<string>): Effect.Effect<void, FileFailure> =>
    Effect.gen(function*() {
      // A link to a directory that is being looked at would never end.
      if (above.includes(real)) return
      const entries = yield* io(
        "list",
        file,
        () => fs.promises.readdir(real, { withFileTypes: true }).catch(noneIfAbsent)
      )
      const inside = [...above, real]
      yield* Effect.forEach(entries ?? [], (entry) => {
        const inner = file === "" ? entry.name : `${file}/${entry.name}`
        if (isPassing(inner)) return Effect.void
        const place = path.join(real, entry.name)
        if (entry.isDirectory()) return visitDirectory(inner, place, inside)
        return entry.isFile() ? visitRegular(inner, place) : visit(inner, inside)
      }, { discard: true, concurrency: above.length === 0 ? 8 : 4 })
    })

  // What the directory calls a file is no link, and needs no resolving.
  const visitRegular = (file: string, real: string) =>
    Effect.flatMap(
      io("look at", file, () => fs.promises.lstat(real, { bigint: true }).catch(noneIfAbsent)),
      (stat) => stat?.isFile() === true ? visitFile(file, real, stat) : Effect.void
    )

  /** A path whatever it is, and whatever it leads through. */
  const visit = (file: string, above: ReadonlyArray<string>): Effect.Effect<void, FileFailure> =>
    Effect.gen(function*() {
      const seen = yield* io("look at", file, async () => {
        const real = await fs.promises.realpath(path.join(root, file)).catch(noneIfAbsent)
        if (real === undefined || !isWithin(root, real)) return undefined
        const stat = await fs.promises.stat(real, { bigint: true }).catch(noneIfAbsent)
        return stat === undefined ? undefined : { real, stat }
      })
      if (seen?.stat.isFile() === true) return yield* visitFile(file, seen.real, seen.stat)
      if (seen?.stat.isDirectory() === true) yield* visitDirectory(file, seen.real, above)
    })

  yield* Effect.forEach(below ?? [""], (file) => file !== "" && isPassing(file) ? Effect.void : visit(file, []), {
    discard: true,
    concurrency: 8
  })
  return found
})

/** The files of a source realm by their own names, links not followed: what there is to remove. */
export const listTree = (directory: string, below = ""): Effect.Effect<ReadonlyArray<string>, FileFailure> =>
  Effect.gen(function*() {
    const entries = yield* io(
      "list",
      directory,
      () => fs.promises.readdir(path.join(directory, below), { withFileTypes: true })
    )
    const files = yield* Effect.forEach(entries, (entry) => {
      const file = below === "" ? entry.name : `${below}/${entry.name}`
      if (hidden(file) || isReserved(file)) return Effect.succeed([])
      return entry.isDirectory() ? listTree(directory, file) : Effect.succeed([file])
    })
    return files.flat()
  })

const gone = new Set([...absent, "EACCES"])

const noneIfAbsent = (error: NodeJS.ErrnoException) => {
  if (!gone.has(error.code ?? "")) throw error
  return undefined
}

const hashOf = async (file: string): Promise<string | undefined> => {
  const handle = await fs.promises.open(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => error.code === "EACCES" ? unreadable : noneIfAbsent(error)
  )
  if (handle === undefined || handle === unreadable) return handle
  try {
    const hash = crypto.createHash("sha256")
    // In pieces: a realm may hold files that are larger than memory.
    const buffer = Buffer.allocUnsafe(256 * 1024)
    for (;;) {
      const { bytesRead } = await handle.read(buffer)
      if (bytesRead === 0) return hash.digest("base64url")
      hash.update(buffer.subarray(0, bytesRead))
    }
  } finally {
    await handle.close()
  }
}
