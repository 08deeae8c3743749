import { Context, Effect, Layer, Logger } from "effect"
import * as crypto from "node:crypto"
import * as fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as path from "node:path"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { type Operation, RealmFiles } from "../../src/realms/RealmFiles.ts"

/** A directory of one's own that holds `realms`, `versions` and `outside`; removed with its scope. */
export class TemporaryRealms extends Context.Service<TemporaryRealms, {
  readonly realmsDir: string
  readonly versionsDir: string
  /** A directory that no realm may reach. */
  readonly outside: string
  /** Where the source realm `notes` is. */
  readonly notes: string
}>()("lockstep/test/realms/TemporaryRealms") {
  static readonly layer = Layer.effect(
    TemporaryRealms,
    Effect.gen(function*() {
      const root = yield* Effect.acquireRelease(
        Effect.promise(async () => fs.realpath(await fs.mkdtemp(path.join(tmpdir(), "lockstep-realms-")))),
        (directory) => Effect.promise(() => fs.rm(directory, { recursive: true, force: true }))
      )
      const places = {
        realmsDir: path.join(root, "realms"),
        versionsDir: path.join(root, "versions"),
        outside: path.join(root, "outside"),
        notes: path.join(root, "realms", "notes")
      }
      yield* Effect.promise(async () => {
        for (const directory of Object.values(places)) await fs.mkdir(directory, { recursive: true })
        await fs.writeFile(path.join(places.outside, "secret.ts"), "export const secret = 1")
      })
      return places
    })
  )
}

/** RealmFiles on such a directory, without its log. */
export const realmFiles = Layer.unwrap(Effect.map(TemporaryRealms, (roots) => RealmFiles.layer(roots))).pipe(
  Layer.provideMerge(TemporaryRealms.layer),
  Layer.provideMerge(Logger.layer([]))
)

/** The source realm `notes`. */
export const notes = {
  realmUrl: "http://test.example/notes/" as RealmUrl,
  kind: "source",
  directory: "notes"
} as const

/** Puts text where the path says, below the realm `notes`, past the service under test. */
export const put = (file: string, text: string) =>
  Effect.flatMap(TemporaryRealms, (places) =>
    Effect.promise(async () => {
      const target = path.join(places.notes, file)
      await fs.mkdir(path.dirname(target), { recursive: true })
      await fs.writeFile(target, text)
    }))

/** One operation on the realm `notes`, by the service under test, from its staging to its end. */
const edit = Effect.fnUntraced(function*(operation: Operation, hash: string | null) {
  const files = yield* RealmFiles
  const batch = crypto.randomUUID()
  const [outcome] = yield* files.stage(notes, batch, [operation])
  yield* files.apply(notes, batch, [{ path: operation.path, hash }])
  yield* files.discard(notes, batch)
  return outcome
})

export const write = (path: string, bytes: Uint8Array) => edit({ op: "put", path, bytes }, "any")

export const remove = (path: string) => edit({ op: "remove", path }, null)

/** Makes a symbolic link in the realm `notes`. */
export const link = (file: string, target: string) =>
  Effect.flatMap(TemporaryRealms, (places) =>
    Effect.promise(async () => {
      await fs.mkdir(path.dirname(path.join(places.notes, file)), { recursive: true })
      await fs.symlink(target, path.join(places.notes, file))
    }))

/** Everything below a directory, by its relative path: a file's text, where a link leads, nothing for the rest. */
export const tree = (directory: string): Effect.Effect<Record<string, string>> =>
  Effect.promise(async () => {
    const found: Record<string, string> = {}
    const walk = async (below: string): Promise<void> => {
      for (const entry of await fs.readdir(path.join(directory, below), { withFileTypes: true })) {
        const name = path.join(below, entry.name)
        const file = path.join(directory, name)
        if (entry.isDirectory()) {
          found[`${name}/`] = ""
          await walk(name)
        } else if (entry.isSymbolicLink()) found[name] = `-> ${await fs.readlink(file)}`
        else found[name] = entry.isFile() ? await fs.readFile(file, "utf8") : ""
      }
    }
    await walk("")
    return found
  })
