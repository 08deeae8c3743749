import { Effect } from "effect"
import { randomBytes, randomUUID } from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { attempt, failure } from "./errors.ts"
import { canEnter, dataDirOwner, type ServerAccount, serverAccount } from "./ServerAccount.ts"

/**
 * Where one server keeps its things.
 *
 * `<data-dir>/postgres` is a directory with the copied binaries, the cluster and the log. When root's data directory
 * lies where the server's account cannot go (below /root, or a 0700 temporary folder), it is a symbolic link into
 * `/var/lib/lockstep`: that place survives a reboot and only root can write there, so nobody can plant anything in it,
 * as they could in /tmp. Each data directory has its own unguessable folder there; deleting the data directory leaves
 * that folder behind.
 */
export interface ServerHome {
  readonly dataDir: string
  /** The real path, without symbolic links. */
  readonly path: string
  readonly cluster: string
  readonly log: string
  readonly password: string
  /** The account of the server, or undefined for this process's own. */
  readonly account: ServerAccount | undefined
  /** The owner of what replicas share beside the server, where that is not this process's account. */
  readonly keeper: ServerAccount | undefined
}

const systemHomes = "/var/lib/lockstep"

/** Finds the data directory's server home, or makes one. The caller has the turn (see `EmbeddedPostgres`). */
export const serverHome = Effect.fnUntraced(function*(dataDir: string) {
  const entry = Path.join(dataDir, "postgres")
  const account = yield* serverAccount(dataDir, Path.join(entry, "cluster"))
  const keeper = yield* dataDirOwner(dataDir)
  const existing = yield* attempt(`look at ${entry}`, () => Fs.lstat(entry).catch(orMissing))
  if (existing === undefined) {
    yield* (yield* canEnter(account, dataDir)) ? makeHome(entry, account, keeper) : makeSystemHome(entry)
  } else if (existing.isSymbolicLink()) {
    yield* checkSystemHome(entry)
  } else if (!existing.isDirectory()) {
    return yield* failure(`${entry} is not a directory`)
  }
  const path = yield* attempt(`resolve ${entry}`, () => Fs.realpath(entry))
  if (account !== undefined && !(yield* canEnter(account, path))) {
    return yield* failure(
      `the server runs as uid ${account.uid}, which cannot enter ${path}: make its parents ` +
        "searchable, or choose another data directory"
    )
  }
  return {
    dataDir,
    path,
    cluster: Path.join(path, "cluster"),
    log: Path.join(path, "server.log"),
    password: Path.join(path, "password"),
    account,
    keeper
  } satisfies ServerHome
})

/**
 * Makes the data directory if need be and returns its real path. PostgreSQL's tools pass paths through a shell between
 * double quotes, and its lock file has a path a line: such characters are refused here, not interpreted there.
 */
export const realDataDir = Effect.fnUntraced(function*(dataDir: string) {
  const path = yield* attempt(`create the data directory ${dataDir}`, async () => {
    await Fs.mkdir(dataDir, { recursive: true })
    return Fs.realpath(dataDir)
  })
  if (/["$`\\\n]/.test(path)) {
    return yield* failure(`PostgreSQL cannot live below ${path}: choose a data directory without quotes, $, \` and \\`)
  }
  return path
})

/** Replaces a file as a whole and durably; only `owner` (or this process's account) can read it. */
export const writePrivateFile = (path: string, content: string, owner: ServerAccount | undefined) =>
  attempt(`write ${path}`, async () => {
    const temporary = `${path}.${randomBytes(8).toString("hex")}`
    // "wx" neither follows a link nor opens what somebody else prepared.
    const file = await Fs.open(temporary, "wx", 0o600)
    try {
      await file.writeFile(content)
      if (owner !== undefined) await file.chown(owner.uid, owner.gid)
      await file.sync()
    } finally {
      await file.close()
    }
    await Fs.rename(temporary, path)
  })

export const readIfThere = (path: string) => attempt(`read ${path}`, () => Fs.readFile(path, "utf8").catch(orMissing))

const orMissing = (error: NodeJS.ErrnoException) => {
  if (error.code === "ENOENT") return undefined
  throw error
}

const makeHome = (path: string, account: ServerAccount | undefined, keeper: ServerAccount | undefined) =>
  attempt(`create ${path}`, async () => {
    await Fs.mkdir(path)
    await Fs.chmod(path, account === undefined ? 0o700 : 0o755)
    if (keeper !== undefined) await Fs.lchown(path, keeper.uid, keeper.gid)
  })

const makeSystemHome = Effect.fnUntraced(function*(entry: string) {
  const path = Path.join(systemHomes, randomUUID())
  yield* attempt(`create ${path}`, async () => {
    await Fs.mkdir(systemHomes, { recursive: true })
    await Fs.chmod(systemHomes, 0o755)
    await Fs.mkdir(path)
    await Fs.chmod(path, 0o755)
    await Fs.symlink(path, entry)
  })
  yield* checkSystemHome(entry)
})

// A link in somebody's data directory must not lead root to act on a place of their choosing.
const checkSystemHome = Effect.fnUntraced(function*(entry: string) {
  const target = yield* attempt(`read ${entry}`, () => Fs.readlink(entry))
  const trusted = yield* attempt(`look at ${target}`, async () => {
    if (Path.dirname(target) !== systemHomes) return false
    const all = await Promise.all([systemHomes, target].map((path) => Fs.lstat(path)))
    return all.every((found) => found.isDirectory() && found.uid === 0 && (found.mode & 0o022) === 0)
  })
  if (!trusted) {
    return yield* failure(`${entry} is a link to ${target}, which is not a folder of root's in ${systemHomes}`)
  }
})
