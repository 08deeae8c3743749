import { type ChildProcess, fork } from "node:child_process"
import { availableParallelism } from "node:os"
import type { Batch, Report } from "./worker.ts"

/**
 * Runs batches of seeds in worker processes, one a core, and tells of each outcome. A mutant that has been caught often
 * enough need not be run on: `isOver` is asked before each batch.
 */
export const runSeeds = async (
  batches: ReadonlyArray<Batch>,
  tell: (report: Report) => void,
  { isOver = () => false, workers = availableParallelism() }: {
    readonly isOver?: (batch: Batch) => boolean
    readonly workers?: number
  } = {}
): Promise<void> => {
  const left = batches.slice()
  const next = (): Batch | undefined => {
    while (true) {
      const batch = left.shift()
      if (batch === undefined || !isOver(batch)) return batch
    }
  }
  await Promise.all(Array.from({ length: Math.min(workers, batches.length) }, () => work(next, tell)))
}

const work = (next: () => Batch | undefined, tell: (report: Report) => void) =>
  new Promise<void>((resolve, reject) => {
    const worker: ChildProcess = fork(new URL("./worker.ts", import.meta.url), {
      // Most of what a run makes is short-lived, and its errors need no stack.
      execArgv: ["--max-semi-space-size=32", "--stack-trace-limit=0"]
    })
    const give = () => {
      const batch = next()
      if (batch === undefined) worker.disconnect()
      else worker.send(batch)
    }
    worker.on("message", (message: Report | "done") => {
      if (message === "done") give()
      else tell(message)
    })
    worker.on("error", reject)
    worker.on("exit", (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`a worker of the simulation ended with ${signal ?? code}`))
    })
    give()
  })

/** Seeds in batches that are small enough to be spread evenly. */
export const batchesOf = (seeds: ReadonlyArray<number>, mutant?: string, size = 20): ReadonlyArray<Batch> =>
  Array.from({ length: Math.ceil(seeds.length / size) }, (_, index) => ({
    mutant,
    seeds: seeds.slice(index * size, (index + 1) * size)
  }))
