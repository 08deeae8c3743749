import { Effect } from "effect"
import * as Fs from "node:fs/promises"
import { attempt, failure } from "./errors.ts"
import { runProgram } from "./runProgram.ts"

/** The account that a server runs under when it is not this process's own. */
export interface ServerAccount {
  readonly uid: number
  readonly gid: number
}

const isRoot = () => process.getuid?.() === 0

/**
 * PostgreSQL refuses to run as root. For an ordinary user the server runs under the user's own account (undefined); for
 * root it runs, in this order, as the owner of an existing cluster; as the owner of the data directory, so that `sudo`
 * in somebody's checkout leaves nothing behind that they cannot use; as `nobody`.
 */
export const serverAccount = Effect.fnUntraced(function*(dataDir: string, cluster: string) {
  if (!isRoot()) return undefined
  const owner = (yield* ownerOf(cluster)) ?? (yield* namedOwnerOf(dataDir))
  return owner ?? (yield* nobody)
})

/** To whom files belong that replicas share beside the server: the owner of the data directory. */
export const dataDirOwner = Effect.fnUntraced(function*(dataDir: string) {
  return isRoot() ? yield* ownerOf(dataDir) : undefined
})

/** Whether the account can enter the directory. Asked of the system itself: modes alone do not tell (ACLs, NFS). */
export const canEnter = (account: ServerAccount | undefined, directory: string) =>
  Effect.map(
    runProgram("/bin/sh", ["-c", "cd -- \"$1\"", "sh", directory], { account, deadlineSeconds: 10 }),
    ({ code }) => code === 0
  )

const ownerOf = (path: string) =>
  attempt(`look at ${path}`, async () => {
    const found = await Fs.stat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined
      throw error
    })
    return found === undefined || found.uid === 0 ? undefined : { uid: found.uid, gid: found.gid }
  })

// initdb insists that its account has a name; the owner of a directory mounted into a container may have none.
const namedOwnerOf = Effect.fnUntraced(function*(path: string) {
  const owner = yield* ownerOf(path)
  if (owner === undefined) return undefined
  const gid = yield* idOf("-g", String(owner.uid))
  return gid === undefined ? undefined : { uid: owner.uid, gid }
})

const nobody = Effect.gen(function*() {
  const uid = yield* idOf("-u", "nobody")
  const gid = yield* idOf("-g", "nobody")
  if (uid === undefined || gid === undefined) {
    return yield* failure(
      "root needs an account named nobody to run PostgreSQL under; or set DATABASE_URL"
    )
  }
  return { uid, gid }
})

const idOf = (flag: "-u" | "-g", name: string) =>
  Effect.map(
    runProgram("id", [flag, name], { account: undefined, deadlineSeconds: 10 }),
    ({ code, output }) => code === 0 && /^\d+$/.test(output) ? Number(output) : undefined
  )
