import { Duration, Effect, Layer, Schedule } from "effect"
import { ofVersion } from "../domain/RealmUrl.ts"
import { RealmFiles } from "../realms/RealmFiles.ts"
import { ArtifactTable } from "../store/ArtifactTable.ts"
import { EncodingTable } from "../store/EncodingTable.ts"
import { ModuleTable } from "../store/ModuleTable.ts"
import { ModuleTranspileTable } from "../store/ModuleTranspileTable.ts"
import { RealmTable } from "../store/RealmTable.ts"
import { RealmVersionTable } from "../store/RealmVersionTable.ts"

/** How much is kept, and for how long. */
export interface Keep {
  /** Newest versions of a realm that are always kept. */
  readonly versions: number
  /** What was superseded less long ago is kept whatever its number: replicas and browsers may still need it. */
  readonly versionAge: Duration.Input
  /** A copy that has not been committed for this long belongs to a publisher that died. */
  readonly copyAge: Duration.Input
  /** Tombstones of a realm that are worth a collection. */
  readonly tombstones: number
  /** Longer than any statement lives, so that no write that read an older floor is still under way. */
  readonly settle: Duration.Input
  /** Older compressed bodies are deleted; those still wanted are made again. */
  readonly encodingAge: Duration.Input
  /** Older artifacts of hosts are deleted; those still wanted are made again. */
  readonly artifactAge: Duration.Input
  /** Transpiled contents that nobody has adopted for so long are deleted. */
  readonly contentAge: Duration.Input
}

export const defaultKeep: Keep = {
  versions: 10,
  versionAge: "1 hour",
  copyAge: "1 hour",
  tombstones: 1000,
  settle: "30 seconds",
  encodingAge: "30 days",
  artifactAge: "30 days",
  contentAge: "30 days"
}

/** Removes what nobody can need: old versions, the leavings of crashes, void rows, and tombstones (S12). */
export const collect = Effect.fn("collect")(function*(keep: Keep) {
  const artifacts = yield* ArtifactTable
  const definitions = yield* ModuleTable
  const encodings = yield* EncodingTable
  const files = yield* RealmFiles
  const realms = yield* RealmTable
  const transpiled = yield* ModuleTranspileTable
  const versions = yield* RealmVersionTable

  // A directory that cannot be removed must not keep those after it, whose rows are gone by now, on the disk for ever.
  const remove = (directory: string) =>
    Effect.catch(
      files.removeVersion(directory),
      (error) => Effect.logWarning(`The version directory ${directory} was left behind`, error)
    )

  // The announcement is gone first: its publisher, if it wakes, cannot commit a directory that is being removed.
  yield* Effect.forEach(yield* versions.sweep(keep.copyAge), remove, { discard: true })
  for (const version of yield* versions.expire(keep.versions, keep.versionAge)) {
    yield* transpiled.clear(ofVersion(version.realmUrl, version.generation))
    yield* definitions.clear(ofVersion(version.realmUrl, version.generation))
    yield* remove(version.directory)
  }
  yield* transpiled.collectVoid
  yield* definitions.collectVoid
  yield* artifacts.collect(Duration.toDays(keep.artifactAge))
  yield* encodings.collect(Duration.toDays(keep.encodingAge))
  yield* transpiled.collectContents(Duration.toDays(keep.contentAge))
  const floors = yield* realms.raiseInsertFloors(keep.tombstones)
  if (floors.length > 0) {
    yield* Effect.sleep(keep.settle)
    yield* transpiled.collectTombstones(floors)
    yield* definitions.collectTombstones(floors)
  }
})

/** Collects in the background, every few minutes. Several replicas may do so at once. */
export const layerCollector = (keep: Keep = defaultKeep) =>
  Layer.effectDiscard(Effect.forkScoped(Effect.repeat(
    Effect.catch(collect(keep), (error) => Effect.logWarning("Nothing was collected this time", error)),
    Schedule.jittered(Schedule.spaced("5 minutes"))
  )))
