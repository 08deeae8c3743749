import * as fs from "node:fs"
import * as path from "node:path"

/** A directory that is watched. */
interface Directory {
  readonly place: string
  /** None for the root. */
  readonly above: Directory | undefined
  /** Which directory the watch is on: another one may have taken its name. */
  readonly identity: string
  readonly watch: fs.FSWatcher
  /** The directories in it, by their names. */
  readonly inside: Map<string, Directory>
}

/** What is hidden is of no interest, but for one name. */
const hidden = /^\.(?!well-known$)/

/** Of a directory that is gone by now, or not for us to look into. The others are ours: descriptors have run out. */
const passedOver = new Set(["ENOENT", "ENOTDIR", "ELOOP", "EACCES", "EPERM", "ENAMETOOLONG"])

const ifThere = <A>(look: () => A): A | undefined => {
  try {
    return look()
  } catch (error) {
    if (!passedOver.has((error as NodeJS.ErrnoException).code ?? "")) throw error
    return undefined
  }
}

const identityOf = (stat: fs.BigIntStats) =>
  stat.isDirectory() ? `${stat.dev}.${stat.ino}.${stat.birthtimeNs}` : undefined

/**
 * Watches a directory and all directories below it, on Linux: one inotify watch each, which tells of the files as well.
 * `changed` is given names below the root, each once the watches are on what has that name now; null is all of them. Links
 * are not followed: what they lead to may be anywhere, in circles too. Throws, also later and to nobody, where it cannot go on.
 * Answers how to begin anew, for when names may have been lost.
 *
 * Node's own recursive watch keeps by its name what it watches, and so stays on a directory that was removed when the next
 * one of that name is made before its events are read. Here the directory itself is what counts.
 */
export const watchTree = (root: string, changed: (name: string | null) => void): () => void => {
  const look = (place: string) =>
    place === root
      ? identityOf(fs.statSync(place, { bigint: true }))
      : ifThere(() => identityOf(fs.lstatSync(place, { bigint: true })))

  const close = ({ inside, watch }: Directory) => {
    watch.close()
    for (const each of inside.values()) close(each)
  }

  /** Watches the directory that has the name now. The watch comes before the look inside: nothing is made between the two. */
  const open = (place: string, above: Directory | undefined): Directory | undefined => {
    for (;;) {
      const identity = look(place)
      if (identity === undefined) return undefined
      const watch = ifThere(() => fs.watch(place, (event, name) => heard(directory, event, name)))
      if (watch === undefined) return undefined
      const directory: Directory = { place, above, identity, watch, inside: new Map() }
      watch.on("error", () => renew(directory))
      if (look(place) !== identity) {
        // The name went to another one in between.
        watch.close()
        continue
      }
      for (const entry of ifThere(() => fs.readdirSync(place, { withFileTypes: true })) ?? []) {
        if (entry.isDirectory()) follow(directory, entry.name)
      }
      return directory
    }
  }

  /** Has the watch on whatever directory has this name now, if any. */
  const follow = (above: Directory, name: string) => {
    if (hidden.test(name)) return
    const place = path.join(above.place, name)
    const known = above.inside.get(name)
    if (known !== undefined) {
      if (look(place) === known.identity) return
      close(known)
      above.inside.delete(name)
    }
    const opened = open(place, above)
    if (opened !== undefined) above.inside.set(name, opened)
  }

  const tell = (place: string) => changed(path.relative(root, place))

  const renew = (directory: Directory) => {
    const { above, place } = directory
    if (above === undefined) {
      if (look(place) !== directory.identity) throw new Error(`${place} is another directory now`)
      return
    }
    const name = path.basename(place)
    if (above.inside.get(name) !== directory) return
    close(directory)
    above.inside.delete(name)
    follow(above, name)
    tell(place)
  }

  const heard = (directory: Directory, event: string, name: string | null) => {
    if (name === null) return renew(directory)
    // What happens to the directory itself is told under its own name: it was removed or moved, and the watch with it.
    if (event === "rename" && name === path.basename(directory.place)) renew(directory)
    if (hidden.test(name)) return
    follow(directory, name)
    tell(path.join(directory.place, name))
    // One that was moved is told of under a name that it had.
    if (event === "rename" && look(directory.place) !== directory.identity) renew(directory)
  }

  const begin = () => {
    const top = open(root, undefined)
    if (top === undefined) throw new Error(`${root} is not a directory`)
    return top
  }

  let top = begin()
  return () => {
    close(top)
    top = begin()
    changed(null)
  }
}
