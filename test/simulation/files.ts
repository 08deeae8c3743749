import { Effect, Layer, Result } from "effect"
import { FileFailure, FileNotFound } from "../../src/domain/errors.ts"
import { type FileBytes, RealmFiles } from "../../src/realms/RealmFiles.ts"
import type { Process, Simulation } from "./Simulation.ts"

interface File {
  readonly text: string
  readonly stamp: string
}

/** The disk that all replicas share: source directories and version directories. */
export class Disk {
  readonly directories = new Map<string, Map<string, File>>()
  /** Told of each change to a source file, at its instant. */
  onChange: (process: Process | undefined, path: string) => void = () => {}
  /** Told of each copy that is complete. */
  onCopied: (process: Process) => void = () => {}
  /** How many operations fail, and how many are slow. */
  failing = 0
  slow = 0
  #stamps = 0

  textsOf(directory: string): ReadonlyMap<string, string> | undefined {
    const files = this.directories.get(directory)
    return files && new Map(Array.from(files, ([path, { text }]) => [path, text]))
  }

  write(process: Process | undefined, directory: string, path: string, text: string): void {
    const files = this.directories.get(directory) ?? new Map<string, File>()
    this.directories.set(directory, files.set(path, { text, stamp: String(++this.#stamps) }))
    this.onChange(process, path)
  }

  remove(process: Process | undefined, directory: string, path: string): void {
    this.directories.get(directory)?.delete(path)
    this.onChange(process, path)
  }
}

type Place = Parameters<RealmFiles["Service"]["read"]>[0]

const directoryOf = ({ directory, kind }: Place) => `${kind} ${directory}`

/** One replica's view of the shared disk; each operation takes a moment and happens at one instant. */
export const layerFiles = (simulation: Simulation, process: Process, disk: Disk) => {
  const io = <A, E = never>(operation: string, path: string, work: () => Result.Result<A, E>, slowest = 2) =>
    Effect.callback<A, E | FileFailure>((resume) => {
      // What was begun goes on when its caller is interrupted or frozen; only the answer is late.
      simulation.after(simulation.random() * (simulation.strikes("files slow", disk.slow) ? 100 : slowest), () => {
        if (process.state === "dead") return
        const result: Result.Result<A, E | FileFailure> = simulation.strikes("files failed", disk.failing)
          ? Result.fail(new FileFailure({ operation, path, code: "EIO", detail: "input/output error" }))
          : work()
        process.after(
          simulation.random() * (simulation.strikes("files slow", disk.slow) ? 100 : slowest),
          () => resume(Effect.fromResult(result))
        )
      })
    })

  const find = (realm: Place, path: string): Result.Result<File, FileNotFound> => {
    const file = disk.directories.get(directoryOf(realm))?.get(path)
    return file === undefined
      ? Result.fail(new FileNotFound({ realmUrl: realm.realmUrl, path }))
      : Result.succeed(file)
  }

  return Layer.succeed(
    RealmFiles,
    RealmFiles.of({
      read: (realm, path) =>
        io(
          "read",
          path,
          () => Result.map(find(realm, path), ({ stamp, text }): FileBytes => ({ bytes: Buffer.from(text), stamp }))
        ),
      stamp: (realm, path) => io("look at", path, () => Result.map(find(realm, path), ({ stamp }) => stamp)),
      list: () => Effect.succeed([]),
      write: (realm, path, bytes) =>
        Effect.uninterruptible(io("write", path, () => {
          const directory = directoryOf(realm)
          const existed = disk.directories.get(directory)?.has(path) === true
          disk.write(process, directory, path, Buffer.from(bytes).toString())
          return Result.succeed(existed ? "replaced" as const : "created" as const)
        })),
      remove: (realm, path) =>
        Effect.uninterruptible(
          io("remove", path, () => Result.map(find(realm, path), () => disk.remove(process, directoryOf(realm), path)))
        ),
      // File by file, each at its own instant; the directory appears whole.
      snapshot: Effect.fnUntraced(function*(source, directory) {
        const copied = new Map<string, File>()
        for (const path of Array.from(disk.directories.get(directoryOf(source))?.keys() ?? [])) {
          const file = yield* io(
            "copy",
            path,
            () => Result.succeed(disk.directories.get(directoryOf(source))?.get(path)),
            5
          )
          if (file !== undefined) copied.set(path, file)
        }
        yield* io("rename", directory, () => {
          disk.directories.set(`published ${directory}`, copied)
          disk.onCopied(process)
          return Result.succeed(undefined)
        })
      }),
      removeVersion: (directory) =>
        io("remove", directory, () => {
          disk.directories.delete(`published ${directory}`)
          return Result.succeed(undefined)
        }),
      createSource: () => Effect.void,
      removeSource: () => Effect.void,
      sources: Effect.succeed([])
    })
  )
}
