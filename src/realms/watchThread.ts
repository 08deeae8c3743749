import * as fs from "node:fs"
import * as path from "node:path"
import { parentPort, workerData } from "node:worker_threads"

// The entry of the watcher's thread. Node's recursive watch looks at the disk synchronously, and throws where nobody can
// catch it: out of the events of a directory, when a descriptor is refused or a name is a circle of links. Here that ends
// a thread, which the watcher starts again, and not the replica.

/** What the thread posts: `ready` once every directory is watched, or else the name of what may have changed below the root. */
export type WatchMessage = { readonly ready: true } | { readonly name: string | null }

const { root } = workerData as { readonly root: string }
const post = (message: WatchMessage) => parentPort?.postMessage(message)

const hidden = /^\.(?!well-known(?:\/|$))/

/** Links are not watched: what they lead to may be anywhere, in circles too. Nor are directories that cannot be read. */
const ignore = (name: string): boolean => {
  if (hidden.test(path.basename(name))) return true
  const place = path.join(root, name)
  try {
    const stat = fs.lstatSync(place)
    if (stat.isDirectory()) fs.accessSync(place, fs.constants.R_OK | fs.constants.X_OK)
    if (!stat.isSymbolicLink()) return false
  } catch {
    // It is gone, or not for us.
  }
  post({ name })
  return true
}

fs.watch(root, { recursive: true, ignore }, (_, name) => post({ name }))
post({ ready: true })
