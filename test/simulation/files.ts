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
  /** What batches have staged and not moved yet: texts by place in the batch, null for a removal. */
  readonly staged = new Map<string, Map<number, string | null>>()
  /** Told of each change to a source file, at its instant, and whether it leaves a batch half done. */
  onChange: (process: Process | undefined, path: string, isTorn: boolean) => void = () => {}
  /** The state of the source at which each copy of it was begun. */
  readonly copiedSince = new Map<string, number>()
  /** Told of each copy that begins. */
  onCopying: (process: Process, directory: string) => void = () => {}
  /** Told of each copy that is complete. */
  onCopied: (process: Process) => void = () => {}
  /** Whether what this process copies takes long. */
  isCopySlow: (process: Process) => boolean = () => false
  /** How many operations fail, and how many are slow. */
  failing = 0
  slow = 0
  #stamps = 0

  textsOf(directory: string): ReadonlyMap<string, string> | undefined {
    const files = this.directories.get(directory)
    return files && new Map(Array.from(files, ([path, { text }]) => [path, text]))
  }

  write(process: Process | undefined, directory: string, path: string, text: string, isTorn = false): void {
    const files = this.directories.get(directory) ?? new Map<string, File>()
    this.directories.set(directory, files.set(path, { text, stamp: String(++this.#stamps) }))
    this.onChange(process, path, isTorn)
  }

  remove(process: Process | undefined, directory: string, path: string, isTorn = false): void {
    this.directories.get(directory)?.delete(path)
    this.onChange(process, path, isTorn)
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

  const find = (realm: Place, path: string): Result.Result<File, FileNotFound | FileFailure> => {
    const directory = disk.directories.get(directoryOf(realm))
    if (directory === undefined && realm.kind === "published") {
      return Result.fail(new FileFailure({ operation: "read", path, code: "ENOENT", detail: "its version is gone" }))
    }
    const file = directory?.get(path)
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
      // Each at its own instant.
      present: (realm, paths) =>
        Effect.filter(
          paths,
          (path) =>
            Effect.match(io("look for", path, () => find(realm, path)), {
              onSuccess: () => true,
              onFailure: ({ _tag }) => _tag === "FileFailure"
            }),
          { concurrency: "unbounded" }
        ),
      stamp: (realm, path) => io("look at", path, () => Result.map(find(realm, path), ({ stamp }) => stamp)),
      unchanged: (realm, path, stamp) => (then) => {
        const file = find(realm, path)
        then(Result.isSuccess(file) && file.success.stamp === stamp)
      },
      list: () => Effect.succeed([]),
      stage: (realm, batch, operations) =>
        Effect.uninterruptible(io("stage", batch, () => {
          const files = disk.directories.get(directoryOf(realm))
          const missing = operations.find(({ op, path }) => op === "remove" && files?.has(path) !== true)
          if (missing !== undefined) {
            return Result.fail(new FileNotFound({ realmUrl: realm.realmUrl, path: missing.path }))
          }
          disk.staged.set(
            batch,
            new Map(operations.map((operation, index) => [
              index,
              operation.op === "remove" ? null : Buffer.from(operation.bytes).toString()
            ]))
          )
          return Result.succeed(operations.map(({ op, path }) =>
            op === "remove" ? "removed" as const : files?.has(path) === true ? "replaced" as const : "created" as const
          ))
        })),
      // Each edit at its own instant, and once: whoever comes later finds nothing to move.
      apply: (realm, batch, edits) =>
        Effect.uninterruptible(Effect.forEach(edits, ({ path }, index) =>
          io("move", path, () => {
            const text = disk.staged.get(batch)?.get(index)
            if (text === undefined) return Result.succeed(undefined)
            disk.staged.get(batch)?.delete(index)
            const isTorn = index < edits.length - 1
            if (text !== null) disk.write(process, directoryOf(realm), path, text, isTorn)
            else if (disk.directories.get(directoryOf(realm))?.has(path) === true) {
              disk.remove(process, directoryOf(realm), path, isTorn)
            }
            return Result.succeed(undefined)
          }), { discard: true })),
      discard: (_, batch) =>
        io("discard", batch, () => {
          disk.staged.delete(batch)
          return Result.succeed(undefined)
        }),
      staged: io(
        "list",
        "staged",
        () => Result.succeed(Array.from(disk.staged.keys(), (batch) => ({ directory: "home", batch })))
      ),
      scan: () => Effect.succeed(new Map()),
      listAll: () => Effect.succeed([]),
      measure: () => Effect.succeed({ files: 0, bytes: 0 }),
      prune: () => Effect.void,
      pruneAbove: () => Effect.void,
      // File by file, each at its own instant; the directory appears whole.
      snapshot: Effect.fnUntraced(function*(source, directory) {
        disk.onCopying(process, directory)
        const copied = new Map<string, File>()
        for (const path of Array.from(disk.directories.get(directoryOf(source))?.keys() ?? [])) {
          const file = yield* io(
            "copy",
            path,
            () => Result.succeed(disk.directories.get(directoryOf(source))?.get(path)),
            disk.isCopySlow(process) ? 150 : 5
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
