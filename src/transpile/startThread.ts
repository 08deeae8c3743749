import { Worker } from "node:worker_threads"

/** What a thread of the farm is started with, as plain data. */
export interface ThreadOptions {
  readonly entry: URL | string
  readonly workerData?: unknown
  readonly heapMb: number
}

/** Starts a thread of the farm, in the replica or in a process of its own. */
export const startThread = <Result>(
  { entry, heapMb, workerData }: ThreadOptions,
  answered: (result: Result) => void,
  ended: (reason: "memory" | "died", detail: string) => void
): Worker => {
  const thread = new Worker(new URL(entry), {
    workerData,
    // the host's environment and flags must not reach the output (NODE_ENV, BABEL_ENV) or the thread (--inspect-brk)
    env: {},
    argv: [],
    execArgv: [],
    // kept from the host's streams, and never read, as that would keep the process alive: the entry is to be quiet
    stdin: false,
    stdout: true,
    stderr: true,
    // deep but legal code, such as a sum of 10,000 terms, overflows the default stack of 4 MB
    resourceLimits: { maxOldGenerationSizeMb: heapMb, stackSizeMb: 32 }
  })
  thread.on("message", answered)
  thread.on("messageerror", (error) => ended("died", `unreadable answer: ${error.message}`))
  thread.on("error", (error: NodeJS.ErrnoException) =>
    error.code === "ERR_WORKER_OUT_OF_MEMORY"
      ? ended("memory", `a worker needed more than ${heapMb} MB`)
      : ended("died", `a worker crashed: ${error.message}`))
  thread.on("exit", (code) => ended("died", `a worker exited with code ${code}`))
  return thread
}
