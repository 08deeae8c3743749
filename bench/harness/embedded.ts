import { Effect } from "effect"
import * as fs from "node:fs/promises"
import * as path from "node:path"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import type { LockstepOptions } from "../../src/Lockstep.ts"
import type { Answered, Task } from "../processes/embedded.ts"
import { BenchFailed } from "./BenchFailed.ts"
import { Children } from "./Children.ts"
import { Workbench } from "./Workbench.ts"

const publicUrl = "http://localhost:4201/"

/** The one source realm of an embedded host, of one small module, `hello.ts`, and a URL to publish it under. */
export const smallRealm = `${publicUrl}small/`
export const smallPublished = `${publicUrl}published/`

export interface Fleet {
  readonly databaseUrl: string
  readonly realmsDir: string
  readonly versionsDir: string
}

/** An empty database and directories, with the small realm's files. */
export const smallFleet = Effect.gen(function*() {
  const { freshDatabase, freshDirectory } = yield* Workbench
  const directory = yield* freshDirectory
  const fleet = {
    databaseUrl: yield* freshDatabase,
    realmsDir: path.join(directory, "realms"),
    versionsDir: path.join(directory, "versions")
  }
  yield* Effect.tryPromise({
    try: async () => {
      await fs.mkdir(path.join(fleet.realmsDir, "small"), { recursive: true })
      await fs.mkdir(fleet.versionsDir)
      await fs.writeFile(path.join(fleet.realmsDir, "small", "hello.ts"), "export const hello: string = 'hello'\n")
    },
    catch: (cause) => new BenchFailed({ detail: `cannot write the small realm: ${String(cause)}` })
  })
  return fleet
})

/** Writes files into the small realm; before a host starts, so that nobody has to notice. */
export const addFiles = (fleet: Fleet, files: Readonly<Record<string, string>>) =>
  Effect.tryPromise({
    try: async () => {
      for (const [name, text] of Object.entries(files)) {
        await fs.writeFile(path.join(fleet.realmsDir, "small", name), text)
      }
    },
    catch: (cause) => new BenchFailed({ detail: `cannot write the small realm: ${String(cause)}` })
  })

/** A process that embeds Lockstep, a member of the fleet until the scope closes. */
export const startEmbedded = Effect.fnUntraced(function*(
  { databaseUrl, realmsDir, versionsDir }: Fleet,
  replicaId: string,
  own: Pick<LockstepOptions, "cacheBytes" | "warmUp"> = { cacheBytes: 64 * 2 ** 20 },
  profiled = false
) {
  const children = yield* Children
  const { profileDir } = yield* Workbench
  const host = yield* children.helper<Task, Answered>(
    new URL("../processes/embedded.ts", import.meta.url),
    profiled && profileDir !== undefined ? ["--cpu-prof", "--cpu-prof-dir", profileDir] : []
  )
  yield* host.ask({
    task: "start",
    databaseUrl,
    options: {
      publicUrl: publicUrl as RealmUrl,
      realmsDir,
      versionsDir,
      replicaId,
      advertiseUrl: publicUrl,
      leaseMillis: 3000,
      transpiler: { workers: 1 },
      ...own
    }
  }, 60_000)
  return host
})
