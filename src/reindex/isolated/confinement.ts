import * as process from "node:process"

/** A command line that runs Node with less than its parent may do, and what that takes away. */
export interface Confinement {
  readonly command: ReadonlyArray<string>
  /** What code can still do. For the log. */
  readonly leaves: string
}

/** Address space of the whole process, in bytes. V8 reserves much more than it uses: with two threads, two of these three. */
const addressSpace = 3_000_000_000

// "nobody", on every system that has these tools.
const nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"]
// Dies with its parent, also where that is killed; and gains nothing by running programs.
const bound = ["setpriv", "--no-new-privs", "--pdeathsig=KILL"]
const limited = ["prlimit", `--as=${addressSpace}`, "--core=0", "--nofile=64"]
// No process to be seen, no network, no shared memory; everything in it ends with its first process.
const namespaces = ["--pid", "--net", "--ipc", "--fork", "--kill-child"]

/**
 * From the strictest to none: what a system permits is found by trying. `unshare`, `setpriv` and `prlimit` are part of
 * util-linux; containers often forbid namespaces, and other systems have none of these.
 */
export const confinements = (): ReadonlyArray<Confinement> => {
  const root = process.getuid?.() === 0
  const user = root ? nobody : []
  const alone = root ? ["unshare", ...namespaces] : ["unshare", "--user", "--map-current-user", ...namespaces]
  const bare = { command: [], leaves: "sending signals to this process, and 3 GB or more of buffers" }
  if (process.platform !== "linux") return [bare]
  return [
    { command: ["setpriv", "--pdeathsig=KILL", ...alone, ...bound, ...user, ...limited], leaves: "" },
    {
      command: [...bound, ...user, ...limited],
      leaves: root ? "" : "sending signals to processes of this account"
    },
    { command: ["prlimit", `--as=${addressSpace}`, "--core=0"], leaves: "sending signals to this process" },
    bare
  ]
}
