import { Console, Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import * as path from "node:path"
import { BenchFailed } from "./BenchFailed.ts"

interface CpuProfile {
  readonly nodes: ReadonlyArray<{
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }>
  readonly samples: ReadonlyArray<number>
  readonly timeDeltas: ReadonlyArray<number>
  /** Microseconds of the monotonic clock, which `process.hrtime` of every process shows. */
  readonly startTime: number
}

/** A stretch of time, by `process.hrtime.bigint()`. */
export interface Stretch {
  readonly name: string
  readonly from: bigint
  readonly to: bigint
}

/** Prints where the main thread of a process that ended was in each stretch. */
export const printHottest = Effect.fnUntraced(function*(
  directory: string,
  pid: number,
  stretches: ReadonlyArray<Stretch>
) {
  const profile = yield* Effect.try({
    try: () => read(directory, pid),
    catch: (cause) => new BenchFailed({ detail: `no profile of process ${pid}: ${String(cause)}` })
  })
  for (const { from, name, to } of stretches) {
    yield* Console.error(`${name}\n${hottest(profile, Number(from / 1000n), Number(to / 1000n))}\n`)
  }
})

const read = (directory: string, pid: number): CpuProfile => {
  // the thread's number is 0 for the main one
  const name = readdirSync(directory).find((each) => new RegExp(`\\.${pid}\\.0\\.\\d+\\.cpuprofile$`).test(each))
  if (name === undefined) throw new Error(`nothing in ${directory}`)
  return JSON.parse(readFileSync(path.join(directory, name), "utf8"))
}

const hottest = ({ nodes, samples, startTime, timeDeltas }: CpuProfile, from: number, to: number): string => {
  const frames = new Map(nodes.map(({ callFrame, id }) => [id, callFrame]))
  const byFrame = new Map<string, number>()
  const byPlace = new Map<string, number>()
  let total = 0
  let idle = 0
  let at = startTime
  samples.forEach((id, index) => {
    const delta = timeDeltas[index + 1] ?? 0
    at += timeDeltas[index] ?? 0
    const frame = frames.get(id)
    if (at < from || at > to || frame === undefined) return
    if (frame.functionName === "(idle)") return void (idle += delta)
    total += delta
    const name = `${frame.functionName || "(anonymous)"} ${shortened(frame.url)}:${frame.lineNumber + 1}`
    byFrame.set(name, (byFrame.get(name) ?? 0) + delta)
    byPlace.set(placeOf(frame.url), (byPlace.get(placeOf(frame.url)) ?? 0) + delta)
  })
  const top = (times: ReadonlyMap<string, number>, count: number) =>
    Array.from(times).toSorted(([, a], [, b]) => b - a).slice(0, count).map(([name, time]) =>
      `  ${(time / total * 100).toFixed(1).padStart(5)}%  ${name}`
    )
  const busy = `${(total / (total + idle) * 100).toFixed(0)}%`
  return [
    `self time by place, of the ${busy} of the time in which the thread was busy:`,
    ...top(byPlace, 12),
    "by frame:",
    ...top(byFrame, 40)
  ].join("\n")
}

const shortened = (url: string) => url.replace(/^.*\/node_modules\//, "").replace(/^file:.*\/(src|bench)\//, "$1/")

/** A package, a folder of ours, or Node itself. */
const placeOf = (url: string): string => {
  if (url === "") return "V8 and native code"
  if (url.startsWith("node:")) return url.replace(/^(node:[^/]+(\/[^/]+)?).*/, "$1")
  const packaged = /^.*\/node_modules\/((@[^/]+\/)?[^/]+)/.exec(url)?.[1]
  return packaged ?? shortened(url).split("/").slice(0, 2).join("/")
}
