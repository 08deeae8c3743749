import * as fs from "node:fs"
import { parentPort, workerData } from "node:worker_threads"
import { watchTree } from "./watchTree.ts"

// The entry of the watcher's thread. What watches looks at the disk synchronously, and throws where nobody can catch it: out
// of the events of a directory, when a descriptor is refused. Here that ends a thread, which the watcher starts again, and
// not the replica.

/** What the thread posts: `ready` once every directory is watched, or else the name of what may have changed below the root. */
export type WatchMessage = { readonly ready: true } | { readonly name: string | null }

// Any message to the thread asks it to watch everything anew.

const { root } = workerData as { readonly root: string }
const post = (message: WatchMessage) => parentPort?.postMessage(message)
const changed = (name: string | null) => post({ name })

// Elsewhere the system itself watches trees, by name.
if (process.platform === "linux") parentPort?.on("message", watchTree(root, changed))
else fs.watch(root, { recursive: true }, (_, name) => changed(name))
post({ ready: true })
