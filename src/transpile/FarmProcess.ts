import { fork } from "node:child_process"
import { Effect } from "effect"
import { FarmFailure, type FarmWorkerOptions, type Place, type PlaceEvents } from "./FarmPlace.ts"
import type { FromProcess, ToProcess } from "./processEntry.ts"

/** The same thread in a process of its own: see `FarmWorkerOptions.place`. */
export const openProcess = <Job, Result>(
  { entry, heapMb, workerData }: FarmWorkerOptions,
  { answered, ended }: PlaceEvents<Result>
): Place<Job> => {
  const died = (detail: string) => ended(new FarmFailure({ reason: "died", detail }))
  const child = fork(
    new URL(import.meta.url.endsWith(".ts") ? "./processEntry.ts" : "./processEntry.js", import.meta.url),
    {
      serialization: "advanced",
      // signals for the replica's group are the replica's: it drains, and needs its workers meanwhile
      detached: true,
      cwd: "/",
      env: {},
      execArgv: [],
      stdio: ["ignore", "ignore", "ignore", "ipc"]
    }
  )
  const gone = new Promise<void>((resolve) => {
    child.once("exit", (code, signal) => {
      died(`a worker's process ended ${signal === null ? `with code ${code}` : `by ${signal}`}`)
      resolve()
    })
    child.once("error", (error) => {
      died(`a worker's process failed: ${error.message}`)
      // one that never was has no end
      if (child.pid === undefined) resolve()
    })
  })
  child.on("message", (message) => {
    const said = message as FromProcess<Result>
    if ("answer" in said) answered(said.answer)
    else ended(new FarmFailure(said.ended))
  })
  const send = (message: ToProcess<Job>) =>
    void child.send(message, (error) => {
      if (error !== null) died(`a worker's process is gone: ${error.message}`)
    })
  send({ start: { entry: entry.href, heapMb, workerData } })
  return {
    post: (job) => send({ job }),
    close: Effect.promise(() => {
      child.kill("SIGKILL")
      return gone
    }),
    unref: () => {
      child.unref()
      child.channel?.unref()
    }
  }
}
