import { Effect } from "effect"
import { readFileSync } from "node:fs"

/**
 * CPU time of a process and its threads so far, in milliseconds; undefined where there is no /proc. What it costs to
 * answer, unlike how fast, depends little on who else uses the cores.
 */
const cpuTime = (pid: number): number | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1")
    // after the name, which may hold spaces: state is field 3, user and system ticks of 10 ms are fields 14 and 15
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    return (Number(fields[11]) + Number(fields[12])) * 10
  } catch {
    return undefined
  }
}

/** Runs an effect; answers also the CPU time that these processes together spent meanwhile, NaN where it is unknown. */
export const withCpuTime = Effect.fnUntraced(function*<A, E, R>(
  pids: ReadonlyArray<number>,
  work: Effect.Effect<A, E, R>
) {
  const now = () => pids.reduce((sum, pid) => sum + (cpuTime(pid) ?? NaN), 0)
  const before = now()
  const value = yield* work
  return { value, cpuMillis: now() - before }
})
