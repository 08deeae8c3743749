import * as fs from "node:fs"
import * as path from "node:path"
import { Effect } from "effect"
import type { FileFailure } from "../domain/errors.ts"
import { absent, io } from "./fileSystem.ts"

/** What a realm takes on disk. */
export interface TreeSize {
  readonly files: number
  readonly bytes: number
}

/** The files below a directory that are not hidden, by what the directory says of them. What vanishes meanwhile counts nothing. */
export const measureTree = (directory: string): Effect.Effect<TreeSize, FileFailure> =>
  Effect.gen(function*() {
    const entries = yield* io(
      "list",
      path.basename(directory),
      () => fs.promises.readdir(directory, { withFileTypes: true }).catch(emptyIfAbsent)
    )
    const sizes = yield* Effect.forEach(entries, (entry) => {
      if (entry.name.startsWith(".")) return Effect.succeed(nothing)
      const place = path.join(directory, entry.name)
      if (entry.isDirectory()) return measureTree(place)
      return entry.isFile() ? measureFile(place) : Effect.succeed(nothing)
    })
    return sizes.reduce(sum, nothing)
  })

const nothing: TreeSize = { files: 0, bytes: 0 }

const sum = (a: TreeSize, b: TreeSize): TreeSize => ({ files: a.files + b.files, bytes: a.bytes + b.bytes })

const measureFile = (place: string) =>
  io("look at", path.basename(place), async () => {
    const stat = await fs.promises.lstat(place).catch(() => undefined)
    return stat === undefined ? nothing : { files: 1, bytes: stat.size }
  })

const emptyIfAbsent = (error: NodeJS.ErrnoException): ReadonlyArray<fs.Dirent> => {
  if (!absent.has(error.code ?? "")) throw error
  return []
}
