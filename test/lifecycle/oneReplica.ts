import { Effect, Layer, Logger, Option } from "effect"
import { Generations } from "../../src/coordination/Generations.ts"
import type { RealmUrl } from "../../src/domain/RealmUrl.ts"
import { layerMemory } from "../../src/Lockstep.ts"
import { RealmFiles } from "../../src/realms/RealmFiles.ts"
import { RealmTable } from "../../src/store/RealmTable.ts"
import { TemporaryRealms } from "../realms/temporaryRealms.ts"

export const publicUrl = "http://localhost:4201/" as RealmUrl

/** The source realm that is there from the start: directory `notes`, file `a.ts`. */
export const notesUrl = "http://localhost:4201/notes/" as RealmUrl

/** A URL to publish to. */
export const publishedUrl = "http://published.example/notes/" as RealmUrl

/** All of Lockstep in memory, on directories of its own, without its log. */
export const oneReplica = Layer.unwrap(Effect.map(TemporaryRealms, ({ realmsDir, versionsDir }) =>
  layerMemory({
    realmsDir,
    versionsDir,
    publicUrl,
    cacheBytes: 1_000_001,
    replicaId: "one",
    advertiseUrl: publicUrl,
    leaseMillis: 15_000,
    transpiler: {}
  }))).pipe(Layer.provideMerge(TemporaryRealms.layer), Layer.provideMerge(Logger.layer([])))

/** The realm's row, live or gone. */
export const rowOf = Effect.fnUntraced(function*(realmUrl: RealmUrl) {
  const realms = yield* RealmTable
  return (yield* realms.read([realmUrl])).realms[0]
})

/** What a request that begins now reads of this realm; nothing where no realm lives. */
export const served = Effect.fnUntraced(function*(realmUrl: RealmUrl, path: string) {
  const generations = yield* Generations
  const files = yield* RealmFiles
  const [view] = yield* generations.view([realmUrl])
  if (view === undefined) return undefined
  const file = yield* Effect.option(files.read(view.row, path))
  return Option.getOrUndefined(Option.map(file, ({ bytes }) => Buffer.from(bytes).toString()))
})
