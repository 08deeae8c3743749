import * as fs from "node:fs"
import * as path from "node:path"
import { Effect } from "effect"
import { FileFailure } from "../domain/errors.ts"

const failed = (file: string) => (cause: unknown) => {
  const { code = "UNKNOWN", message } = cause as NodeJS.ErrnoException
  return new FileFailure({ operation: "copy", path: file, code, detail: `${message.replace(/,? '.*$/, "")} (${code})` })
}

// A step that was begun is awaited: interrupted, it would go on writing while what was copied is being removed.
const attempt = <A>(file: string, run: () => Promise<A>) =>
  Effect.uninterruptible(Effect.tryPromise({ try: run, catch: failed(file) }))

/**
 * Copies a realm's files, durably: every file and directory is on disk when it returns. Bytes are copied, never
 * hard-linked, since editors write in place. Links that stay in the realm are followed; what is not served (names with a
 * leading dot, links that leave, devices, pipes) is left out. Any file that cannot be read fails the whole copy.
 */
export const copyTree = (from: string, to: string): Effect.Effect<void, FileFailure> =>
  Effect.gen(function*() {
    const root = yield* attempt(from, () => fs.promises.realpath(from))
    yield* copyDirectory(root, root, to, "", [])
  })

const copyDirectory = (
  root: string,
  from: string,
  to: string,
  shown: string,
  above: ReadonlyArray<string>
): Effect.Effect<void, FileFailure> =>
  Effect.gen(function*() {
    const entries = yield* attempt(shown, () => fs.promises.readdir(from))
    const names = entries.filter((name) => !name.startsWith(".") || name === ".well-known")
    yield* Effect.forEach(names, (name) =>
      copyEntry(root, path.join(from, name), path.join(to, name), `${shown}${name}`, [
        ...above,
        from
      ]), { concurrency: 8, discard: true })
    yield* attempt(shown, () =>
      sync(to))
  })

const copyEntry = Effect.fnUntraced(function*(
  root: string,
  entry: string,
  to: string,
  shown: string,
  above: ReadonlyArray<string>
) {
  const real = yield* attempt(shown, () => fs.promises.realpath(entry).catch(leavesNowhere))
  if (real === undefined || (real !== root && !real.startsWith(root + path.sep))) {
    return yield* Effect.logWarning(`${shown} is a symbolic link that leaves the realm or leads nowhere; not copied`)
  }
  const stat = yield* attempt(shown, () => fs.promises.stat(real))
  if (stat.isDirectory()) {
    // A link to a directory that is being copied would never end.
    if (above.includes(real)) return yield* Effect.logWarning(`${shown} is a link to its own parent; not copied`)
    yield* attempt(shown, () => fs.promises.mkdir(to))
    return yield* copyDirectory(root, real, to, `${shown}/`, above)
  }
  if (!stat.isFile()) return yield* Effect.logWarning(`${shown} is neither a file nor a directory; not copied`)
  yield* attempt(shown, async () => {
    await fs.promises.copyFile(real, to, fs.constants.COPYFILE_EXCL)
    await sync(to)
  })
})

const leavesNowhere = (error: NodeJS.ErrnoException) => {
  if (error.code === "ENOENT" || error.code === "ELOOP") return undefined
  throw error
}

const sync = async (file: string) => {
  const handle = await fs.promises.open(file, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
