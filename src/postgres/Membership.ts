import { Effect, Exit, Scope } from "effect"
import * as Fs from "node:fs/promises"
import { hostname } from "node:os"
import * as Path from "node:path"
import { attempt, failure } from "./errors.ts"
import * as FileLock from "./FileLock.ts"
import { readIfThere, type ServerHome, writePrivateFile } from "./ServerHome.ts"
import { dataDirOwner } from "./ServerAccount.ts"

/**
 * Who uses a data directory's server.
 *
 * Two locks in the data directory (see `FileLock`): whoever starts or stops the server has the *turn*; whoever uses it
 * shares *users*, and the one that leaves and can then have it alone was the last. The turn comes first, always, and
 * `users` changes only under it. A process that is killed loses both at once, whatever it was doing.
 */
export interface Membership {
  readonly dataDir: string
  /** Takes the turn until the scope closes. */
  readonly turn: (deadlineSeconds: number) => ReturnType<typeof FileLock.hold>
  /** Says, with the turn, whether nobody uses the server. */
  readonly unused: ReturnType<typeof isUnused>
}

/** The locks of a data directory. */
export const membership = Effect.fnUntraced(function*(dataDir: string) {
  const owner = yield* dataDirOwner(dataDir)
  const turn = Path.join(dataDir, "postgres.turn")
  yield* FileLock.create(turn, owner)
  const users = usersLock(dataDir)
  yield* FileLock.create(users, owner)
  return {
    dataDir,
    turn: (deadlineSeconds) => FileLock.hold(turn, deadlineSeconds),
    unused: isUnused(users)
  } satisfies Membership
})

/**
 * Becomes a user of the server until the returned scope is closed. The caller has the turn.
 *
 * Fails if users of it are elsewhere: in another container or, through a network file system, on another machine.
 * From there one sees neither its process nor its port, and would start a second server on the same files.
 */
export const join = Effect.fnUntraced(function*(home: ServerHome, members: Membership) {
  const here = yield* place
  const mark = Path.join(home.path, "place")
  if (yield* members.unused) {
    yield* writePrivateFile(mark, here, home.keeper)
  } else if ((yield* readIfThere(mark)) !== here) {
    return yield* failure(
      `${home.dataDir} is in use by another container or machine: give each its own data ` +
        "directory, or set DATABASE_URL for all of them"
    )
  }
  const scope = yield* Scope.make()
  const joined = yield* FileLock.tryHold(usersLock(home.dataDir), "shared").pipe(Scope.provide(scope))
  if (joined) return scope
  yield* Scope.close(scope, Exit.void)
  return yield* failure(`${usersLock(home.dataDir)} is held by another program`)
})

const usersLock = (dataDir: string) => Path.join(dataDir, "postgres.users")

const isUnused = (users: string) => Effect.scoped(FileLock.tryHold(users, "exclusive"))

// Process ids, shared memory and loopback ports mean the same only within one boot of one kernel's namespaces.
const place = Effect.gen(function*() {
  if (process.platform !== "linux") return hostname()
  return yield* attempt("identify this machine", async () => {
    const boot = await Fs.readFile("/proc/sys/kernel/random/boot_id", "utf8")
    const namespaces = await Promise.all(["pid", "net", "ipc"].map((name) => Fs.readlink(`/proc/self/ns/${name}`)))
    return [boot.trim(), ...namespaces].join(" ")
  })
})
