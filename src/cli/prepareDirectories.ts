import { constants } from "node:fs"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import { Effect } from "effect"
import { CommandFailed } from "./CommandFailed.ts"
import { systemError } from "./systemError.ts"

/** The directories of a replica, absolute. The data directory is made; a realms directory that is named must exist. */
export const prepareDirectories = Effect.fnUntraced(function*(dataDir: string, realmsDir: string | undefined) {
  const data = path.resolve(dataDir)
  const realms = realmsDir === undefined ? path.join(data, "realms") : path.resolve(realmsDir)
  const usable = (directory: string) =>
    attempt(
      async () => {
        await makeDirectory(directory)
        await fs.readdir(directory)
        await fs.access(directory, constants.R_OK | constants.W_OK | constants.X_OK)
      },
      (reason) => `cannot write to the data directory ${data} (${reason}): free it, or name another with --data-dir`
    )
  yield* usable(data)
  if (realmsDir === undefined) yield* usable(realms)
  else {
    yield* attempt(
      async () => void await fs.readdir(realms),
      (reason) => `cannot read the realms directory ${realms} (${reason}): name a directory of realms`
    )
  }
  return { dataDir: data, realmsDir: realms, versionsDir: path.join(data, "versions") }
})

// Not `recursive`: below a directory that lies about itself, such as /proc, Node's own loop never ends.
const makeDirectory = async (directory: string): Promise<void> => {
  const made = await fs.mkdir(directory).then(() => true, (error) => {
    const code = systemError(error)?.code
    if (code === "EEXIST") return true
    if (code === "ENOENT" && path.dirname(directory) !== directory) return false
    throw error
  })
  if (made) return
  await makeDirectory(path.dirname(directory))
  await fs.mkdir(directory)
}

const attempt = (work: () => Promise<void>, message: (reason: string) => string) =>
  Effect.tryPromise({
    try: work,
    catch: (cause) => new CommandFailed({ message: message(reasonOf(cause)) })
  })

const reasonOf = (cause: unknown) => {
  const code = systemError(cause)?.code
  switch (code) {
    case "EACCES":
    case "EPERM":
      return "permission denied"
    case "EEXIST":
    case "ENOTDIR":
      return "it is not a directory"
    case "ENOENT":
      return "it does not exist"
    case "EROFS":
      return "the file system is read-only"
    case "ENOSPC":
      return "the disk is full"
    default:
      return code ?? String(cause)
  }
}
