/**
 * What a process of the farm runs: one thread, and between it and the replica nothing but this. It ends with the replica,
 * with its thread, or when the process takes too much memory, of which native code may take any amount.
 */
import type { Worker } from "node:worker_threads"
import { startThread, type ThreadOptions } from "./startThread.ts"

export type ToProcess<Job> = { readonly start: ThreadOptions } | { readonly job: Job }

export type FromProcess<Result> =
  | { readonly answer: Result }
  | { readonly ended: { readonly reason: "memory" | "died"; readonly detail: string } }

/** Beyond the thread's heap: Node itself, code, and what native code has in work. */
const besideHeapMb = 512
const watchMillis = 50

let thread: Worker | undefined
let watch: NodeJS.Timeout | undefined

// to exit in order would wait for a thread that may never come back from native code
const end = () => process.kill(process.pid, "SIGKILL")

const say = (message: FromProcess<unknown>, then?: () => void) => {
  process.send?.(message, undefined, undefined, then)
}

const start = (options: ThreadOptions) => {
  thread = startThread(
    options,
    (answer) => {
      clearInterval(watch)
      say({ answer })
    },
    (reason, detail) => say({ ended: { reason, detail } }, end)
  )
  const limitMb = options.heapMb + besideHeapMb
  return (job: unknown) => {
    thread?.postMessage(job)
    // Effect is not here, and no simulation: a process of its own has time of its own
    // oxlint-disable-next-line no-restricted-globals
    watch = setInterval(() => {
      if (process.memoryUsage.rss() < limitMb * 2 ** 20) return
      say({ ended: { reason: "memory", detail: `a worker needed more than ${limitMb} MB` } }, end)
    }, watchMillis)
  }
}

let post: ((job: unknown) => void) | undefined
process.on("message", (message: ToProcess<unknown>) => {
  if ("start" in message) post = start(message.start)
  else post?.(message.job)
})
process.on("disconnect", end)
// the replica may have ended while this module was loaded
if (!process.connected) end()
