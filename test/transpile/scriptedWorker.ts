/** A farm worker that does as a test says. Loaded by threads, so it imports nothing but Node. */
import { parentPort, threadId, workerData } from "node:worker_threads"

export type ScriptedJob =
  /** Answers at once. */
  | { readonly do: "answer"; readonly value: string }
  /** Answers, then ends the thread. */
  | { readonly do: "leave"; readonly value: string }
  /** Counts itself in `begun`, then answers when the gate opens. */
  | { readonly do: "wait"; readonly value: string }
  /** Counts itself in `begun`, then never ends. */
  | { readonly do: "loop" | "backtrack" }
  | { readonly do: "exit" | "throw" | "allocate" }
  | { readonly do: "report" }

export interface ScriptedAnswer {
  readonly value: string
  readonly thread: number
}

/** Cells of the shared memory. */
export const cell = { gate: 0, begun: 1, starts: 2 } as const

export interface ScriptedData {
  readonly memory: Int32Array
  /** What each start does, the last for ever. Default: become warm. */
  readonly starts?: ReadonlyArray<"warm" | "throw" | "hang">
}

if (parentPort !== null) {
  const port = parentPort
  const { memory, starts = ["warm"] }: ScriptedData = workerData
  const count = (what: number) => {
    const before = Atomics.add(memory, what, 1)
    Atomics.notify(memory, what)
    return before
  }
  const answer = (value: string) => port.postMessage({ value, thread: threadId } satisfies ScriptedAnswer)

  const how = starts[Math.min(count(cell.starts), starts.length - 1)]
  if (how === "throw") throw new Error("refuses to start")

  port.on("message", (job: ScriptedJob) => {
    switch (job.do) {
      case "answer":
        return answer(job.value)
      case "leave":
        answer(job.value)
        return process.exit(0)
      case "wait":
        count(cell.begun)
        Atomics.wait(memory, cell.gate, 0)
        return answer(job.value)
      case "loop":
        count(cell.begun)
        for (;;);
      case "backtrack":
        count(cell.begun)
        return answer(String(/^(a+)+$/.test(`${"a".repeat(60)}b`)))
      case "exit":
        return process.exit(3)
      case "throw":
        throw new Error("thrown by the job")
      case "allocate": {
        const hoard: Array<Array<number>> = []
        for (;;) hoard.push(Array.from({ length: 100_000 }, (_, i) => i + hoard.length))
      }
      case "report":
        return answer(JSON.stringify({ env: process.env, execArgv: process.execArgv, argv: process.argv.slice(2) }))
    }
  })
  if (how !== "hang") port.postMessage("warm")
}
