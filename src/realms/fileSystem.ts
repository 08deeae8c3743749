import * as fs from "node:fs"
import * as path from "node:path"
import { Effect } from "effect"
import { FileFailure } from "../domain/errors.ts"

/** Changes whenever a file is written or replaced: device, inode, size, and times in nanoseconds. */
export type Stamp = string

export const stampOf = (stat: fs.BigIntStats): Stamp =>
  `${stat.dev}.${stat.ino}.${stat.size}.${stat.mtimeNs}.${stat.ctimeNs}`

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

const failure = (operation: string, file: string) => (cause: unknown) => {
  const { code = "UNKNOWN", message } = cause as NodeJS.ErrnoException
  return new FileFailure({ operation, path: file, code, detail: describe(code, message) })
}

/** One step on the file system, with what it was to do and for which file in its error. */
export const io = <A>(operation: string, file: string, run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: failure(operation, file) })

/** What lstat and open say of a path that names nothing, of one below a file, and of links that go round in circles. */
export const absent: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "EISDIR", "ENXIO"])

export const isWithin = (root: string, real: string) => real === root || real.startsWith(root + path.sep)

/** Takes an error for nothing when it has this code. */
export const unless = (code: string) => (error: NodeJS.ErrnoException) => {
  if (error.code !== code) throw error
}

/** What Node reads in one go. */
const maxLength = 2 ** 31 - 1

/**
 * The rest of a file whose stat said `size`: one question to the system if it has not grown since, where `readFile` asks
 * three. The bytes are in a buffer of their own and keep no others in memory. Fails for 2 GiB and more, as `readFile` does.
 */
export const readToEnd = async (handle: fs.promises.FileHandle, size: number): Promise<Buffer> => {
  const tooLarge = () => Object.assign(new Error("it has 2 GiB or more"), { code: "ERR_FS_FILE_TOO_LARGE" })
  if (size >= maxLength) throw tooLarge()
  // With room for one more byte, which a file that ends where its stat said leaves empty.
  let buffer = Buffer.allocUnsafeSlow(size + 1)
  let length = 0
  for (;;) {
    const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null)
    length += bytesRead
    if (bytesRead === 0 || (length >= size && length < buffer.length)) return buffer.subarray(0, length)
    if (length === buffer.length) {
      if (2 * length > maxLength) throw tooLarge()
      const larger = Buffer.allocUnsafeSlow(2 * length)
      buffer.copy(larger)
      buffer = larger
    }
  }
}

/** Makes what was created, renamed or removed in a directory durable. */
export const syncDirectory = async (directory: string) => {
  const handle = await fs.promises.open(directory, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export const removeTree = (directory: string) =>
  io("remove", path.basename(directory), () => fs.promises.rm(directory, { recursive: true, force: true }))
